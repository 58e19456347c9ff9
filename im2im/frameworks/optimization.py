"""How parameters move."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True)
class Optimization:
    """Optimizer, schedule, clipping and accumulation; each optimizer of a framework follows the same ones.

    Args:
        optimizer: Makes an optimizer from parameters.
        scheduler: Makes the learning-rate schedule of an optimizer, stepped each epoch.
        gradient_clip: Norm to which gradients are clipped before a step.
        accumulate: Batches whose gradients are averaged for one step.
    """

    optimizer: Callable[[Any], Optimizer]
    scheduler: Callable[[Optimizer], LRScheduler] | None = None
    gradient_clip: float | None = None
    accumulate: int = 1

    def __post_init__(self) -> None:
        """Refuse numbers that train nothing."""
        if self.accumulate < 1:
            raise ValueError(f"accumulate must be at least 1, got {self.accumulate}; set framework.optimization.accumulate=1 or more")
        if self.gradient_clip is not None and self.gradient_clip <= 0:
            raise ValueError(f"gradient_clip must be positive, got {self.gradient_clip}; set framework.optimization.gradient_clip=null")
