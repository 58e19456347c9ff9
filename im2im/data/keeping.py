"""Images that are kept in memory, for good or as long as an epoch takes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from im2im.axes import Region
from im2im.data.index import Entry
from im2im.io.image import Image, SlicedArray

GIGABYTE = 2**30
ROLES = ("source", "target", "cost_map")


def in_memory(entry: Entry, roles: Iterable[str] = ROLES) -> Entry:
    """Read the entry's time point of some of its images, once and for all."""
    read: dict[str, Any] = {role: _in_memory(image, entry.time) for role, image in _images(entry, roles).items()}
    return replace(entry, **read)


def gigabytes(entries: Iterable[Entry]) -> float:
    """Give the size of all images of entries; an image in several entries counts once."""
    found = {(id(image), entry.time): _size(image) for entry in entries for image in _images(entry).values()}
    return sum(found.values())


@dataclass(frozen=True)
class TimePoint:
    """Reads regions of one time point in memory; others are not there.

    Args:
        array: 1CZYX.
        time: Index of the time point.
    """

    array: np.ndarray
    time: int

    def __call__(self, region: Region) -> np.ndarray:
        """Region (TCZYX) at that time → 1CZYX."""
        return SlicedArray(self.array, "TCZYX")((slice(region[0].start - self.time, region[0].stop - self.time), *region[1:]))


class Keeping:
    """Reads images as wholes when they are first needed in an epoch, and drops them when another one begins.

    Args:
        limit: GB of images; what goes beyond is read patch by patch.
    """

    def __init__(self, limit: float) -> None:
        self.limit, self.epoch, self._kept = limit, -1, dict[tuple[int, int], Image]()

    def __call__(self, epoch: int, entry: Entry) -> Entry:
        """Give the entry with its images in memory, as far as there is room."""
        if epoch != self.epoch:
            self.epoch, self._kept = epoch, {}
        kept: dict[str, Any] = {role: self._image(image, entry.time) for role, image in _images(entry).items()}
        return replace(entry, **kept)

    def _image(self, image: Image, time: int) -> Image:
        key = id(image), time
        if key not in self._kept:
            if sum(map(_size, self._kept.values())) + _size(image) > self.limit:
                return image
            self._kept[key] = _in_memory(image, time)
        return self._kept[key]


def _in_memory(image: Image, time: int) -> Image:
    array = image.read((slice(time, time + 1), *[slice(None)] * 4))
    return replace(image, load=TimePoint(array, time))


def _size(image: Image) -> float:
    """Gigabytes of one time point."""
    return int(np.prod(image.shape[1:])) * image.dtype.itemsize / GIGABYTE


def _images(entry: Entry, roles: Iterable[str] = ROLES) -> dict[str, Image]:
    return {role: getattr(entry, role) for role in roles if getattr(entry, role) is not None}
