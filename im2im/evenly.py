"""A few of many, spread evenly."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def evenly(items: Sequence[T], count: int) -> list[T]:
    """Take at most so many items, evenly from the first to the last; one alone is the first."""
    return [items[place] for place in np.linspace(0, len(items) - 1, min(len(items), count)).round().astype(int)]
