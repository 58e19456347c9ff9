"""Which points lie near which centres, without looking at all pairs of the two: a grid for tensors on any device.

It looks around many centres in few large steps; on a CPU the compiled loops of :mod:`im2im.grid`, which look around one place at a time,
are faster and need less memory.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

CELLS_PER_REACH = 4


class Neighbours:
    """Points sorted into a grid of cells, such that those within a box are a few contiguous ranges.

    Args:
        points: N x P, finite, P at least 1.
        reach: Typical half length of a box along each of the N axes, from which the size of the cells follows.
    """

    def __init__(self, points: Tensor, reach: Sequence[float]) -> None:
        self.origin = points.amin(dim=1).tolist()
        span = (points.amax(dim=1) - points.amin(dim=1)).tolist()
        self.size, self.shape = _cells(span, [length / CELLS_PER_REACH for length in reach], limit=points.shape[1])
        cell = torch.zeros(points.shape[1], dtype=torch.long, device=points.device)
        for axis, number in enumerate(self.shape):
            cell = cell * number + self._cell(points[axis], axis)
        self.order = torch.sort(cell).indices
        counts = torch.bincount(cell, minlength=math.prod(self.shape))
        self.starts = torch.cat((counts.new_zeros(1), counts.cumsum(0)))

    def pairs(self, centres: Tensor, reach: Tensor, budget: int) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        """Pair each box with the points in all cells that it touches.

        Args:
            centres: Of K boxes, N x K.
            reach: Half lengths, N x K.
            budget: Largest number of pairs given at a time, except where one box alone has more.

        Yields:
            The first box and the one after the last, and for these one tensor of the boxes and one of the points of all pairs.
        """
        box, start, length = self._ranges(centres, reach)
        totals = torch.zeros(centres.shape[1], dtype=torch.long, device=box.device).index_add_(0, box, length).tolist()
        rows = torch.bincount(box, minlength=centres.shape[1]).tolist()
        first, row = 0, 0
        for last in _chunks(totals, budget):
            part = slice(row, row := row + sum(rows[first:last]))
            repeated = torch.repeat_interleave(length[part])
            before = length[part].cumsum(0) - length[part]
            place = torch.arange(len(repeated), device=box.device) + (start[part] - before)[repeated]
            yield first, last, box[part][repeated], self.order[place]
            first = last

    def _ranges(self, centres: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """List box, start and length of each range of sorted points: one for each row of cells, along the last axis, of each box."""
        low = [self._cell(place - half, axis) for axis, (place, half) in enumerate(zip(centres, reach, strict=True))]
        high = [self._cell(place + half, axis) for axis, (place, half) in enumerate(zip(centres, reach, strict=True))]
        box = torch.arange(centres.shape[1], device=centres.device)
        cell = torch.zeros_like(box)
        for axis, number in enumerate(self.shape[:-1]):
            widths = (high[axis] - low[axis] + 1)[box]
            repeated = torch.repeat_interleave(widths)
            step = torch.arange(len(repeated), device=box.device) - (widths.cumsum(0) - widths)[repeated]
            box = box[repeated]
            cell = cell[repeated] * number + low[axis][box] + step
        start = self.starts[cell * self.shape[-1] + low[-1][box]]
        return box, start, self.starts[cell * self.shape[-1] + high[-1][box] + 1] - start

    def _cell(self, place: Tensor, axis: int) -> Tensor:
        """Give the cell of places along an axis, the outermost one for all beyond; ascending, hence no point of a box is missed."""
        return ((place - self.origin[axis]) / self.size[axis]).clamp(0, self.shape[axis] - 1).long()


def _cells(span: list[float], size: list[float], limit: int) -> tuple[list[float], list[int]]:
    """Choose size and number of cells along each axis: as small as asked for, but not more cells than the limit."""
    while math.prod(int(length / edge) + 1 for length, edge in zip(span, size, strict=True)) > limit:
        size = [2 * edge for edge in size]
    return size, [int(length / edge) + 1 for length, edge in zip(span, size, strict=True)]


def _chunks(sizes: list[int], budget: int) -> Iterator[int]:
    """Yield the ends of runs of neighbours whose sizes sum up to no more than the budget, or of single ones."""
    total = 0
    for index, size in enumerate(sizes):
        if total and total + size > budget:
            yield index
            total = 0
        total += size
    if sizes:
        yield len(sizes)
