"""Coarser copies of a large OME-Zarr image, which viewers show while one is zoomed out."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from im2im.io.ome_zarr import create_level, describe_levels

COARSEST = 512  # lateral pixels of the last copy, at most


def add_pyramid(path: Path, axes: str, labels: bool) -> None:
    """Halve Y and X of an OME-Zarr image again and again, chunk by chunk; planes are kept.

    Args:
        path: Of an image with its full resolution alone.
        axes: Of its array.
        labels: Keep every second number rather than the mean of four.
    """
    group: Any = zarr.open_group(str(path), mode="a")
    for coarser in [name for name in group if name != "0"]:  # of an attempt that was interrupted
        del group[coarser]
    level, lateral = 0, [axes.index(axis) for axis in "YX"]
    while max(group[str(level)].shape[axis] for axis in lateral) > COARSEST:
        fine = group[str(level)]
        shape = tuple(-(-length // 2) if axis in lateral else length for axis, length in enumerate(fine.shape))
        coarse = create_level(group, str(level + 1), shape, fine.chunks, fine.dtype, axes)
        for region in _chunks(coarse):
            doubled = tuple(slice(2 * part.start, 2 * part.stop) if axis in lateral else part for axis, part in enumerate(region))
            coarse[region] = _halved(np.asarray(fine[doubled]), lateral, labels)
        level += 1
    describe_levels(group, level + 1)


def _chunks(array: Any) -> Iterator[tuple[slice, ...]]:
    starts = [range(0, length, chunk) for length, chunk in zip(array.shape, array.chunks, strict=True)]
    for corner in product(*starts):
        yield tuple(slice(low, min(low + chunk, length)) for low, chunk, length in zip(corner, array.chunks, array.shape, strict=True))


def _halved(block: np.ndarray, lateral: list[int], labels: bool) -> np.ndarray:
    first = tuple(slice(None, None, 2) if axis in lateral else slice(None) for axis in range(block.ndim))
    if labels:
        return block[first]
    whole = block.dtype.kind in "iu"
    odd = [(0, block.shape[axis] % 2 if axis in lateral else 0) for axis in range(block.ndim)]
    block = np.pad(block, odd, mode="edge").astype(np.float64 if block.dtype.itemsize > 4 else np.float32)
    for axis in lateral:
        halves = [np.take(block, range(start, block.shape[axis], 2), axis=axis) for start in (0, 1)]
        block = (halves[0] + halves[1]) / 2
    return np.rint(block) if whole else block
