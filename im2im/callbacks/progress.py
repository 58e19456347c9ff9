"""The progress bar of a training, and how much of the training is left."""

import math
import time
from collections import deque
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar, Timer
from pytorch_lightning.callbacks.progress.rich_progress import RichProgressBarTheme
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

from im2im.report.notation import clock

EPOCHS = 5  # the latest ones, whose mean length counts; the first of a training is often slow
REFRESH = 0.5  # seconds between looks at the loss, each of which waits for the GPU


class TrainingTimeLeft:
    """Estimates the rest of a training from the epochs since it began, or from the steps of the first one."""

    def __init__(self) -> None:
        self.ends = deque[float](maxlen=EPOCHS + 1)  # of epochs, by the monotonic clock; at first the start of the training

    def start(self) -> None:
        """Begin to measure."""
        self.ends.clear()
        self.ends.append(time.monotonic())

    def end_epoch(self) -> None:
        """Measure one more epoch."""
        self.ends.append(time.monotonic())

    def seconds(self, trainer: pl.Trainer, done: int, share: float = 0.0) -> float | None:
        """Give the seconds until the epochs are done or the time is over, whichever comes first.

        Args:
            trainer: Of the training.
            done: Epochs that are complete, those before a resumption among them.
            share: Of the current epoch's steps, how many are done.

        Returns:
            None where nothing tells.
        """
        known = [max(timer_left, 0.0)] if (timer_left := seconds_allowed(trainer)) is not None else []
        total = epochs_wanted(trainer)
        if self.ends and total is not None:
            since = time.monotonic() - self.ends[-1]
            if len(self.ends) > 1:
                each = (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)
                known.append(max(each * (total - done) - since, each * (total - done - 1), 0.0))
            elif share > 0:
                known.append(since / share * (total - done - share))
        return min(known) if known else None


def epochs_wanted(trainer: pl.Trainer) -> int | None:
    """Give the number of epochs, those before a resumption among them; None where there is no limit."""
    return trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs >= 0 else None


def seconds_allowed(trainer: pl.Trainer) -> float | None:
    """Give what is left of ``max_time`` in seconds, negative when it is over; None without one."""
    left = [one.time_remaining() for one in trainer.callbacks if isinstance(one, Timer)]  # type: ignore[attr-defined]
    return min((one for one in left if one is not None), default=None)


def counted(epoch: int, trainer: pl.Trainer) -> str:
    """Write the number of an epoch, which counts from 1: ``epoch 3 of 20``, or ``epoch 3`` without a limit."""
    total = epochs_wanted(trainer)
    return f"epoch {epoch}" if total is None else f"epoch {epoch} of {total}"


class RunProgressBar(RichProgressBar):
    """A RichProgressBar with the loss, the task's metric and the time that is left of the whole training; epochs count from 1.

    It is shown on stderr beside the log lines, where stderr is a terminal, and vanishes at the end.

    Args:
        metric: The validation metric that is shown, as it is logged.
    """

    def __init__(self, metric: str) -> None:
        super().__init__(refresh_rate=10, theme=RichProgressBarTheme(metrics_format=".3g"), console_kwargs={"stderr": True})
        self.metric, self.left, self._looked = metric, TrainingTimeLeft(), -math.inf
        self._shown: dict[str, Any] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Show no bar where nobody would see it move."""
        super().setup(trainer, pl_module, stage)
        if not Console(stderr=True).is_terminal:
            self.disable()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to measure."""
        self.left.start()
        super().on_train_start(trainer, pl_module)
        if self.progress is not None:
            self.progress.live.transient = True
            self.progress.expand = True  # the bar alone gives way where a terminal is narrow

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure one more epoch."""
        self.left.end_epoch()
        super().on_train_epoch_end(trainer, pl_module)

    def configure_columns(self, trainer: pl.Trainer) -> list:
        """Give Lightning's description, a bar as wide as there is room, Lightning's batches, and the time that is left of the training."""
        description, _, batches = super().configure_columns(trainer)[:3]
        styles = {"complete_style": self.theme.progress_bar, "finished_style": self.theme.progress_bar_finished}
        bar = BarColumn(bar_width=None, pulse_style=self.theme.progress_bar_pulse, table_column=Column(ratio=1), **styles)
        return [description, bar, batches, _TimeColumn(self, trainer)]

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Give what the network's optimizer lowered last, and the metric of the last validation."""
        if time.monotonic() - self._looked > REFRESH:
            self._looked = time.monotonic()
            terms = getattr(pl_module, "lowered", {}).get(0, {})
            loss = {"loss": float(sum(terms.values()))} if terms else {}
            value = trainer.callback_metrics.get(self.metric)
            self._shown = {**loss, **({} if value is None else {self.metric: float(value)})}
        return self._shown

    def seconds_left(self, trainer: pl.Trainer, batches: float) -> float | None:
        """Give the seconds that are left of the training after so many batches of the current epoch."""
        total = self.total_train_batches
        return self.left.seconds(trainer, trainer.current_epoch, batches / total if total else 0.0)

    def _get_train_description(self, current_epoch: int) -> str:
        return counted(current_epoch + 1, self.trainer)


class _TimeColumn(ProgressColumn):
    """The time that is left of the whole training, beside the training's bar."""

    max_refresh = REFRESH

    def __init__(self, bar: RunProgressBar, trainer: pl.Trainer) -> None:
        self.bar, self.trainer = bar, trainer
        super().__init__()

    def render(self, task: Task) -> Text:
        left = self.bar.seconds_left(self.trainer, task.completed) if task.id == self.bar.train_progress_bar_id else None
        return Text("" if left is None else f"{clock(left)} left")
