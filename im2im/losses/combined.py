"""Several criteria at once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Criterion = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Combined:
    """The weighted sum of criteria.

    Args:
        criteria: By name; each called with (prediction, target, cost_map or None).
        weights: Of each name.
    """

    criteria: dict[str, Criterion]
    weights: dict[str, float]

    def __post_init__(self) -> None:
        """Refuse names that do not match."""
        if self.criteria.keys() != self.weights.keys():
            raise ValueError(f"criteria {sorted(self.criteria)} need one weight each, got {sorted(self.weights)}; change criterion.weights")

    @property
    def of_images(self) -> bool:
        """Whether any of them compares intensities."""
        return any(getattr(criterion, "of_images", False) for criterion in self.criteria.values())

    def __call__(self, prediction: Tensor, target: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Compare BC(Z)YX with BC(Z)YX; pixels whose cost map is not above 0 take no part."""
        return torch.stack(
            [self.weights[name] * criterion(prediction, target, cost_map) for name, criterion in self.criteria.items()]
        ).sum()
