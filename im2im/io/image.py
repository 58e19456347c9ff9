"""One scene of one file, opened but not read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from im2im.axes import AXES, Region, Shape, parse, shape_tczyx, to_tczyx

PixelSize: TypeAlias = tuple[float | None, float | None, float | None]
UNKNOWN_SIZE: PixelSize = (None, None, None)


def scene_names(names: Sequence[str]) -> list[str]:
    """Give the names of a file's scenes: "" to a single one, numbers where names are missing or repeat."""
    if len(names) == 1:
        return [""]
    return list(names) if all(names) and len(set(names)) == len(names) else [str(index) for index in range(len(names))]


@dataclass(frozen=True)
class Image:
    """One scene of one file, opened but not read.

    Args:
        path: Of the file; a name for an image in memory.
        shape: TCZYX.
        dtype: Of the pixels.
        axes: As the file has them, a subset of TCZYX in the file's order; RGB samples count as C.
        load: Region (five slices with start and stop, TCZYX) → that region as TCZYX. Can be pickled.
        scene: Name of the scene, "" when the file has only one.
        pixel_size: ZYX in micrometres, None where unknown.
        channel_names: One per channel, or none.
        part: Says which part of the scene this is, "" for all of it.
        others: Files beside ``path`` that hold pixels of it.
    """

    path: Path
    shape: Shape
    dtype: np.dtype
    axes: str
    load: Callable[[Region], np.ndarray]
    scene: str = ""
    pixel_size: PixelSize = UNKNOWN_SIZE
    channel_names: tuple[str, ...] = ()
    part: str = ""
    others: tuple[Path, ...] = ()

    def read(self, region: Region | None = None) -> np.ndarray:
        """Read a region, or everything, as TCZYX.

        Args:
            region: Five slices of step 1, TCZYX; open, negative and too long ones mean what they mean to NumPy.
        """
        region = (slice(None),) * len(AXES) if region is None else tuple(region)
        if len(region) != len(AXES) or any(part.step not in (None, 1) for part in region):
            raise ValueError(f"a region is five slices (TCZYX) of step 1, got {region}; correct the region given to read()")
        bounds = [part.indices(length)[:2] for part, length in zip(region, self.shape, strict=True)]
        return self.load(tuple(slice(start, max(start, stop)) for start, stop in bounds))

    @classmethod
    def from_array(
        cls,
        array: Any,
        axes: str,
        name: str = "array",
        pixel_size: PixelSize = UNKNOWN_SIZE,
        channel_names: tuple[str, ...] = (),
    ) -> "Image":
        """An image in memory, or any lazy array (Zarr, dask, memory map) with a shape and a dtype that can be sliced.

        Args:
            array: In ``axes``.
            axes: A subset of TCZYX in any order.
            name: Stands for the path.
            pixel_size: ZYX in micrometres.
            channel_names: One per channel, or none.
        """
        axes = parse(axes)
        shape = shape_tczyx(tuple(array.shape), axes)
        return cls(
            Path(name), shape, _plain(array.dtype), axes, SlicedArray(array, axes), pixel_size=pixel_size, channel_names=channel_names
        )


@dataclass(frozen=True)
class SlicedArray:
    """Reads regions of anything that can be sliced like an array.

    Args:
        array: In ``axes``; only the slices that are asked for are turned into memory.
        axes: Of the array.
    """

    array: Any
    axes: str

    def __call__(self, region: Region) -> np.ndarray:
        """Region (TCZYX) → TCZYX; in native byte order, and uint8 for bool."""
        part = np.asarray(self.array[tuple(region[AXES.index(axis)] for axis in self.axes)])
        added = tuple(slice(None) if axis in self.axes else cut for axis, cut in zip(AXES, region, strict=True))
        return to_tczyx(part.astype(_plain(part.dtype), copy=False), self.axes)[added]


def _plain(dtype: np.dtype) -> np.dtype:
    """What arithmetic wants: native byte order, and numbers for bool."""
    return np.dtype(np.uint8) if np.dtype(dtype).kind == "b" else np.dtype(dtype).newbyteorder("=")
