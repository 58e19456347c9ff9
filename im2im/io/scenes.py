"""What bioio and aicsimageio have in common: a container of scenes, each a lazy dask array."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from im2im.io.file_axes import file_axes
from im2im.io.image import Image, PixelSize, scene_names
from im2im.io.units import micrometres
from im2im.io.unreadable import NamedArray, naming


def open_scenes(path: Path, container: Any, given: str | None) -> list[Image]:
    """One image per scene of a ``BioImage`` or ``AICSImage``; axes of length 1 other than Y and X are left out.

    Args:
        path: Of the file.
        container: As these libraries open it; tiles of a mosaic are put together by them.
        given: ``data.axes``.
    """
    images = []
    scenes = scene_names([str(scene) for scene in container.scenes])
    for index, scene in enumerate(scenes):
        with naming(path):
            container.set_scene(index)
            letters, array = _array(container, given)
            pixel_size, names = _pixel_size(container), _channel_names(container)
        resolved = file_axes(path, tuple(array.shape), letters, given)
        image = Image.from_array(NamedArray(array, path), resolved, pixel_size=pixel_size)
        names = names if len(names) == image.shape[1] else ()
        images.append(replace(image, path=path, scene=scene, channel_names=names))
    return images


def _array(container: Any, given: str | None) -> tuple[str, Any]:
    native = container.reader.xarray_dask_data
    if given and len(given) == native.ndim:
        return "".join(native.dims), native.data
    found = container.xarray_dask_data
    kept = tuple(slice(None) if length > 1 or axis in "YX" else 0 for axis, length in zip(found.dims, found.shape, strict=True))
    letters = "".join(axis for axis, part in zip(found.dims, kept, strict=True) if part != 0)
    return letters, found.data[kept]


def _pixel_size(container: Any) -> PixelSize:
    size = container.physical_pixel_sizes
    return micrometres(size.Z, "um"), micrometres(size.Y, "um"), micrometres(size.X, "um")


def _channel_names(container: Any) -> tuple[str, ...]:
    names = tuple(str(name) for name in container.channel_names or ())
    return () if any(name.startswith("Channel:") for name in names) else names  # their stand-in for no name
