"""Pages of a TIFF as arrays that are read by the slice.

Neither class holds a file open, so that both can be pickled and used by several workers at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile

from im2im.io.unreadable import UnreadableImageError, naming


@dataclass(frozen=True, eq=False)
class StoredPages:
    """Planes of pixels that lie in a file as they are; only the rows that are asked for are read.

    Plain reads by offset: a memory map would pull in what lies around them.

    Args:
        path: Of the file.
        offsets: Of each plane in bytes, (P,).
        shape: Of the whole array; its leading axes count the planes.
        dtype: With the byte order of the file.
        plane_axes: How many trailing axes make a plane; the first of them counts its rows.
    """

    path: Path
    offsets: np.ndarray
    shape: tuple[int, ...]
    dtype: np.dtype
    plane_axes: int

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
        """The region, one slice with start and stop for each axis, in the byte order of the file."""
        leading, rows, within = region[: -self.plane_axes], region[-self.plane_axes], region[1 - self.plane_axes :]
        row_shape = self.shape[1 - self.plane_axes :]
        skipped = rows.start * math.prod(row_shape) * self.dtype.itemsize
        offsets = self.offsets.reshape(self.shape[: -self.plane_axes])[leading]
        block = np.empty((rows.stop - rows.start, *row_shape), self.dtype)
        part, content = block[(slice(None), *within)], block.reshape(-1).view(np.uint8).data
        planes = np.empty((offsets.size, *part.shape), self.dtype)
        with naming(self.path), open(self.path, "rb", buffering=0) as file:
            for plane, offset in zip(planes, (offsets.ravel() + skipped).tolist(), strict=True):
                file.seek(offset)
                _read_into(content, file, self.path)
                plane[...] = part
        return planes.reshape(offsets.shape + part.shape)


def _read_into(missing: memoryview, file: FileIO, path: Path) -> None:
    while missing:
        count = file.readinto(missing)
        if not count:
            raise UnreadableImageError(path, f"it ends {len(missing)} bytes too early; the file is truncated")
        missing = missing[count:]


class Segments(NamedTuple):
    """Where the strips or tiles of one page lie."""

    path: str
    offsets: Sequence[int]
    bytecounts: Sequence[int]


@dataclass(frozen=True, eq=False)
class EncodedPages:
    """Pages that are compressed, packed or scattered; only the strips or tiles that are asked for are decoded.

    Args:
        path: Of the file with the page that says how all of them are encoded.
        keyframe: Index of that page.
        pages: In order.
        shape: Of the whole array; its leading axes count the pages.
        dtype: Of the pixels, native byte order.
        page_axes: How many trailing axes make a page.
    """

    path: Path
    keyframe: int | tuple[int, ...]
    pages: tuple[Segments, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    page_axes: int

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
        """The region, one slice with start and stop for each axis."""
        leading, within = region[: -self.page_axes], region[-self.page_axes :]
        chosen = np.arange(len(self.pages)).reshape(self.shape[: -self.page_axes])[leading]
        planes = np.empty((chosen.size, *(part.stop - part.start for part in within)), self.dtype)
        with naming(self.path), tifffile.TiffFile(self.path) as tif:
            keyframe: Any = tif.pages[self.keyframe]
            for plane, number in zip(planes, chosen.ravel(), strict=True):
                plane[...] = _decode(keyframe, self.pages[number], within).reshape(plane.shape)
        return planes.reshape(chosen.shape + planes.shape[1:])


def _decode(keyframe: tifffile.TiffPage, segments: Segments, within: tuple[slice, ...]) -> np.ndarray:
    """Part of one page, PZYXS: separate sample, depth, row, column, interleaved sample."""
    region = _normalized(keyframe, within)
    chunk = (1, keyframe.tiledepth if keyframe.is_tiled else 1, *_chunk(keyframe), keyframe.shaped[4])
    first = [part.start // length for part, length in zip(region, chunk, strict=True)]
    last = [-(-part.stop // length) for part, length in zip(region, chunk, strict=True)]
    grid = [-(-full // length) for full, length in zip(keyframe.shaped, chunk, strict=True)]
    needed = np.arange(math.prod(grid)).reshape(grid)[tuple(map(slice, first, last))]
    origin = [number * length for number, length in zip(first, chunk, strict=True)]
    ends = [min(number * length, full) for number, length, full in zip(last, chunk, keyframe.shaped, strict=True)]
    canvas = np.zeros([end - start for start, end in zip(origin, ends, strict=True)], keyframe.dtype)
    with open(segments.path, "rb", buffering=0) as file:
        for index in needed.ravel().tolist():
            _place(canvas, origin, keyframe, index, _encoded(file, segments, index))
    return canvas[tuple(slice(part.start - start, part.stop - start) for part, start in zip(region, origin, strict=True))]


def _place(canvas: np.ndarray, origin: list[int], keyframe: tifffile.TiffPage, index: int, encoded: bytes | None) -> None:
    tables = {"jpegtables": keyframe.jpegtables, "jpegheader": keyframe.jpegheader}
    segment, position, _ = keyframe.decode(encoded, index, **tables)
    if segment is None:  # never written: zeros
        return
    sample, *corner = (at - start for at, start in zip(position[:4], origin[:4], strict=True))
    spot = canvas[sample][tuple(slice(start, start + length) for start, length in zip(corner, segment.shape[:3], strict=True))]
    spot[...] = segment[tuple(slice(length) for length in spot.shape)]


def _encoded(file: FileIO, segments: Segments, index: int) -> bytes | None:
    count = segments.bytecounts[index]
    if count == 0:
        return None
    file.seek(segments.offsets[index])
    return file.read(count)


def _chunk(keyframe: tifffile.TiffPage) -> tuple[int, int]:
    if keyframe.is_tiled:
        return keyframe.tilelength, keyframe.tilewidth
    return min(keyframe.rowsperstrip, keyframe.shaped[2]), keyframe.shaped[3]


def _normalized(keyframe: tifffile.TiffPage, within: tuple[slice, ...]) -> list[slice]:
    """Slices along the axes of a page (YX, YXS, SYX, ZYX …) → along PZYXS."""
    axes = keyframe.axes.replace("S", "P", 1) if keyframe.axes.startswith("S") else keyframe.axes
    given = dict(zip(axes, within, strict=True))
    return [given.get(axis, slice(0, length)) for axis, length in zip("PZYXS", keyframe.shaped, strict=True)]
