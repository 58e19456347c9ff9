"""Arrays that do not fit into memory."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLAB = 1 << 26  # bytes read at a time
EDGE = (16, 256)  # planes and rows of a slab: the chunks in which large images are mostly stored


@dataclass(frozen=True)
class LargeArray:
    """An array C(Z)YX that is read part by part.

    Args:
        read: Gives a region, one slice with start and stop for each axis.
        region: What of it belongs to the array, likewise.
        dtype: Of the pixels.
    """

    read: Callable[[tuple[slice, ...]], NDArray[Any]]
    region: tuple[slice, ...]
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """C(Z)YX."""
        return tuple(part.stop - part.start for part in self.region)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.region)

    def __getitem__(self, cut: slice | tuple[slice, ...]) -> "LargeArray":
        """Cut along the first axes by slices of step 1; nothing is read."""
        cuts = (cut,) if isinstance(cut, slice) else cut
        bounds = [part.indices(length) for part, length in zip(cuts, self.shape, strict=False)]
        inner = [slice(whole.start + low, whole.start + max(low, high)) for whole, (low, high, _) in zip(self.region, bounds, strict=False)]
        return LargeArray(self.read, (*inner, *self.region[len(inner) :]), self.dtype)

    def slabs(self) -> Iterator[NDArray[Any]]:
        """Read all of it, in parts C(Z)YX of some megabytes, as wide as it is."""
        channels, *spatial = self.region
        sizes = [part.stop - part.start for part in spatial]
        row = self.shape[0] * sizes[-1] * self.dtype.itemsize
        edges = [min(edge, size) for edge, size in zip(EDGE[3 - self.ndim - 1 :], sizes, strict=False)]
        while len(edges) > 1 and edges[0] > 1 and row * math.prod(edges) > SLAB:
            edges[0] //= 2
        edges[-1] = max(1, min(edges[-1], SLAB // (row * math.prod(edges[:-1]))))
        starts = [range(part.start, part.stop, edge) for part, edge in zip(spatial, edges, strict=False)]
        for corner in product(*starts):
            parts = [slice(low, min(low + edge, part.stop)) for low, edge, part in zip(corner, edges, spatial, strict=False)]
            yield self.read((channels, *parts, spatial[-1]))

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Give all values, flat, slab by slab."""
        return (slab.reshape(-1) for slab in self.slabs())
