"""Arrays into files, one function per format; ``writer`` sees to names and to half-written files."""

import json
import math
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import tifffile

from im2im.axes import AXES, from_tczyx
from im2im.io.image import Image, PixelSize
from im2im.io.labels import label_colours, present_colours
from im2im.io.ome_zarr import create_zarr

BIG = 3.9e9  # bytes; offsets of a classic TIFF end at 4 GiB
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_OME_TYPES = (*_IMAGEJ_TYPES, "int8", "int16", "int32", "uint32", "float64", "complex64", "complex128")
COLOUR_TAG = (320, "H", 768, (label_colours().T.astype(np.uint16) * 257).ravel().tolist(), True)  # where ImageJ keeps those of one channel


def encode_ome_tiff(path: Path, image: np.ndarray, axes: str, pixel_size: PixelSize, channel_names: tuple[str, ...], labels: bool) -> None:
    """OME-TIFF, uncompressed; ``image`` is TCZYX, of which ``axes`` are stored in that order.

    Labels get no colours: a palette would make RGB of them where files of this kind are read.
    """
    if image.dtype.name not in _OME_TYPES:
        raise ValueError(f"OME-TIFF holds {', '.join(_OME_TYPES)}, got {image.dtype}; write .tif or .ome.zarr instead")
    _write(path, from_tczyx(image, axes), _ome_metadata(axes, pixel_size, channel_names), ome=True)


def _ome_metadata(axes: str, pixel_size: PixelSize, channel_names: tuple[str, ...]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"axes": axes}
    for axis, size in zip("ZYX", pixel_size, strict=True):
        if size:
            metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    if channel_names:
        metadata["Channel"] = {"Name": list(channel_names)}
    return metadata


def _plain_metadata(axes: str, pixel_size: PixelSize, channel_names: tuple[str, ...]) -> dict[str, Any]:
    return {"axes": axes, "pixel_size": pixel_size, "channel_names": channel_names}


def encode_tiff(path: Path, image: np.ndarray, axes: str, pixel_size: PixelSize, channel_names: tuple[str, ...], labels: bool) -> None:
    """ImageJ hyperstack where ImageJ knows the type and the size, else TIFF with the same facts in tifffile's words.

    Only ImageJ shows the colours of labels; whoever reads the file gets the numbers.
    """
    z, y, x = pixel_size
    half_known = bool(z) and not (x and y)  # ImageJ would take a pixel of 1 for the unknown ones
    if image.dtype.name not in _IMAGEJ_TYPES or image.nbytes > BIG or half_known:
        _write(path, from_tczyx(image, axes), _plain_metadata(axes, pixel_size, channel_names), ome=False)
        return
    ordered = "".join(axis for axis in "TZCYX" if axis in axes)
    metadata: dict[str, Any] = {"axes": ordered} | ({"mode": "composite"} if image.shape[1] > 1 else {})
    if z or (y and x):
        metadata |= {"unit": "um"} | ({"spacing": z} if z else {})
    if channel_names:  # labels are what ImageJ shows, one per plane; the other line is for reading them back
        metadata |= {"channel_names": json.dumps(channel_names), "Labels": list(channel_names) * (image.shape[0] * image.shape[2])}
    if labels:
        metadata |= _shown(image)
    resolution = (1 / x, 1 / y) if x and y else None
    array, tags = from_tczyx(image, ordered), [COLOUR_TAG] if labels and image.shape[1] == 1 else []
    tifffile.imwrite(path, array, imagej=True, resolution=resolution, photometric="minisblack", metadata=metadata, extratags=tags)


def _shown(image: np.ndarray) -> dict[str, Any]:
    """How ImageJ shows labels: up to 255 in a colour each, of more neighbouring ones share a colour."""
    channels, top = image.shape[1], max(255.0, float(image.max(initial=0)))
    return {"min": 0.0, "max": top, "Ranges": [0.0, top] * channels, "LUTs": [label_colours().T] * channels}


def _write(path: Path, array: np.ndarray, metadata: dict[str, Any], ome: bool) -> None:
    tifffile.imwrite(path, array, ome=ome, photometric="minisblack", metadata=metadata, bigtiff=array.nbytes > BIG)


def encode_large_tiff(path: Path, image: Image) -> None:
    """OME-TIFF, or TIFF in tifffile's words, of an image on disk, plane by plane."""
    ome = path.name.endswith((".ome.tif", ".ome.tiff"))
    axes = image.axes
    describe = _ome_metadata if ome else _plain_metadata
    shape = [length for axis, length in zip(AXES, image.shape, strict=True) if axis in axes]
    everything = (slice(None), slice(None))
    planes = (image.read((*(slice(at, at + 1) for at in place), *everything))[0, 0, 0] for place in np.ndindex(image.shape[:3]))
    metadata, big = describe(axes, image.pixel_size, image.channel_names), math.prod(shape) * image.dtype.itemsize > BIG
    tifffile.imwrite(path, planes, shape=shape, dtype=image.dtype, ome=ome, metadata=metadata, photometric="minisblack", bigtiff=big)


def encode_zarr(path: Path, image: np.ndarray, axes: str, pixel_size: PixelSize, channel_names: tuple[str, ...], labels: bool) -> None:
    """OME-Zarr of one resolution; labels say that they are, and their colours."""
    array = from_tczyx(image, axes)
    colours = present_colours(array) if labels else None
    create_zarr(path, array.shape, array.dtype, axes, pixel_size, channel_names, colours=colours)[...] = array


def encode_png(path: Path, image: np.ndarray, axes: str, pixel_size: PixelSize, channel_names: tuple[str, ...], labels: bool) -> None:
    """One grey plane of 8 or 16 bits, or RGB of 8 bits; PNG keeps neither pixel size nor names."""
    plane = image[0, :, 0].transpose(1, 2, 0)
    grey = image.shape[1] == 1 and image.dtype in (np.uint8, np.uint16)
    colour = image.shape[1] == 3 and image.dtype == np.uint8
    if image.shape[0] * image.shape[2] > 1 or not (grey or colour):
        held = f"{image.dtype} of TCZYX shape {image.shape}"
        raise ValueError(f"PNG holds one plane, grey (uint8, uint16) or RGB (uint8), got {held}; write .tif instead")
    iio.imwrite(path, plane[..., 0] if grey else plane, extension=".png")
