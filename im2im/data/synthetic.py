"""Built-in data: simulated cells under the microscope, label-free and stained, with their nuclei outlined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.fft
import tifffile
from scipy import ndimage

from im2im.data.optics import CONTRASTS, Spacing, expose, fluoresce, shade, transmit
from im2im.data.simulation import Specimen, grow
from im2im.files import replacing

PIXEL_SIZE: Spacing = (1.0, 0.3, 0.3)  # µm
PROJECTION = 100.0  # µm: in 2D one slab holds everything
MARGIN = 24  # pixels simulated around the image, so that cells and their fringes are cut by its border
LAMP = (1200.0, 5000.0)  # electrons per pixel of the label-free image
LASER = {2: (25.0, 150.0), 3: (150.0, 600.0)}  # electrons per µm of stained nucleus
AUTOFLUORESCENCE = 0.012  # of cytoplasm, relative to a stained nucleus
STACK_DEFOCUS = (-0.3, 0.3)  # µm between the label-free and the fluorescence stack
ROLES = ("source", "target", "mask", "instances")
DEFAULT_SIZE = {2: (256, 256), 3: (24, 128, 128)}


@dataclass(frozen=True)
class SyntheticCells:
    """Simulated cultured cells: a label-free image, the fluorescence of their stained DNA, and their nuclei.

    Cells have a body that thins out, a nucleus with nucleoli, mitochondria and lipid droplets; some are in metaphase,
    some are dim. The source is one focal plane a little out of focus (2D) or a stack through the focus (3D) in transmitted
    light; the target is the fluorescence in focus or its stack. Exposure, staining, focus and density differ from image to
    image. An image follows from ``seed`` and its index alone, and ``contrast`` changes nothing but the source.

    Args:
        spatial_dims: 2 or 3.
        size: Of an image, YX or ZYX; 256×256 or 24×128×128 unless given.
        contrast: ``brightfield``, or ``phase`` for Zernike's phase contrast.
        seed: Another seed is another data set.

    Raises:
        ValueError: A setting is not one of these.
    """

    spatial_dims: int = 2
    size: tuple[int, ...] | None = None
    contrast: str = "brightfield"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        if self.spatial_dims not in DEFAULT_SIZE:
            raise ValueError(f"Cells are simulated in 2 or 3 dimensions, got {self.spatial_dims}; set spatial_dims to 2 or 3")
        if self.contrast not in CONTRASTS:
            raise ValueError(f"No such contrast, got {self.contrast!r}; set data.contrast to one of {', '.join(CONTRASTS)}")
        if len(self.shape) != self.spatial_dims or min(self.shape) < 1:
            raise ValueError(f"An image needs {self.spatial_dims} positive lengths, got {self.size}; change data.size or spatial_dims")
        if self.seed < 0:
            raise ValueError(f"Random numbers need a seed of 0 or more, got {self.seed}; set seed to one")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of every image, YX or ZYX."""
        return DEFAULT_SIZE[self.spatial_dims] if self.size is None else tuple(self.size)

    @property
    def pixel_size(self) -> Spacing:
        """Distance of planes, rows and columns (z, y, x), µm."""
        return PIXEL_SIZE

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        """Simulate one image.

        Args:
            index: Number of the image, from 0.

        Returns:
            ``source`` and ``target`` in counts of a camera (uint16), ``mask`` 1 in nuclei (uint8) and ``instances``, the nuclei
            numbered from 1 (uint16), each YX or ZYX.
        """
        of_cells, of_source, of_target = np.random.default_rng([self.seed, index]).spawn(3)
        slabs, *plane = (1, *self.shape) if self.spatial_dims == 2 else self.shape
        spacing = (PROJECTION, *PIXEL_SIZE[1:]) if self.spatial_dims == 2 else PIXEL_SIZE
        canvas = (slabs, *(scipy.fft.next_fast_len(length + 2 * MARGIN) for length in plane))
        crop = (slice(None), *(slice(MARGIN, MARGIN + length) for length in plane))
        specimen = grow(of_cells, canvas, spacing)
        instances = number_objects(specimen.nuclei[crop])
        images = {
            "source": self._label_free(of_source, specimen, spacing, crop),
            "target": self._fluorescence(of_target, specimen, spacing, crop),
            "mask": (instances > 0).astype(np.uint8),
            "instances": instances,
        }
        return {role: image.reshape(self.shape) for role, image in images.items()}

    def _label_free(self, rng: np.random.Generator, specimen: Specimen, spacing: Spacing, crop: tuple[slice, ...]) -> np.ndarray:
        contrast = CONTRASTS[self.contrast]
        defocus = rng.uniform(*(contrast.defocus if self.spatial_dims == 2 else STACK_DEFOCUS))
        light = transmit(specimen.phase, spacing, defocus, contrast)[crop]
        return expose(rng, _log_uniform(rng, *LAMP) * shade(rng, light.shape[1:]) * light)

    def _fluorescence(self, rng: np.random.Generator, specimen: Specimen, spacing: Spacing, crop: tuple[slice, ...]) -> np.ndarray:
        glow = fluoresce(specimen.dye + AUTOFLUORESCENCE * specimen.body, spacing)[crop]
        return expose(rng, rng.uniform(3, 12) + _log_uniform(rng, *LASER[self.spatial_dims]) * shade(rng, glow.shape[1:], dust=0) * glow)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def number_objects(labels: np.ndarray) -> np.ndarray:
    """Number the objects of a cropped label image from 1 without gaps; of an object cut in pieces the largest stays.

    Args:
        labels: 0 is background, of any shape.

    Returns:
        The same shape, uint16.
    """
    numbered, count = np.zeros(labels.shape, np.uint16), 0
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        if window is None:
            continue
        pieces, _ = ndimage.label(labels[window] == label, np.ones((3,) * labels.ndim))
        count += 1
        numbered[window][pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])] = count
    return numbered


