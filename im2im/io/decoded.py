"""A folder of decoded images, for formats that are slow to read: each is decoded once, in its own type, and then read by offset."""

import json
import logging
import math
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import product
from pathlib import Path

import numpy as np

from im2im.axes import Region
from im2im.files import replacing
from im2im.io.formats import ZARR, kind
from im2im.io.image import Image, SlicedArray
from im2im.io.pages import StoredPages
from im2im.io.store import stamp

log = logging.getLogger(__name__)

GIGABYTE = 10**9
SUFFIX = ".pixels"

_WITHOUT_ROOM: set[Path] = set()  # copies that are not tried again


@dataclass(frozen=True)
class DecodedReader:
    """Opens images whose pixels are read from their decoded copy; those that lie uncompressed in a file, or in Zarr, are read from there.

    Args:
        reader: Opens a path as one image per scene.
        folder: Of the copies, for any number of data and processes.
        limit: GB that all copies together may take; those that were not used for longest go first.
    """

    reader: Callable[[Path], list[Image]]
    folder: Path
    limit: float

    def __call__(self, path: Path) -> list[Image]:
        """Open a file (or ``.zarr`` folder)."""
        images = self.reader(path)
        return [image if _fast(image) else replace(image, load=Decoded(image, self._copy(image), self.limit)) for image in images]

    def _copy(self, image: Image) -> Path:
        """Name the copy after what the file is now and how it was opened."""
        identity = [os.path.abspath(image.path), stamp(image.path), image.scene, image.shape, image.axes, image.dtype.str]
        return self.folder / f"{blake2b(json.dumps(identity).encode(), digest_size=16).hexdigest()}{SUFFIX}"


@dataclass(frozen=True)
class Decoded:
    """Reads regions from the decoded copy of an image, which is made when there is none.

    Args:
        image: The original.
        copy: Where the copy lies.
        limit: GB of all copies in that folder.
    """

    image: Image
    copy: Path
    limit: float

    def __call__(self, region: Region) -> np.ndarray:
        """Region (TCZYX) → TCZYX."""
        with suppress(FileNotFoundError):  # another process may take the copy away, to make room for a new one
            if self.copy.is_file() or self._make():
                return self._read(region)
        return self.image.load(region)

    def _read(self, region: Region) -> np.ndarray:
        os.utime(self.copy)  # it was used now
        shape, dtype = self.image.shape, self.image.dtype
        offsets = np.arange(math.prod(shape[:3])) * (math.prod(shape[3:]) * dtype.itemsize)
        return SlicedArray(StoredPages(self.copy, offsets, shape, dtype, plane_axes=2), "TCZYX")(region)

    def _make(self) -> bool:
        """Decode stack by stack; tells whether there is room for that."""
        times, channels, *stack = self.image.shape
        size = math.prod(self.image.shape) * self.image.dtype.itemsize
        self.copy.parent.mkdir(parents=True, exist_ok=True)
        if self.copy in _WITHOUT_ROOM or not _make_room(self.copy.parent, size, int(self.limit * GIGABYTE)):
            _WITHOUT_ROOM.add(self.copy)
            return False
        with replacing(self.copy) as temporary, temporary.open("wb") as file:
            for time, channel in product(range(times), range(channels)):
                part = self.image.load((slice(time, time + 1), slice(channel, channel + 1), *(slice(0, length) for length in stack)))
                file.write(np.ascontiguousarray(part).data)
        return True


def _fast(image: Image) -> bool:
    return kind(image.path.name) in ZARR or (isinstance(image.load, SlicedArray) and isinstance(image.load.array, StoredPages))


def _make_room(folder: Path, size: int, limit: int) -> bool:
    """Remove the copies that were not used for longest until one more fits; False where it fits nowhere."""
    if size > min(limit, shutil.disk_usage(folder).free):
        log.warning("no room for %.1f GB in %s; raise data.cache_limit, or choose another data.cache", size / GIGABYTE, folder)
        return False
    copies = sorted(((path.stat().st_mtime, path.stat().st_size, path) for path in folder.glob(f"*{SUFFIX}")), reverse=True)
    total = size
    for _, length, path in copies:
        total += length
        if total > limit:
            path.unlink(missing_ok=True)
    return True
