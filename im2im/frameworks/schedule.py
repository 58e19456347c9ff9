"""Learning-rate schedules that end when the training does."""

import math
import time
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from im2im.report.notation import seconds_of


class Cosine(LRScheduler):
    """Half a cosine from the learning rate to zero, after a linear warm-up (Loshchilov & Hutter, 2017).

    How far the training has come is the larger share of its epochs and of its time, so that the schedule is complete whichever ends first.

    Args:
        optimizer: Whose learning rates change.
        max_epochs: Epochs of the training; -1 where its time alone ends it.
        max_time: Time of the training as DD:HH:MM:SS; None for no limit.
        warm_up: Share of the training in which the rate rises.
    """

    def __init__(self, optimizer: Optimizer, max_epochs: int, max_time: str | None = None, warm_up: float = 0.0) -> None:
        if not 0 <= warm_up < 1:
            raise ValueError(f"warm_up is a share of the training below 1, got {warm_up}; change scheduler.warm_up")
        self.max_epochs, self.warm_up = math.inf if max_epochs == -1 else max_epochs, warm_up
        self.max_seconds = seconds_of(max_time) if max_time else math.inf
        self.spent, self.start = 0.0, time.monotonic()
        super().__init__(optimizer)

    @property
    def ends_by_time(self) -> bool:
        """Whether the rate falls with the time of the training."""
        return self.max_seconds < math.inf

    def progress(self) -> float:
        """Give the share of the training that is over, 0 to 1."""
        elapsed = self.spent + time.monotonic() - self.start
        return min(max(self.last_epoch / self.max_epochs, elapsed / self.max_seconds), 1.0)

    def get_lr(self) -> list[Any]:
        """Give the learning rate of each group for the coming epoch."""
        progress = self.progress()
        factor = (1 + math.cos(math.pi * progress)) / 2
        if self.warm_up and progress < self.warm_up:
            factor *= max(progress / self.warm_up, 0.1)
        return [rate * factor for rate in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """Give what a resumed training needs: the epoch and the time spent."""
        return {"last_epoch": self.last_epoch, "spent": self.spent + time.monotonic() - self.start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved epoch and time; learning rate, max_epochs and max_time may have changed."""
        self.last_epoch, self.spent = state_dict["last_epoch"], state_dict["spent"]
        self.start = time.monotonic()
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
