"""OME-Zarr: reading 0.1 to 0.5, making 0.5 (0.4 where zarr 2 is installed)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from im2im.axes import AXES, Shape, shape_tczyx
from im2im.io.file_axes import file_axes
from im2im.io.image import UNKNOWN_SIZE, Image, PixelSize
from im2im.io.units import micrometres
from im2im.io.unreadable import NamedArray, UnreadableImageError, naming

_IS_ZARR_2 = int(zarr.__version__.split(".")[0]) < 3


def open_zarr(path: Path, axes: str | None = None) -> list[Image]:
    """Open an OME-Zarr image at full resolution, or a plain Zarr array; regions are read by chunk.

    Several images as Bio-Formats lays them out (``0/``, ``1/`` …) are scenes.

    Args:
        path: Of the folder.
        axes: Of its arrays; None takes the axes of its metadata, see ``file_axes``.

    Raises:
        UnreadableImageError: The folder is no Zarr, holds no image, or is a plate of many.
        ValueError: The axes are not known.
    """
    if _IS_ZARR_2 and (path / "zarr.json").exists():
        raise UnreadableImageError(path, f"OME-Zarr 0.5 needs zarr 3, got zarr {zarr.__version__}; install zarr>=3, or convert it to 0.4")
    with naming(path):
        root: Any = zarr.open(str(path), mode="r")
        if isinstance(root, zarr.Array):
            found: list[tuple[str, Any, dict[str, Any]]] = [("", root, {})]
        else:
            found = [(scene, *_full_resolution(group)) for scene, group in _images(path, root)]
    return [_image(path, scene, array, metadata, axes) for scene, array, metadata in found]


def _ome(group: zarr.Group) -> dict[str, Any]:
    """OME attributes: under a key of their own since 0.5."""
    attributes: dict[str, Any] = dict(group.attrs)
    return attributes.get("ome", attributes)


def _images(path: Path, root: Any) -> Iterator[tuple[str, Any]]:
    attributes = _ome(root)
    if "multiscales" in attributes:
        yield "", root
        return
    if "plate" in attributes:
        first = attributes["plate"]["wells"][0]["path"]
        raise UnreadableImageError(path, f"it is a plate of many images; give one of them, for example {path / first / '0'}")
    number = 0
    while str(number) in root:
        yield str(number), root[str(number)]
        number += 1
    if number == 0:
        raise UnreadableImageError(path, "it holds no image (no multiscales metadata); check that it is complete")


def _full_resolution(group: Any) -> tuple[Any, dict[str, Any]]:
    attributes = _ome(group)
    return group[attributes["multiscales"][0]["datasets"][0]["path"]], attributes


def _image(path: Path, scene: str, array: zarr.Array, metadata: Mapping[str, Any], axes: str | None) -> Image:
    multiscale = metadata.get("multiscales", [{}])[0]
    described = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in multiscale.get("axes", [])]
    letters = "".join(map(_letter, described)) or ("Q" * array.ndim + "YX")[-array.ndim :]
    resolved = file_axes(path, tuple(array.shape), letters, axes)
    names = tuple(str(channel.get("label", "")) for channel in metadata.get("omero", {}).get("channels", []))
    image = Image.from_array(NamedArray(array, path), resolved, pixel_size=_pixel_size(multiscale, described, letters))
    return replace(image, path=path, scene=scene, channel_names=names if len(names) == image.shape[1] and all(names) else ())


def _letter(axis: Mapping[str, str]) -> str:
    by_type = {"time": "T", "channel": "C"}.get(axis.get("type", ""), "Q")
    return axis["name"].upper() if axis["name"].upper() in set(AXES) else by_type


def _pixel_size(multiscale: Mapping[str, Any], described: list[Mapping[str, str]], letters: str) -> PixelSize:
    """Scale of the first level times that of the whole; without a unit it says nothing."""
    transforms = multiscale.get("datasets", [{}])[0].get("coordinateTransformations", []) + multiscale.get("coordinateTransformations", [])
    scale = np.ones(len(letters))
    for transform in transforms:
        scale = scale * np.array(transform.get("scale", 1.0))
    size = {letter: micrometres(length, axis.get("unit")) for letter, axis, length in zip(letters, described, scale, strict=False)}
    return size.get("Z"), size.get("Y"), size.get("X")


def create_zarr(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype,
    axes: str,
    pixel_size: PixelSize = UNKNOWN_SIZE,
    channel_names: tuple[str, ...] = (),
    chunks: tuple[int, ...] | None = None,
    colours: Mapping[int, tuple[int, int, int]] | None = None,
) -> zarr.Array:
    """Make an OME-Zarr image of one resolution and return its array, to be filled region by region.

    Args:
        path: Of a folder that does not exist yet.
        shape: In ``axes``.
        dtype: Of the pixels.
        axes: A subset of TCZYX in that order.
        pixel_size: ZYX in micrometres.
        channel_names: One per channel, or none.
        chunks: In ``axes``; by default 1, 1, 16, 256, 256 voxels in 3D and 512, 512 pixels in 2D.
        colours: RGB of labels, for an image of labels; None for any other.
    """
    chunks = chunks or _chunks(shape_tczyx(shape, axes), axes)
    metadata = {"multiscales": [_multiscale(axes, pixel_size)]} | _omero(channel_names, np.dtype(dtype)) | _image_label(colours)
    if _IS_ZARR_2:
        for described in (metadata["multiscales"][0], metadata.get("image-label", {})):
            described["version"] = "0.4"
        group = zarr.open_group(str(path), mode="w-")
        group.attrs.update(metadata)
    else:
        group = zarr.open_group(str(path), mode="w-", zarr_format=3)
        group.attrs["ome"] = {"version": "0.5", **metadata}
    return create_level(group, "0", shape, chunks, dtype, axes)


def create_level(group: zarr.Group, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: Any, axes: str) -> zarr.Array:
    """Add the empty array of one resolution to an image; chunks that are never written take no room and read as 0."""
    chunks = tuple(min(chunk, length) for chunk, length in zip(chunks, shape, strict=True))
    if _IS_ZARR_2:
        return group.create_dataset(name, shape=shape, chunks=chunks, dtype=dtype, dimension_separator="/")
    return group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, dimension_names=tuple(axes.lower()))


def describe_levels(group: zarr.Group, count: int) -> None:
    """Say in the metadata that an image has ``count`` resolutions, each half of the one before along Y and X."""
    ome = _ome(group)
    multiscale = ome["multiscales"][0]
    (transform,) = multiscale["datasets"][0]["coordinateTransformations"]
    factors = [2 if axis["name"] in "yx" else 1 for axis in multiscale["axes"]]
    multiscale["datasets"] = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {"type": "scale", "scale": [step * factor**level for step, factor in zip(transform["scale"], factors, strict=True)]}
            ],
        }
        for level in range(count)
    ]
    group.attrs.update(ome if _IS_ZARR_2 else {"ome": ome})


def _chunks(shape: Shape, axes: str) -> tuple[int, ...]:
    largest = dict(zip(AXES, (1, 1, 16, 256, 256) if shape[2] > 1 else (1, 1, 1, 512, 512), strict=True))
    return tuple(min(largest[axis], max(1, shape[AXES.index(axis)])) for axis in axes)


def _multiscale(axes: str, pixel_size: PixelSize) -> dict[str, Any]:
    kinds = {"T": "time", "C": "channel"}
    sizes = dict(zip("ZYX", pixel_size, strict=True))
    described = [{"name": axis.lower(), "type": kinds.get(axis, "space")} for axis in axes]
    for axis, entry in zip(axes, described, strict=True):
        if sizes.get(axis):
            entry["unit"] = "micrometer"
    scale = {"type": "scale", "scale": [float(sizes.get(axis) or 1.0) for axis in axes]}
    return {"name": "image", "axes": described, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}


def _omero(channel_names: tuple[str, ...], dtype: np.dtype) -> dict[str, Any]:
    if not channel_names:
        return {}
    top = float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
    window = {"min": 0.0, "start": 0.0, "end": top, "max": top}
    return {"omero": {"channels": [{"label": name, "color": "FFFFFF", "active": True, "window": window} for name in channel_names]}}


def _image_label(colours: Mapping[int, tuple[int, int, int]] | None) -> dict[str, Any]:
    """What tells viewers that an image holds labels; without colours they choose some."""
    if colours is None:
        return {}
    return {"image-label": {"colors": [{"label-value": label, "rgba": [*colour, 255]} for label, colour in colours.items()]}}
