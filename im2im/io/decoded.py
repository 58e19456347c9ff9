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
from im2im.io.formats import OF_SEVERAL_FILES, ZARR, kind
from im2im.io.image import Image, SlicedArray
from im2im.io.pages import StoredPages
from im2im.io.store import stamp

log = logging.getLogger(__name__)

GIGABYTE = 10**9
SUFFIX = ".pixels"

OURS = f"{'[0-9a-f]' * 32}{SUFFIX}"

_WITHOUT_ROOM: set[Path] = set()  # copies that are not tried again
_USED: set[Path] = set()  # copies that this process needs: they make no room for others


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
        files = [(os.path.abspath(path), stamp(path)) for path in (image.path, *image.others)]
        identity = [files, repr(self.reader), image.scene, image.shape, image.axes, image.dtype.str]
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
        _USED.add(self.copy)
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
    return kind(image.path.name) in ZARR | OF_SEVERAL_FILES or (
        isinstance(image.load, SlicedArray) and isinstance(image.load.array, StoredPages)
    )


def _make_room(folder: Path, size: int, limit: int) -> bool:
    """Remove the copies that were not used for longest until one more fits; False where it fits nowhere."""
    listed = [(path.stat().st_mtime, path.stat().st_size, path) for path in folder.glob(OURS)]
    kept = sum(length for _, length, path in listed if path in _USED)
    spare = sorted(one for one in listed if one[2] not in _USED)
    allowed = min(limit, shutil.disk_usage(folder).free + sum(length for _, length, _ in listed))
    if kept + size > allowed:
        log.warning("no room for %.2g GB in %s; raise data.cache_limit, or choose another data.cache", size / GIGABYTE, folder)
        return False
    total = kept + size + sum(length for _, length, _ in spare)
    for _, length, path in spare:
        if total > allowed:
            path.unlink(missing_ok=True)
            total -= length
    return True
