"""What the log says of a training: where it begins, how long a step takes, each epoch, and why it ended."""

import logging
import math
import time
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping

from im2im.callbacks.progress import TrainingTimeLeft, counted, epochs_wanted, seconds_allowed
from im2im.console import ONLY_FILE
from im2im.report.notation import amount, clock, duration, number

log = logging.getLogger(__name__)

MEASURED = 20  # steps
UNMEASURED = 3  # steps before these, in which buffers are made and kernels are chosen
FEW = 100  # steps in all, from which hardly anything is learnt


class TrainingLog(pl.Callback):
    """Logs one line for each epoch, and how long the training takes on this machine.

    Args:
        metric: The validation metric that is told, as it is logged.
        console: Tell it on the terminal too, not only in im2im.log.
    """

    def __init__(self, metric: str, console: bool = True) -> None:
        self.metric, self.extra = metric, None if console else ONLY_FILE
        self.left, self.complete, self.began = TrainingTimeLeft(), 0, 0.0  # complete: an epoch, number from 1, that was not told yet
        self._batches, self._measured = -1, (0, 0)  # batches so far, -1 once it was told; between which of them time is measured
        self._start, self._first_epoch, self._warned = 0.0, 0, False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say where a resumed training goes on, and begin to measure."""
        if trainer.ckpt_path and trainer.is_global_zero:
            place = f"{counted(trainer.current_epoch + 1, trainer)}, step {_steps(trainer):,}"
            log.info("resumed from %s: %s", trainer.ckpt_path, place, extra=self.extra)
        self.left.start()
        self.began, self.complete, self._batches, self._first_epoch = time.monotonic(), 0, 0, trainer.current_epoch
        self._warned = False
        each = _accumulated(pl_module)
        last, left = (UNMEASURED + MEASURED) * each, epochs_wanted(trainer)
        if left is not None:
            last = max(min(last, int(trainer.num_training_batches * (left - trainer.current_epoch)) // 2), 1)
        self._measured = min(UNMEASURED * each, last - 1), last

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Measure the first steps, then say how long one takes."""
        if self._batches < 0 or not trainer.is_global_zero:
            return
        self._batches += 1
        each, (first, last) = _accumulated(pl_module), self._measured
        if self._batches == first or (first == 0 and self._batches == 1):
            self._start = _now(trainer) if first else self.began
        if self._batches >= last:
            seconds = (_now(trainer) - self._start) / (self._batches - first) * each
            log.info("%s", speed(seconds, trainer, self._first_epoch, each, done=self._batches // each), extra=self.extra)
            self._batches = -1
            if (allowed := seconds_allowed(trainer)) is not None:
                self._warn_of_few(_steps(trainer) + max(int(allowed / seconds), 0), trainer, each)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell the epoch before: only now are all its values logged."""
        self._tell(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure one more epoch."""
        self.left.end_epoch()
        self.complete = trainer.current_epoch + 1

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell the last epoch."""
        self._tell(trainer)
        if trainer.is_global_zero and (left := seconds_allowed(trainer)) is not None and left <= 0:
            self._warn_of_few(_steps(trainer), trainer)  # it ended before a step was measured, or validations took most of the time

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Say how an interrupted training can go on."""
        if isinstance(exception, KeyboardInterrupt) and trainer.is_global_zero:
            kept = [path for one in trainer.checkpoint_callbacks if (path := getattr(one, "last_model_path", ""))]
            on = f"; run={trainer.default_root_dir} mode=train goes on after the last whole one" if kept else ""
            log.info("interrupted in %s%s", counted(trainer.current_epoch + 1, trainer), on)

    def _warn_of_few(self, steps: int, trainer: pl.Trainer, accumulate: int = 1) -> None:
        """Warn of a training that ``max_time`` ends before much is learnt; of too few epochs a warning comes before the training."""
        epochs = epochs_wanted(trainer)
        wanted = math.inf if epochs is None else epochs * math.ceil(trainer.num_training_batches / accumulate)
        if steps < FEW <= wanted and not self._warned:
            self._warned, few = True, amount(steps, "step")
            log.warning("max_time leaves time for about %s: far too few to learn from; raise max_time", few, extra=self.extra)

    def _tell(self, trainer: pl.Trainer) -> None:
        if not self.complete or not trainer.is_global_zero:
            return
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        lowered = [f"train/{name}" for name in getattr(trainer.lightning_module, "lowered", {}).get(0, {})]  # by the network's optimizer
        if lowered and "train/loss" not in found:
            found["train/loss"] = sum(found.get(name, math.nan) for name in lowered)
        told = [f"{name} {number(found[name])}" for name in dict.fromkeys(("train/loss", "val/loss", self.metric)) if name in found]
        told.append(clock(self.left.ends[-1] - self.began))
        ends = trainer.should_stop or self.complete == epochs_wanted(trainer)
        if not ends and (left := self.left.seconds(trainer, self.complete)) is not None:
            told.append(f"{clock(left)} left")
        log.info("%s: %s", counted(self.complete, trainer), ", ".join(told), extra=self.extra)
        self.complete = 0


def speed(seconds: float, trainer: pl.Trainer, first_epoch: int = 0, accumulate: int = 1, done: int = 0) -> str:
    """Say how long a step takes, and what that means for the training.

    Args:
        seconds: Of one step.
        trainer: Of the training, which says how many steps are wanted and how much time there is.
        first_epoch: Epochs that were complete before, of a training that is resumed.
        accumulate: Batches for each step.
        done: Steps that were made since then.
    """
    epochs, allowed = epochs_wanted(trainer), seconds_allowed(trainer)
    told, fit = f"{number(seconds)} s per step", None if allowed is None else done + max(int(allowed / max(seconds, 1e-9)), 0)
    if epochs is None:
        return told if fit is None else f"{told}: about {_rough(fit)} steps fit into max_time, fewer with validation"
    steps = math.ceil(trainer.num_training_batches / accumulate) * (epochs - first_epoch)
    takes = f"{told}: {amount(steps, 'step')} take{'s' * (steps == 1)} about {duration(seconds * steps)} here, without validation"
    return takes if fit is None or fit >= steps else f"{takes}; max_time ends them after about {_rough(fit)}"


def ended(trainer: pl.Trainer) -> str:
    """Say why a training ended: ``by max_time after 11 of 20 epochs``."""
    done, total = trainer.current_epoch, epochs_wanted(trainer)
    after = f"after {amount(done, 'epoch')}" if total in (None, 1) else f"after {done} of {total} epochs"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if getattr(callback, "pruned", False):
            return f"{after}, because other trials were better"
        if isinstance(callback, EarlyStopping) and trainer.should_stop and callback.stopping_reason_message:
            return f"by early stopping {after}: {callback.stopping_reason_message.partition(' Signaling')[0].strip()}"
    if (left := seconds_allowed(trainer)) is not None and left <= 0 and done != total:
        return f"by max_time {after}"
    if trainer.max_steps >= 0 and trainer.global_step >= trainer.max_steps:
        return f"by max_steps {after}"
    return f"after all {total} epochs" if done == total and total != 1 else after


def _accumulated(framework: pl.LightningModule) -> int:
    """Give the batches of each step."""
    return int(getattr(getattr(framework, "optimization", None), "accumulate", 1))


def _steps(trainer: pl.Trainer) -> int:
    """Count the steps of the network; Lightning counts those of all optimizers together."""
    return trainer.global_step // max(len(trainer.optimizers), 1)


def _now(trainer: pl.Trainer) -> float:
    """Give the time, once the GPU has done what it was told before."""
    if trainer.strategy.root_device.type == "cuda":
        torch.cuda.synchronize(trainer.strategy.root_device)
    return time.monotonic()


def _rough(count: int) -> str:
    """Write a number with two digits that count."""
    digits = max(len(str(count)) - 2, 0)
    return f"{round(count, -digits):,}"
