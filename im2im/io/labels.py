"""Images of labels: their type, and the colours in which viewers show them."""

import colorsys
from typing import Any

import numpy as np

LABEL_TYPES = ("uint8", "uint16", "uint32")
MOST_COLOURS = 1024  # that a file lists
GOLDEN = 0.618033988749895  # of the colour circle lies between neighbouring numbers


def as_labels(array: np.ndarray, at_least: Any = np.uint16) -> np.ndarray:
    """Give whole numbers the smallest type of labels that holds them.

    Args:
        array: Whole numbers from 0, of any type.
        at_least: Not smaller than this: uint8, uint16 or uint32.

    Raises:
        ValueError: A number is negative, too large, or not whole.
    """
    types = [np.dtype(name) for name in LABEL_TYPES if np.dtype(name).itemsize >= np.dtype(at_least).itemsize]
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    fitting = [dtype for dtype in types if high <= np.iinfo(dtype).max]
    if not (low >= 0 and fitting):
        raise ValueError(f"labels are whole numbers from 0 to {np.iinfo(types[-1]).max}, got {low:g} to {high:g}; correct the labels")
    labels = array.astype(fitting[0])
    if array.dtype.kind == "f" and not np.array_equal(labels, array):
        raise ValueError(f"labels are whole numbers, got {array[labels != array].ravel()[0]:g}; correct the labels")
    return labels


def label_colours(count: int = 256) -> np.ndarray:
    """Colours of the labels from 0 on, which is black; uint8 of shape (count, 3), neighbouring numbers far apart on the colour circle."""
    hues = [(number * GOLDEN % 1.0, 0.5 + 0.3 * (number % 2), 1.0 - 0.2 * (number % 3)) for number in range(1, count)]
    return np.array([(0, 0, 0), *(np.round(np.multiply(colorsys.hsv_to_rgb(*hue), 255)) for hue in hues)], np.uint8)


def present_colours(labels: np.ndarray) -> dict[int, tuple[int, int, int]]:
    """Label → RGB for those that are there; nothing where they are more than a file should list."""
    present = [int(label) for label in np.unique(labels) if label]
    table = label_colours()
    return {label: tuple(table[1 + (label - 1) % 255].tolist()) for label in present} if len(present) <= MOST_COLOURS else {}
