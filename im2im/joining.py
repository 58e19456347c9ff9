"""Objects that were found tile by tile, become those of one image."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint32]
Pair = tuple[int, int]


def same_objects(found: Labels, written: Labels, known: NDArray[np.bool_]) -> list[Pair]:
    """Tell which objects of a tile are those that its neighbours have found already.

    Two objects are one where they share more than half of the pixels that either has where both tiles have looked. That should be close to
    the border of what each writes, so that both see what lies on the other side.

    Args:
        found: Objects of this tile (Z)YX, 0 is background.
        written: Objects that were written before, in the same pixels.
        known: Where something was written before, background included.

    Returns:
        (number in ``found``, number in ``written``) of each pair, ascending.
    """
    here, there = found[known], written[known]
    sizes_here, sizes_there = np.bincount(here), np.bincount(there)
    both = (here > 0) & (there > 0)
    pairs, overlaps = np.unique(np.stack([here[both], there[both]]), axis=1, return_counts=True)
    rows = zip(*pairs.tolist(), overlaps.tolist(), strict=True)
    return [(one, other) for one, other, overlap in rows if 2 * overlap > min(sizes_here[one], sizes_there[other])]


def number_joined(count: int, pairs: Iterable[Pair]) -> Labels:
    """Number objects anew from 1 on, without gaps, after some of them were found to be one.

    Args:
        count: Of all objects, numbered from 1 on.
        pairs: Two numbers of one object each.

    Returns:
        The new number of each old one, from 0, which stays, to ``count``.
    """
    parent = list(range(count + 1))
    for one, other in pairs:
        roots = sorted((_root(parent, one), _root(parent, other)))
        parent[roots[1]] = roots[0]
    roots_of_all = np.array([_root(parent, number) for number in range(count + 1)])
    return np.unique(roots_of_all, return_inverse=True)[1].astype(np.uint32)


def _root(parent: list[int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number
