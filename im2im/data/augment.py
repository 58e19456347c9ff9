"""Random changes of training patches by MONAI's transforms, replayable from one number."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from monai.transforms.transform import Randomizable


@dataclass(frozen=True)
class Augmentation:
    """Apply named transforms in order.

    Args:
        transforms: Name to MONAI dictionary transform on "source", "target" and "cost_map", arrays C(Z)YX.
    """

    transforms: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)

    def __call__(self, sample: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
        """Change a sample; the same seed makes the same change. What would change its shape, a turn of an oblong patch, is left out."""
        changed: dict[str, Any] = sample
        for place, transform in enumerate(self.transforms.values()):
            if isinstance(transform, Randomizable):
                transform.set_random_state(seed + place)
            candidate = transform(dict(changed))
            if all(candidate[role].shape == array.shape for role, array in sample.items()):
                changed = candidate
        return {role: np.ascontiguousarray(array, dtype=np.float32) for role, array in changed.items()}
