"""Where the labels of a prediction agree with those of the target, as something to look at; the scores are elsewhere."""

from __future__ import annotations

import numpy as np

BACKGROUND, RIGHT, MISSED, EXTRA, OTHER = range(5)
"""Codes of a comparison, in the order of ``colours.AGREEMENT``."""


def compare_classes(target: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare classes pixel by pixel.

    Args:
        target: Whole numbers, 0 is background; any shape.
        prediction: Of the same shape.

    Returns:
        The prediction as it is to be shown, and the code of each pixel.
    """
    codes = np.full(target.shape, OTHER, np.uint8)
    codes[target == prediction] = RIGHT
    codes[(target == 0) & (prediction == 0)] = BACKGROUND
    codes[(target != 0) & (prediction == 0)] = MISSED
    codes[(target == 0) & (prediction != 0)] = EXTRA
    return prediction, codes


def compare_objects(target: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare objects, whose numbers mean nothing: a predicted object takes the number of its partner in the target.

    Partners are two objects of which each overlaps the other most; of a split or merged object only the largest part finds one.

    Args:
        target: Whole numbers, 0 is background; any shape.
        prediction: Of the same shape.

    Returns:
        The prediction with the numbers of the target (those without a partner get new ones), and the code of each pixel.
    """
    true_ids, true_index = np.unique(target, return_inverse=True)
    found_ids, found_index = np.unique(prediction, return_inverse=True)
    overlap = _overlap(true_index.ravel(), found_index.ravel(), len(found_ids))
    overlap = {pair: n for pair, n in overlap.items() if true_ids[pair[0]] != 0 and found_ids[pair[1]] != 0}
    by_size = sorted(overlap, key=overlap.__getitem__)
    best_found = {true: found for true, found in by_size}  # the largest overlap comes last and stays
    best_true = {found: true for true, found in by_size}
    new_ids = np.where(found_ids == 0, 0, int(target.max()) + 1 + np.arange(len(found_ids)))
    for found, true in best_true.items():
        if best_found[true] == found:
            new_ids[found] = true_ids[true]
    shown = new_ids[found_index].reshape(prediction.shape)
    return shown, compare_classes(target.astype(np.int64), shown)[1]


def _overlap(first: np.ndarray, second: np.ndarray, size: int) -> dict[tuple[int, int], int]:
    """How many pixels each pair of indices has in common."""
    pairs, counts = np.unique(first.astype(np.int64) * size + second, return_counts=True)
    return {divmod(int(pair), size): int(count) for pair, count in zip(pairs, counts, strict=True)}
