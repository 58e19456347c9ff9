"""Where there is something to learn from: the share of foreground and of included pixels in the cells of a coarse grid."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from skimage.filters import threshold_otsu

from im2im.data.index import Entry
from im2im.data.known import known
from im2im.data.side import Side
from im2im.io.store import Store

CELLS = 4096  # of a grid, at most about


@dataclass(frozen=True)
class Density:
    """Shares in the cells of a grid over one image.

    Args:
        edges: Of a cell in pixels, (Z)YX; the last cells of an axis may be shorter.
        shares: Of each cell, (Z)YX, 0 exactly where there is none.
    """

    edges: tuple[int, ...]
    shares: np.ndarray

    @cached_property
    def cumulated(self) -> np.ndarray:
        """Sum of the shares up to each cell, the last axis fastest."""
        return self.shares.ravel().cumsum(dtype=np.float64)

    def __bool__(self) -> bool:
        """Whether any cell has a share."""
        return bool(self.cumulated[-1] > 0)

    def draw(self, shape: tuple[int, ...], patch_size: tuple[int, ...], rng: np.random.Generator) -> tuple[slice, ...]:
        """Draw a region with a cell inside of it, cells by their shares; one smaller than a cell lies inside of that.

        Args:
            shape: Of the image, (Z)YX.
            patch_size: Of the region, (Z)YX; shorter axes of the image are taken as a whole.
            rng: Draws.
        """
        cell = np.searchsorted(self.cumulated, rng.random() * self.cumulated[-1], side="right")
        corner = np.unravel_index(min(int(cell), self.shares.size - 1), self.shares.shape)
        axes = zip(corner, self.edges, shape, patch_size, strict=True)
        return tuple(_around(int(at) * edge, edge, size, patch, rng) for at, edge, size, patch in axes)


def _around(start: int, edge: int, size: int, patch: int, rng: np.random.Generator) -> slice:
    """Place a patch along one axis so that it holds the cell, or lies within it."""
    stop, patch = min(start + edge, size), min(patch, size)
    first, last = sorted((start, stop - patch))
    place = int(rng.integers(max(first, 0), min(last, size - patch) + 1))
    return slice(place, place + patch)


def densities(
    entry: Entry, target: Side, patch_size: tuple[int, ...], store: Store, ignore_index: int | None = None
) -> tuple[Density, Density]:
    """Give where foreground is, and where pixels are included, in cells that fit into a patch.

    Foreground are the labels above 0, each of them with the same share, or what is brighter than the threshold of Otsu ("A threshold
    selection method from gray-level histograms", 1979), in any channel of the target; pixels whose cost map is 0 or
    whose label is the ignored one count for neither.
    """
    shape = target.spatial_shape(entry.target)
    edge = max(1, math.ceil((math.prod(shape) / CELLS) ** (1 / len(shape))))
    edges = [min(edge, length, patch) for length, patch in zip(shape, patch_size, strict=True)]
    what = f"labels of equal shares and included pixels in cells of {edges}, labels: {target.labels}, by {target.reader}"
    if ignore_index is not None:
        what += f", without {ignore_index}"
    fact = known(store, what, entry.target, entry.time, entry.cost_map, lambda: _find(entry, target, edges, ignore_index))
    foreground, included = (Density(tuple(fact["edges"]), np.array(fact[name], np.float64)) for name in ("foreground", "included"))
    return foreground, included


def _find(entry: Entry, target: Side, edges: list[int], ignore_index: int | None) -> dict[str, Any]:
    image = target.array(entry.target, time=entry.time)
    included = np.ones(image.shape[1:], bool)
    if entry.cost_map is not None:
        included = target.array(entry.cost_map, time=entry.time)[0] > 0
    if ignore_index is not None:
        included &= image[0] != ignore_index
    if target.labels:
        foreground = np.sum([_equal(np.where(included, channel, 0)) for channel in image], axis=0)
    else:
        foreground = np.any([channel > _threshold(channel) for channel in image], axis=0) & included
    return {"edges": edges, "foreground": _shares(foreground, edges), "included": _shares(included, edges)}


def _equal(labels: np.ndarray) -> np.ndarray:
    """Weigh the pixels of labels above 0 so that each label has the same share: the rarest class, or the smallest object, has 1."""
    found, counts = np.unique(labels, return_counts=True)
    weights = np.where(found > 0, counts[found > 0].min(initial=labels.size) / counts, 0)
    return weights[np.searchsorted(found, labels)]


def _threshold(image: np.ndarray) -> float:
    finite = image[np.isfinite(image)]
    return float(threshold_otsu(finite)) if finite.size and finite.min() < finite.max() else math.inf


def _shares(weights: np.ndarray, edges: list[int]) -> list[Any]:
    """Give the mean of each cell to four digits, more than 0 wherever a pixel is."""
    total, size = weights.astype(np.float64), np.ones((1,) * weights.ndim, np.int64)
    for axis, (edge, length) in enumerate(zip(edges, weights.shape, strict=True)):
        starts = np.arange(0, length, edge)
        total = np.add.reduceat(total, starts, axis=axis)
        size = size * np.expand_dims(np.diff(starts, append=length), [other for other in range(weights.ndim) if other != axis])
    return np.vectorize(lambda share: float(f"{share:.4g}"), otypes=[float])(total / size).tolist()