def write_folder(cells: SyntheticCells, folder: Path, splits: Mapping[str, int]) -> None:
    """Write images as ``folder/<split>/{source,target,mask,instances}/cells_000.tif``, ImageJ TIFFs with their pixel size.

    The number in the name is the index of the image; the splits go on counting, so no two share an image.

    What an earlier call wrote, whole or in part, is gone on with. Each file appears at once.

    Args:
        cells: What to write.
        folder: Where to; made if it is not there.
        splits: Number of images of each split.

    Raises:
        ValueError: The folder holds other files already.
    """
    folder = Path(folder)
    names = [split for split, count in splits.items() for _ in range(count)]
    indices = {folder / part / role / f"cells_{index:03d}.tif": index for index, part in enumerate(names) for role in ROLES}
    written = _written(folder, indices, cells)
    for index in sorted({index for path, index in indices.items() if path not in written}):
        for role, image in cells(index).items():
            _write(folder / names[index] / role / f"cells_{index:03d}.tif", image, cells.pixel_size)


def _written(folder: Path, indices: Mapping[Path, int], cells: SyntheticCells) -> set[Path]:
    """Give the files that are there; raise unless all of them are among these images, by their names and by the look of one."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"The folder for synthetic images is a file, got {folder}; set data.folder to a new folder")
    there = {path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")}
    one = min(there & indices.keys(), default=None)
    same = one is None or np.array_equal(tifffile.imread(one), cells(indices[one])[one.parent.name])
    if there - indices.keys() or not same:
        raise ValueError(f"The folder for synthetic images is not empty, got {folder}; set data.folder to a new folder or remove this one")
    return there


def _write(path: Path, image: np.ndarray, pixel_size: Spacing) -> None:
    z, y, x = pixel_size
    axes = {"axes": "YX"} if image.ndim == 2 else {"axes": "ZYX", "spacing": z}
    with replacing(path) as temporary:
        tifffile.imwrite(temporary, image, imagej=True, resolution=(1 / x, 1 / y), metadata={**axes, "unit": "um"})
