"""Built-in data: simulated cells under the microscope, label-free and stained, with their nuclei outlined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.fft
import tifffile

from im2im.data.optics import CONTRASTS, Spacing
from im2im.data.roles import CHANNELS, RENDERERS, ROLES, Scene
from im2im.data.simulation import grow
from im2im.files import replacing

PIXEL_SIZE: Spacing = (1.0, 0.3, 0.3)  # µm
PROJECTION = 100.0  # µm: in 2D one slab holds everything
MARGIN = 24  # pixels simulated around the image, so that cells and their fringes are cut by its border
WRITTEN = ("source", "target", "mask", "instances")
RANDOM = ("source", "target", "noisy", "blurred", "stained")  # have noise; new ones at the end, so that the others stay as they are
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

    def __call__(self, index: int, roles: Sequence[str] = WRITTEN) -> dict[str, np.ndarray]:
        """Simulate one image.

        Args:
            index: Number of the image, from 0.
            roles: What to render of it, some of ``ROLES``; whatever else is asked for, a role's image is the same.

        Returns:
            Role to image, YX or ZYX: ``source`` and ``target`` in counts of a camera (uint16), ``mask`` 1 in nuclei (uint8),
            ``instances``, the nuclei numbered from 1 (uint16), ``noisy``, the target at little light, ``blurred``, the target by a
            lower aperture (both uint16), ``stained``, RGB of a histological slide (3YX or 3ZYX uint8), and ``classes``: 0
            background, 1 cytoplasm, 2 nucleus (uint8).

        Raises:
            ValueError: There is no such role.
        """
        if unknown := [role for role in roles if role not in RENDERERS]:
            raise ValueError(
                f"Simulated cells have no such image, got {unknown[0]!r}; set data.source and data.target to some of {', '.join(ROLES)}"
            )
        scene = self._scene(index)
        images = {role: RENDERERS[role](scene) for role in roles}
        return {role: image.reshape(*image.shape[:-3], *self.shape) for role, image in images.items()}

    def _scene(self, index: int) -> Scene:
        of_cells, *of_images = np.random.default_rng([self.seed, index]).spawn(1 + len(RANDOM))
        slabs, *plane = (1, *self.shape) if self.spatial_dims == 2 else self.shape
        spacing = (PROJECTION, *PIXEL_SIZE[1:]) if self.spatial_dims == 2 else PIXEL_SIZE
        canvas = (slabs, *(scipy.fft.next_fast_len(length + 2 * MARGIN) for length in plane))
        crop = (slice(None), *(slice(MARGIN, MARGIN + length) for length in plane))
        randomness = dict(zip(RANDOM, of_images, strict=True))
        return Scene(grow(of_cells, canvas, spacing), spacing, crop, CONTRASTS[self.contrast], self.spatial_dims, randomness)


def write_folder(cells: SyntheticCells, folder: Path, splits: Mapping[str, int], roles: Sequence[str] = WRITTEN) -> None:
    """Write images as ``folder/<split>/<role>/cells_000.tif``, ImageJ TIFFs with their pixel size.

    The number in the name is the index of the image; the splits go on counting, so no two share an image.

    What an earlier call wrote, whole or in part, is gone on with. Each file appears at once.

    Args:
        cells: What to write.
        folder: Where to; made if it is not there.
        splits: Number of images of each split.
        roles: What to write of each, some of ``ROLES``.

    Raises:
        ValueError: The folder holds other files already.
    """
    folder = Path(folder)
    names = [split for split, count in splits.items() for _ in range(count)]
    indices = {folder / part / role / f"cells_{index:03d}.tif": index for index, part in enumerate(names) for role in ROLES}
    written = _written(folder, indices, cells)
    for index in sorted({index for path, index in indices.items() if path not in written and path.parent.name in roles}):
        for role, image in cells(index, roles).items():
            file = folder / names[index] / role / f"cells_{index:03d}.tif"
            _write(file, _samples_last(image, role), cells.pixel_size, role)


def _written(folder: Path, indices: Mapping[Path, int], cells: SyntheticCells) -> set[Path]:
    """Give the files that are there; raise unless all of them are among these images, by their names and by the look of one."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"The folder for synthetic images is a file, got {folder}; set data.folder to a new folder")
    there = {path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")}
    one = min(there & indices.keys(), default=None)
    role = "" if one is None else one.parent.name
    same = one is None or np.array_equal(tifffile.imread(one), _samples_last(cells(indices[one], (role,))[role], role))
    if there - indices.keys() or not same:
        raise ValueError(f"The folder for synthetic images is not empty, got {folder}; set data.folder to a new folder or remove this one")
    return there


def _samples_last(image: np.ndarray, role: str) -> np.ndarray:
    """Move the channels of an image in colour to the end, as files have them."""
    return np.ascontiguousarray(np.moveaxis(image, 0, -1)) if CHANNELS[role] > 1 else image


def _write(path: Path, image: np.ndarray, pixel_size: Spacing, role: str) -> None:
    z, y, x = pixel_size
    samples = "S" if CHANNELS[role] > 1 else ""
    spatial = {"axes": "YX" + samples} if image.ndim == 2 + len(samples) else {"axes": "ZYX" + samples, "spacing": z}
    with replacing(path) as temporary:
        tifffile.imwrite(temporary, image, imagej=True, resolution=(1 / x, 1 / y), metadata={**spatial, "unit": "um"})
