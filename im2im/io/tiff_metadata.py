"""Pixel sizes, channel names and scenes from what OME, ImageJ and tifffile write into a TIFF."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import tifffile

from im2im.io.image import UNKNOWN_SIZE, PixelSize, scene_names
from im2im.io.units import micrometres


@dataclass(frozen=True)
class Metadata:
    """Of one scene: name ("" when it is the only one), ZYX micrometres, names of channels."""

    scene: str = ""
    pixel_size: PixelSize = UNKNOWN_SIZE
    channel_names: tuple[str, ...] = ()


def metadata_of(tif: tifffile.TiffFile) -> list[Metadata]:
    """One per series; what a file does not say stays unknown."""
    found = [_series_metadata(tif, index) for index in range(len(tif.series))]
    scenes = scene_names([series.name for series in tif.series])
    return [Metadata(scene, one.pixel_size, one.channel_names) for scene, one in zip(scenes, found, strict=True)]


def _series_metadata(tif: tifffile.TiffFile, index: int) -> Metadata:
    if tif.is_ome and tif.ome_metadata:
        return _from_ome(tif, index)
    if tif.is_imagej and tif.imagej_metadata:
        return _from_imagej(tif.imagej_metadata, tif.series[index].keyframe)
    if tif.is_shaped and (described := tif.shaped_metadata) and index < len(described):
        z, y, x = (micrometres(length, "um") for length in described[index].get("pixel_size", UNKNOWN_SIZE))
        return Metadata("", (z, y, x), tuple(described[index].get("channel_names", ())))
    return Metadata()


def _from_ome(tif: tifffile.TiffFile, index: int) -> Metadata:
    images = ElementTree.fromstring(tif.ome_metadata or "").findall("{*}Image")
    if len(images) != len(tif.series):  # tifffile leaves out images without pixels
        images = [image for image in images if image.get("Name") == tif.series[index].name]
        index = 0
    pixels = images[index].find("{*}Pixels") if images else None
    if pixels is None:
        return Metadata()
    z, y, x = (micrometres(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "ZYX")
    names = tuple(channel.get("Name", "") for channel in pixels.findall("{*}Channel"))
    return Metadata("", (z, y, x), names if all(names) else ())


def _from_imagej(found: Mapping[str, Any], page: tifffile.TiffPage) -> Metadata:
    unit = found.get("unit")
    y, x = (micrometres(_per_pixel(page, tag), unit) for tag in ("YResolution", "XResolution"))
    return Metadata("", (micrometres(found.get("spacing"), unit), y, x), _imagej_channels(found))


def _imagej_channels(found: Mapping[str, Any]) -> tuple[str, ...]:
    """As im2im wrote them, else the labels of the planes (channels count fastest) if they repeat from plane to plane."""
    if written := found.get("channel_names"):
        return tuple(json.loads(written))
    labels, channels = list(found.get("Labels") or ()), int(found.get("channels", 1))
    repeated = 1 < channels <= len(labels) and all(label == labels[at % channels] for at, label in enumerate(labels))
    return tuple(labels[:channels]) if repeated else ()


def _per_pixel(page: tifffile.TiffPage, tag: str) -> float | None:
    pixels, units = page.tags[tag].value if tag in page.tags else (0, 0)
    return units / pixels if pixels else None
