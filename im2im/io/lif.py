"""Leica's LIF through liffile, which reads wavelength sweeps too."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from im2im.axes import Region
from im2im.io.file_axes import file_axes
from im2im.io.image import Image, SlicedArray, scene_names
from im2im.io.units import micrometres
from im2im.io.unreadable import naming

LETTERS = {"λ": "C", "Λ": "C"}  # emission or excitation wavelengths are channels


def open_lif(path: Path, axes: str | None = None) -> list[Image]:
    """Open every image of a LIF as a scene; pixels are decoded by ``load``.

    Args:
        path: A .lif file.
        axes: Of the arrays, where their metadata are wrong.

    Raises:
        UnreadableImageError: The file is damaged.
        ValueError: The axes of an image are none of TCZYX.
    """
    from liffile import LifFile

    with naming(path), LifFile(path) as file:
        found = list(file.images)
        names = scene_names([scene.name for scene in found])
        return [_image(path, index, scene, axes, name) for index, (scene, name) in enumerate(zip(found, names, strict=True))]


@dataclass(frozen=True)
class LifScene:
    """Decodes one image of a LIF and cuts a region out of it.

    Args:
        path: Of the file.
        index: Of the image.
        axes: Of its array.
    """

    path: Path
    index: int
    axes: str

    def __call__(self, region: Region) -> np.ndarray:
        """Region (TCZYX) → TCZYX."""
        from liffile import LifFile

        with naming(self.path), LifFile(self.path) as file:
            array = np.asarray(file.images[self.index].asarray())
        return SlicedArray(array, self.axes)(region)


def _image(path: Path, index: int, scene: Any, given: str | None, name: str) -> Image:
    letters = "".join(LETTERS.get(name, name[:1]) for name in scene.dims)
    axes = file_axes(path, scene.shape, letters, given)
    sizes = tuple(_spacing(scene.coords.get(name)) for name in "ZYX")
    empty = np.broadcast_to(np.zeros((), scene.dtype), scene.shape)  # stands for the pixels, which are not read here
    image = Image.from_array(empty, axes, pixel_size=(sizes[0], sizes[1], sizes[2]))
    return replace(image, path=path, load=LifScene(path, index, axes), scene=name)


def _spacing(metres: Any) -> float | None:
    """Distance of neighbouring pixels in micrometres."""
    return micrometres(abs(metres[-1] - metres[0]) / (len(metres) - 1), "m") if metres is not None and len(metres) > 1 else None
