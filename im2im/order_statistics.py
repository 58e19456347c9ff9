"""The values at some places of a sorted sequence that is too long to be sorted: by its digits, the most significant ones first."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGIT = 16  # bits that are counted in one pass


def order_statistics(blocks: Iterable[NDArray[Any]], positions: Sequence[int]) -> list[float]:
    """Return the values that stand at some positions, from 0 on, once all values are sorted.

    All values are gone through once for each 16 bits of their type; nothing but a table of counts is kept.

    Args:
        blocks: One-dimensional arrays of one type of 32 or 64 bits, finite; can be gone through again and again.
        positions: Each below the number of values.
    """
    dtype = next(iter(blocks)).dtype
    bits = 8 * dtype.itemsize
    found, left = [0] * len(positions), list(positions)
    for shift in range(bits - DIGIT, -1, -DIGIT):
        tables = _count_digits(blocks, sorted(set(found)), shift, bits)
        for place, prefix in enumerate(list(found)):
            cumulated = tables[prefix].cumsum()
            digit = int(np.searchsorted(cumulated, left[place], side="right"))
            left[place] -= int(cumulated[digit - 1]) if digit else 0
            found[place] = prefix << DIGIT | digit
    values = _values(np.array(found, f"u{dtype.itemsize}"), dtype)
    return [float(value) for value in values]


def _count_digits(blocks: Iterable[NDArray[Any]], prefixes: list[int], shift: int, bits: int) -> dict[int, NDArray[np.int64]]:
    """Count the digit at ``shift`` of all values that begin with each of the prefixes."""
    tables = {prefix: np.zeros(1 << DIGIT, np.int64) for prefix in prefixes}
    for block in blocks:
        codes = _codes(block)
        for prefix in prefixes:
            begin = codes if shift + DIGIT == bits else codes[codes >> (shift + DIGIT) == prefix]
            tables[prefix] += np.bincount((begin >> shift).astype(np.int64) & ((1 << DIGIT) - 1), minlength=1 << DIGIT)
    return tables


def _codes(values: NDArray[Any]) -> NDArray[Any]:
    """Turn numbers into unsigned ones of the same order."""
    unsigned = np.dtype(f"u{values.dtype.itemsize}")
    codes, top = np.ascontiguousarray(values).view(unsigned), unsigned.type(1 << (8 * unsigned.itemsize - 1))
    if values.dtype.kind == "u":
        return codes
    if values.dtype.kind == "i":
        return codes ^ top
    return np.where(codes & top, ~codes, codes | top)  # of negative floats the larger ones have the smaller codes


def _values(codes: NDArray[Any], dtype: np.dtype) -> NDArray[Any]:
    """Turn them back."""
    top = codes.dtype.type(1 << (8 * codes.dtype.itemsize - 1))
    if dtype.kind == "u":
        return codes
    if dtype.kind == "i":
        return (codes ^ top).view(dtype)
    return np.where(codes & top, codes ^ top, ~codes).view(dtype)
