"""Sorting faster than by comparing floats."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_BITS = 0x7FFFFFFF  # of a float32 that is not negative


def descending(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """List the indices of fewer than 2^32 values, none of which is negative, the largest first, of equal ones the first.

    The bits of such floats are ordered as they are, so that one integer of bits and index sorts by both; sorting integers in place is
    ten times faster than a stable sort of their indices.
    """
    bits: NDArray[Any] = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
    keys = ((LARGEST_BITS - bits) << 32) | np.arange(len(values))
    keys.sort()
    return keys & 0xFFFFFFFF
