"""Early stopping that counts optimizer steps."""

import math
import sys
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import callbacks
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason
from torch import Tensor

from im2im.report.notation import amount, number


class EarlyStopping(callbacks.EarlyStopping):
    """Lightning's early stopping, with a patience in optimizer steps, on a smoothed value.

    Epochs differ in length from one data set to another, and the validation of a few patches is noisy. Where the schedule of the learning
    rate ends with the time of the training, no patience ends it earlier: the rate has yet to fall.

    Args:
        monitor: Name of a logged value.
        patience_steps: Optimizer steps without a better smoothed value.
        smoothing: Weight of the earlier smoothed value against the new one, from 0 (none) to below 1.
        patience: Validations without a better smoothed value; instead of ``patience_steps`` where given.
        mode: "min" where less is better, "max" where more is.
        min_delta: By which a value must be better to count.
        stopping_threshold: At which the training ends.
        divergence_threshold: At which it ends as well, having become worse.
        strict: Whether it is an error that the value is not logged.
        check_finite: Whether it ends when the value is NaN or infinite.
        verbose: Whether each better value is told.

    Raises:
        ValueError: The smoothing is not a share below 1.
    """

    def __init__(  # noqa: PLR0913, PLR0917, Lightning's own
        self,
        monitor: str,
        patience_steps: int = 5000,
        smoothing: float = 0.7,
        patience: int | None = None,
        mode: str = "min",
        min_delta: float = 0.0,
        stopping_threshold: float | None = None,
        divergence_threshold: float | None = None,
        strict: bool = True,
        check_finite: bool = True,
        verbose: bool = False,
    ) -> None:
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing is a share below 1, got {smoothing}; change callbacks.early_stopping.smoothing")
        super().__init__(
            monitor,
            min_delta,
            patience or 1,
            mode=mode,
            stopping_threshold=stopping_threshold,
            divergence_threshold=divergence_threshold,
            strict=strict,
            check_finite=check_finite,
            verbose=verbose,
        )
        self.patience_steps, self.smoothing, self.given_patience = patience_steps, smoothing, patience
        self.smoothed: Tensor | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count how many validations the patience is."""
        super().on_train_start(trainer, pl_module)
        self.stopping_reason, self.stopping_reason_message = EarlyStoppingReason.NOT_STOPPED, None  # of a training that goes on
        if any(getattr(config.scheduler, "ends_by_time", False) for config in trainer.lr_scheduler_configs):
            self.patience = sys.maxsize
        elif self.given_patience is not None:
            self.patience = self.given_patience
        else:
            accumulate = getattr(getattr(pl_module, "optimization", None), "accumulate", 1)  # batches for each step
            batches = min(float(trainer.val_check_batch or math.inf), trainer.num_training_batches)
            steps = math.ceil(batches / accumulate) * (trainer.check_val_every_n_epoch or 1)
            self.patience = math.ceil(self.patience_steps / max(steps, 1))

    def _evaluate_stopping_criteria(self, current: Tensor) -> tuple[bool, str | None]:
        self.smoothed = current if self.smoothed is None else self.smoothing * self.smoothed.to(current) + (1 - self.smoothing) * current
        should_stop, reason = super()._evaluate_stopping_criteria(self.smoothed)
        if self.stopping_reason == EarlyStoppingReason.NON_FINITE_METRIC:
            reason = f"{self.monitor} is {'NaN' if torch.isnan(current) else 'infinite'}"
        elif self.stopping_reason == EarlyStoppingReason.PATIENCE_EXHAUSTED:
            best = number(float(self.best_score))
            reason = f"{self.monitor} did not improve in {amount(self.wait_count, 'validation')}, its best smoothed value is {best}"
        return should_stop, reason

    def state_dict(self) -> dict[str, Any]:
        """Give Lightning's state and the smoothed value."""
        return {**super().state_dict(), "smoothed": self.smoothed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state of an interrupted training."""
        super().load_state_dict(state_dict)
        self.smoothed = state_dict.get("smoothed")
