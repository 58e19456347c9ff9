"""Random changes of colours, each on its own."""

from typing import Any

import numpy as np
from monai.transforms.transform import Randomizable


class Brightness(Randomizable):
    """Add to each channel of the source a number of its own.

    Args:
        prob: Share of the patches that change.
        factors: Largest number in either direction, relative to the standard deviation of the channel in the patch.

    Raises:
        ValueError: ``factors`` is negative.
    """

    def __init__(self, prob: float = 0.5, factors: float = 0.3) -> None:
        if factors < 0:
            raise ValueError(f"Shifts are 0 or more, got {factors}; change augmentation.transforms.brightness.factors")
        self.prob, self.factors = prob, factors

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Change a sample of arrays C(Z)YX."""
        if self.R.random() >= self.prob:
            return sample
        source = np.asarray(sample["source"], np.float32)
        axes = tuple(range(1, source.ndim))
        shifts = self.R.uniform(-self.factors, self.factors, (len(source), *(1,) * len(axes)))
        return {**sample, "source": (source + shifts * source.std(axis=axes, keepdims=True)).astype(np.float32)}
