"""Sorting faster than by comparing floats.

The bits of floats that are not negative are ordered as the floats are, so that one integer of bits and something else sorts by both.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LARGEST_BITS = 0x7FFFFFFF  # of a float32 that is not negative


def descending(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """List the indices of fewer than 2^32 values, none of which is negative, the largest first, of equal ones the first.

    Sorting integers in place is ten times faster than a stable sort of their indices.
    """
    bits: NDArray[Any] = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
    keys = ((LARGEST_BITS - bits) << 32) | np.arange(len(values))
    keys.sort()
    return keys & 0xFFFFFFFF


def descending_in_groups(values: Tensor, group: Tensor) -> Tensor:
    """List the indices of float32 values, none of which is negative, by ascending group and in a group the largest first; on any device."""
    return torch.sort((group << 32) | (LARGEST_BITS - values.detach().contiguous().view(torch.int32).long())).indices
