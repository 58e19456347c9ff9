"""From probabilities to labels, and corrections of labels that every biologist makes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

Step = Callable[[np.ndarray], np.ndarray]


def foreground(probability: np.ndarray, threshold: float | str) -> np.ndarray:
    """Tell which pixels are foreground.

    Args:
        probability: 0 to 1, (Z)YX.
        threshold: A probability, or "otsu" for the one that parts the histogram best (Otsu, 1979); 0.5 where all pixels are alike.

    Raises:
        ValueError: The threshold is neither.
    """
    require_threshold(threshold)
    if threshold == "otsu":
        return probability > (threshold_otsu(probability) if np.ptp(probability) > 0 else 0.5)
    return probability > threshold


def require_threshold(threshold: float | str) -> None:
    """Raise ValueError unless it is a probability between 0 and 1, or "otsu"."""
    if threshold != "otsu" and (isinstance(threshold, str) or not 0 < threshold < 1):
        raise ValueError(f"a threshold is a probability between 0 and 1, or otsu, got {threshold}; change task.threshold")


@dataclass(frozen=True)
class RemoveSmall:
    """Turn connected pieces of a class that are too small into background.

    Args:
        min_size: Pixels that a piece needs to stay.
    """

    min_size: int

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Change a label image (Z)YX; gives a new one."""
        kept = labels.copy()
        for label in np.unique(labels[labels > 0]):
            pieces, _ = ndimage.label(labels == label)
            sizes = np.bincount(pieces.ravel())
            kept[(sizes < self.min_size)[pieces] & (pieces > 0)] = 0
        return kept


@dataclass(frozen=True)
class FillHoles:
    """Give background that one class encloses to that class.

    Args:
        max_size: Pixels of the largest hole that is filled; None for any.
    """

    max_size: int | None = None

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Change a label image (Z)YX; gives a new one."""
        filled = labels.copy()
        for label in np.unique(labels[labels > 0]):
            holes = ndimage.binary_fill_holes(labels == label) & (labels == 0)
            if self.max_size is not None:
                pieces, _ = ndimage.label(holes)
                holes &= (np.bincount(pieces.ravel()) <= self.max_size)[pieces]
            filled[holes] = label
        return filled
