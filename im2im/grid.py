"""Which of many points lie near a place, without looking at all of them: a grid for compiled loops on a CPU.

It looks around one place at a time, from within a loop of the caller's, where an answer may depend on the one before. That of
:mod:`im2im.losses.neighbours` looks around many places in few steps of tensors, which suits a GPU.

Compiled functions are kept on disk here alone. A caller in another file must not be (``cache=True``): numba would keep a copy of these
within it, and not renew that when this file changes. To compile the callers takes one to two seconds in each process.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
CELLS_PER_REACH = 3
SMALLEST = 1e-30  # precision, for which an infinite reach is finite


class Cells(NamedTuple):
    """M x 3 points sorted into a grid: those of cell c stand from starts[c] to starts[c + 1]."""

    places: Array
    order: Array
    starts: Array
    origin: Array
    size: Array
    shape: Array


def volume(points: Array) -> Array:
    """Turn N x M into M x 3 in double precision: a plane is a volume of one slice, at 0."""
    places = np.zeros((points.shape[1], 3))
    places[:, 3 - len(points) :] = points.T
    return places


def sort_into_cells(points: Array, precisions: Array, largest: float) -> Cells:
    """Sort M x 3 finite points into cells of a third of the reach of typical (3) precisions, but no more cells than points."""
    origin = np.array([column.min() for column in points.T])  # by column: ten times faster than along the first axis
    span = np.array([column.max() for column in points.T]) - origin
    size = np.sqrt(largest / np.maximum(precisions, SMALLEST)) / CELLS_PER_REACH
    while np.prod(np.floor(span / size) + 1) > len(points):
        size = 2 * size
    shape = (np.floor(span / size) + 1).astype(np.int64)
    order, starts = _sort(points, origin, size, shape)
    return Cells(points[order], order, starts, origin, size, shape)


@njit(cache=True, nogil=True)
def distance(centre: Array, precisions: Array, places: Array, index: Any) -> Any:
    """Sum precision times squared distance of one of the places."""
    total = 0.0
    for axis in range(3):
        total += precisions[axis] * (places[index, axis] - centre[axis]) ** 2
    return total


@njit(cache=True, nogil=True)
def near(centre: Array, precisions: Array, largest: float, cells: Cells, found: Array) -> Any:
    """Write into ``found`` which places have a sum of precision times squared distance below the largest, and return how many."""
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for axis in range(3):
        reach = math.sqrt(largest / max(precisions[axis], SMALLEST))
        low[axis] = _cell(centre[axis] - reach, cells.origin[axis], cells.size[axis], cells.shape[axis])
        high[axis] = _cell(centre[axis] + reach, cells.origin[axis], cells.size[axis], cells.shape[axis])
    count = 0
    for z in range(low[0], high[0] + 1):
        for y in range(low[1], high[1] + 1):
            row = (z * cells.shape[1] + y) * cells.shape[2]
            for place in range(cells.starts[row + low[2]], cells.starts[row + high[2] + 1]):
                if distance(centre, precisions, cells.places, place) < largest:
                    found[count] = place
                    count += 1
    return count


@njit(cache=True, nogil=True)
def _cell(place: Any, origin: Any, size: Any, number: Any) -> Any:
    """Give the cell of a place along an axis, the outermost one for all beyond; in ascending order, hence no point of a box is missed."""
    return int(min(max((place - origin) / size, 0.0), number - 1.0))


@njit(cache=True, nogil=True)
def _sort(points: Array, origin: Array, size: Array, shape: Array) -> tuple[Array, Array]:
    """Sort by cell by counting; within a cell the order stays."""
    cells = np.empty(len(points), np.int64)
    starts = np.zeros(shape.prod() + 1, np.int64)
    for index in range(len(points)):
        cell = 0
        for axis in range(3):
            cell = cell * shape[axis] + _cell(points[index, axis], origin[axis], size[axis], shape[axis])
        cells[index] = cell
        starts[cell + 1] += 1
    starts = np.cumsum(starts)
    order, place = np.empty_like(cells), starts[:-1].copy()
    for index, number in enumerate(cells):
        order[place[number]] = index
        place[number] += 1
    return order, starts
