"""Which image each patch of an epoch comes from."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples fill the unit interval evenly


def in_turn(count: int, position: int) -> int:
    """Number the image at a position of a sequence in which every round goes through all images, each in another order."""
    number, place = divmod(position, count)
    return int(shuffled(count, number)[place])


@lru_cache(maxsize=4)
def shuffled(count: int, *seed: int) -> np.ndarray:
    """Give the numbers below ``count`` in a random order."""
    return np.random.default_rng(seed).permutation(count)


class ByArea:
    """Draws images in proportion to their areas, by systematic sampling: an image has its share of each epoch, rounded up or down.

    The points at which the cumulated area is sampled are equally spaced, and shifted by the golden ratio from epoch to epoch, so that
    small images which not every epoch reaches come at regular intervals.

    Args:
        areas: Pixels of each image; where all are 0, images count alike.
        patches: Of one epoch.
        fraction: Share of the images that an epoch draws from, others in each until all were taken.
    """

    def __init__(self, areas: Sequence[float], patches: int, fraction: float = 1.0) -> None:
        self.areas = np.array(areas, float) if any(areas) else np.ones(len(areas))
        self.patches, self.images = patches, math.ceil(fraction * len(areas))
        self._prepared: tuple[int, np.ndarray, np.ndarray] = (-1, np.array([]), np.array([]))

    def __call__(self, epoch: int, index: int) -> int:
        """Number the image of one patch."""
        numbers, cumulated = self._images(epoch)
        point = (index + epoch * GOLDEN % 1) / self.patches * cumulated[-1]
        return int(numbers[min(int(np.searchsorted(cumulated, point, side="right")), len(numbers) - 1)])

    def _images(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Give the numbers of an epoch's images and their cumulated areas."""
        if self._prepared[0] != epoch:
            count, first = len(self.areas), epoch * self.images
            whole = self.images == count
            numbers = np.arange(count) if whole else np.array([in_turn(count, first + place) for place in range(self.images)])
            areas = self.areas[numbers]
            self._prepared = epoch, numbers, np.cumsum(areas if areas.any() else np.ones(len(areas)))
        return self._prepared[1:]
