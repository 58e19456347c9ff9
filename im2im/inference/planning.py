"""Where the tiles of an image lie: arithmetic on lengths alone, the mirror image of joining them again."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

Region = tuple[slice, ...]
Margin = tuple[tuple[int, int], ...]
Cut = tuple[slice, slice, slice, tuple[int, int]]  # read, write, inner and margin along one axis
Cover = Callable[[int, int, int, int], tuple[int, int]]  # size, tile, halo, multiple → number of tiles and their length
BLOCK = 64  # pixels of which a chunk of a result has whole ones


@dataclass(frozen=True)
class Tile:
    """Where a tile comes from and where its prediction goes.

    ::

        image         |-----------------------------------------|
        read                |-------------------|                 halo included
        write                   |-----------|                     the write regions of all tiles make up the image
        inner               0   |-----------|                     the write region, counted from the start of read

    Where a tile reaches beyond the image, the image is mirrored::

        image               |-----------------------------------------|
        margin, read    |...|---------------|
        write               |-----------|

    Attributes:
        read: Slices of the image's (Z)YX.
        write: Slices of the result's (Z)YX.
        inner: Slices of the (Z)YX of the tile's own prediction.
        margin: Pixels of the mirrored image before and after what is read, for each of (Z)YX.
    """

    read: Region
    write: Region
    inner: Region
    margin: Margin


def plan(
    shape: Sequence[int], tile: Sequence[int], halo: Sequence[int], multiple: Sequence[int], border: Sequence[int] | None = None
) -> list[Tile]:
    """Cover an image evenly with tiles.

    An axis that fits into the tile with its border is not cut. Along the others there are as few tiles as the halo allows, made as small
    as this number allows. Tiles start at multiples and are multiples long, with their margins.

    Args:
        shape: Of the image, (Z)YX; so are the others.
        tile: Largest length of a tile; rounded up to a multiple.
        halo: How many pixels a tile reads at least beyond those that it writes, on each side but the image's border.
        multiple: The network's total stride.
        border: How many pixels of the mirrored image tiles see beyond its ends, at most as many as the halo; both are rounded up to a
            multiple.

    Returns:
        Tiles whose write regions cover every pixel once, the last axis fastest.

    Raises:
        ValueError: The tile has no room for its halo.
    """
    axes = [_cut(*lengths) for lengths in zip(shape, tile, halo, multiple, border or (0,) * len(shape), strict=True)]
    return [Tile(*zip(*cuts, strict=True)) for cuts in product(*axes)]


def plan_grid(
    shape: Sequence[int], tile: Sequence[int], halo: Sequence[int], multiple: Sequence[int], border: Sequence[int] | None = None
) -> list[Tile]:
    """Cover an image with tiles that write the cells of a grid, for results that are stored by chunk.

    An axis that fits into the tile with its border is not cut. Along the others each tile writes as many pixels as a halo on both sides,
    rounded up to a multiple, leaves of it; the last one what is left. All tiles are of one size and start at multiples. Arguments, result
    and errors are those of :func:`plan`.
    """
    axes = [_cells(*lengths) for lengths in zip(shape, tile, halo, multiple, border or (0,) * len(shape), strict=True)]
    return [Tile(*zip(*cuts, strict=True)) for cuts in product(*axes)]


@dataclass(frozen=True)
class Halo:
    """How far a tile reaches into its neighbours.

    Args:
        overlap: Fraction of a tile that it shares with its neighbour, half of it on each side.
        pixels: Instead, a number of pixels for each axis, (Z)YX.
    """

    overlap: float = 0.25
    pixels: tuple[int, ...] | None = None

    def __call__(self, tile: Sequence[int]) -> tuple[int, ...]:
        """Give the pixels on each side of a tile (Z)YX."""
        return tuple(self.along(axis, length) for axis, length in enumerate(tile))

    def along(self, axis: int, length: int) -> int:
        """Give them for one axis."""
        return self.pixels[axis] if self.pixels is not None else int(self.overlap * length / 2 + 0.5)

    def smallest(self, axis: int, multiple: int) -> int:
        """Give the smallest length of a tile, in multiples, of which both sides leave one to write."""
        return next(count for count in itertools.count(1) if self._leaves_room(axis, count, multiple))

    def largest(self, axis: int, count: int, multiple: int) -> int:
        """Give the largest such length up to ``count`` multiples, or the smallest where all are longer."""
        fitting = (shorter for shorter in range(count, 0, -1) if self._leaves_room(axis, shorter, multiple))
        return next(fitting, None) or self.smallest(axis, multiple)

    def _leaves_room(self, axis: int, count: int, multiple: int) -> bool:
        return 2 * _ceil(self.along(axis, count * multiple), multiple) < count


def choose_tile(shape: Sequence[int], halo: Halo, multiple: Sequence[int], max_voxels: int, grid: bool = False) -> tuple[int, ...]:
    """Return the tile within a number of voxels with which a network computes the fewest voxels, halos included.

    Its sides are half to twice those of a cube, less where the image is: a thin tile would have a thin halo.

    Args:
        shape: Of the image, (Z)YX.
        halo: How far it reaches into its neighbours.
        multiple: The network's total stride, (Z)YX.
        max_voxels: What the tile may hold at most; exceeded only where a side has no room for the halo otherwise.
        grid: Tiles are to write the cells of a grid.
    """
    padded = round_up(shape, multiple)
    cube = _cube(padded, halo, multiple, max_voxels)
    axes = [
        _choices(axis, *lengths, halo, _pieces if grid else _spread)
        for axis, lengths in enumerate(zip(padded, cube, multiple, strict=True))
    ]
    tiles = [sides for sides in product(*axes) if math.prod(length for length, _ in sides) <= max_voxels]
    if not tiles:
        return cube
    cheapest = min(tiles, key=lambda sides: (math.prod(computed for _, computed in sides), max(length for length, _ in sides)))
    return tuple(length for length, _ in cheapest)


def round_up(lengths: Sequence[int], multiple: Sequence[int]) -> tuple[int, ...]:
    """Return the next multiple of each length."""
    return tuple(_ceil(length, unit) * unit for length, unit in zip(lengths, multiple, strict=True))


def for_axes(multiple: Sequence[int], axes: int) -> tuple[int, ...]:
    """Return one multiple per spatial axis, of which one alone stands for all.

    Raises:
        ValueError: There are neither one nor as many as there are axes.
    """
    if len(multiple) not in (1, axes):
        raise ValueError(
            f"A network's stride needs one entry or one for each of the {axes} spatial axes, got {multiple}; check spatial_dims"
        )
    return tuple(multiple) * (axes // len(multiple))


def _cube(shape: Sequence[int], halo: Halo, multiple: Sequence[int], max_voxels: int) -> tuple[int, ...]:
    """Return the largest tile within a number of voxels that is as near to a cube as axes shorter than its sides allow."""
    tile, left = list(shape), float(max_voxels)
    shortest_first = sorted(range(len(shape)), key=lambda axis: shape[axis])
    for rank, axis in enumerate(shortest_first):
        side = left ** (1 / (len(shape) - rank)) + 1e-6
        if shape[axis] > side:
            tile[axis] = min(halo.largest(axis, int(side) // multiple[axis], multiple[axis]) * multiple[axis], shape[axis])
        left /= tile[axis]
    return tuple(tile)


def _choices(axis: int, size: int, side: int, multiple: int, halo: Halo, cover: Cover) -> list[tuple[int, int]]:
    """Return lengths of a tile around ``side``, each with the pixels that all tiles along the axis have together."""
    if side >= size:
        return [(size, size)]
    choices = {}
    for eighths in range(4, 17):
        longest = min(max(side * eighths // (8 * multiple), 1) * multiple, size)
        pixels = halo.along(axis, longest)
        if 2 * _ceil(pixels, multiple) * multiple < longest:
            count, length = cover(size, longest, pixels, multiple)
            choices[length] = count * length
    return list(choices.items())


def _spread(size: int, tile: int, halo: int, multiple: int) -> tuple[int, int]:
    """Return the fewest tiles that cover an axis, and the smallest length with which so many cover it."""
    whole, longest, shared = (_ceil(length, multiple) for length in (size, tile, 2 * halo))
    if whole <= longest:
        return 1, whole * multiple
    if longest <= shared:
        raise ValueError(_no_room(multiple, halo, tile, shared))
    count = _ceil(whole - shared, longest - shared)
    return count, (_ceil(whole - shared, count) + shared) * multiple


def _cut(size: int, tile: int, halo: int, multiple: int, border: int) -> list[Cut]:
    """Return the tiles along one axis."""
    end, border = _ceil(size, multiple) * multiple, _ceil(min(border, halo), multiple) * multiple
    count, length = _spread(end + 2 * border, tile, halo, multiple)
    room = (end + 2 * border - length) // multiple  # multiples by which the last tile starts later than the first
    starts = [index * room // max(count - 1, 1) * multiple - border for index in range(count)]
    borders = [0, *((earlier + length + later) // 2 for earlier, later in pairwise(starts)), size]
    return [_within(size, start, length, low, high) for start, (low, high) in zip(starts, pairwise(borders), strict=True)]


def _cells(size: int, tile: int, halo: int, multiple: int, border: int) -> list[Cut]:
    """Return the tiles along one axis that write cells of one size."""
    length, edge, end, border = (_ceil(pixels, multiple) * multiple for pixels in (tile, halo, size, min(border, halo)))
    if end + 2 * border <= length:
        return [_within(size, -border, end + 2 * border, 0, size)]
    step = _step(length, edge, multiple)
    if step <= 0:
        raise ValueError(_no_room(multiple, halo, length, 2 * edge // multiple))
    last = end + border - length
    return [_within(size, min(max(low - edge, -border), last), length, low, min(low + step, size)) for low in range(0, size, step)]


def _within(size: int, start: int, length: int, low: int, high: int) -> Cut:
    """Return a tile that may reach beyond an axis and writes from ``low`` to ``high``."""
    read = slice(max(start, 0), min(start + length, size))
    return read, slice(low, high), slice(low - read.start, high - read.start), (read.start - start, start + length - read.stop)


def _pieces(size: int, tile: int, halo: int, multiple: int) -> tuple[int, int]:
    """Return how many tiles of a grid cover an axis, and their length."""
    length, edge = _ceil(tile, multiple) * multiple, _ceil(halo, multiple) * multiple
    return (1, length) if size <= length else (_ceil(size, max(_step(length, edge, multiple), 1)), length)


def _step(length: int, edge: int, multiple: int) -> int:
    """Return how many pixels a tile writes: whole blocks where there is room for one, so that chunks of a good size divide them."""
    step, block = length - 2 * edge, math.lcm(BLOCK, multiple)
    return step - step % block if step >= block else step


def _no_room(multiple: int, halo: int, tile: int, shared: int) -> str:
    return (
        f"A tile at steps of {multiple} has no room for {halo} pixels of overlap on each side, got a length of {tile}; "
        f"raise inference.tile to {(shared + 1) * multiple} or lower inference.overlap"
    )


def _ceil(length: int, unit: int) -> int:
    return -(-length // unit)
