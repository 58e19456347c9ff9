"""The learning-rate range test (Smith, "Cyclical learning rates for training neural networks", WACV 2017)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import default_collate

from im2im.data.datamodule import ImageData
from im2im.files import replacing
from im2im.frameworks.base import Framework
from im2im.rehearsal.rehearse import rehearse
from im2im.tasks.base import Batch

SLOWEST, FASTEST, STEPS = 1e-6, 1.0, 90
BATCHES = 15  # that take turns: the mean over as many steps does not depend on how they differ
DIVERGED = 4.0  # times the first loss of the same batch
PLATEAU = 0.1  # of the whole fall, by which a loss may be above the lowest one and count as low
FALL = 0.05  # of the first losses, at least, for a curve that says something


@dataclass(frozen=True)
class Curve:
    """The loss of the network at each learning rate."""

    rates: np.ndarray
    losses: np.ndarray

    def smooth(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the means over one turn of the batches each, and the rates in the middle of it."""
        turn = np.ones(BATCHES) / BATCHES
        return np.exp(np.convolve(np.log(self.rates), turn, "valid")), np.convolve(self.losses, turn, "valid")

    def suggestion(self) -> float | None:
        """Give the rate halfway, in powers of ten, from the steepest fall to the lowest loss; None where it falls nowhere by much."""
        if len(self.losses) < BATCHES + 2:
            return None
        rates, losses = self.smooth()
        lowest = int(np.argmin(losses))
        if lowest == 0 or losses[0] - losses[lowest] < FALL * abs(losses[0]):
            return None
        steepest = int(np.argmin(np.gradient(losses)[:lowest]))
        as_low = losses <= losses[lowest] + PLATEAU * (losses[0] - losses[lowest])
        return float(f"{math.sqrt(rates[steepest] * rates[as_low].max()):.2g}")

    def write(self, path: Path) -> None:
        """Write it as CSV."""
        lines = ["learning_rate,loss", *(f"{rate:.4g},{loss:.6g}" for rate, loss in zip(self.rates, self.losses, strict=True))]
        with replacing(path) as hidden:
            hidden.write_text("\n".join(lines) + "\n")


def range_test(trainer: pl.Trainer, framework: Framework, data: ImageData, learning_rate: float) -> Curve:
    """Train a copy while the rates of all optimizers rise together, until the loss diverges.

    Args:
        trainer: Of the training to come.
        framework: Is copied.
        data: Gives training patches.
        learning_rate: Of the configuration; the rates keep their ratios to it.

    Returns:
        At each rate, the loss of the first optimizer, which is the network's in every framework, without what an opponent raises again.
    """
    accumulate = framework.optimization.accumulate
    sweep = _Sweep(learning_rate, accumulate)
    batches = _batches(data, BATCHES * accumulate)
    repeated = [batches[number % len(batches)] for number in range(STEPS * accumulate)]
    rehearse(trainer, framework, repeated, sweep)
    return Curve(sweep.rates[: len(sweep.losses)], np.array(sweep.losses))


def _batches(data: ImageData, count: int) -> list[Batch]:
    """Give some batches of training patches, each of other ones where there are enough."""
    patches, size = data.training_patches(data.entries("train")), data.sampling.batch_size
    rounds = range(-(-count * size // len(patches)))
    places = [(epoch, int(place)) for epoch in rounds for place in np.random.default_rng(epoch).permutation(len(patches))][: count * size]
    return [default_collate([patches[place] for place in places[start : start + size]]) for start in range(0, len(places), size)]


class _Sweep(pl.Callback):
    """Raises the rates before each step and remembers the loss after it."""

    def __init__(self, learning_rate: float, accumulate: int) -> None:
        self.rates = np.geomspace(SLOWEST, FASTEST, STEPS)
        self.losses: list[float] = []
        self._learning_rate, self._accumulate = learning_rate, accumulate
        self._parts: list[float] = []  # of the step, where gradients are accumulated
        self._configured: list[tuple[dict[str, Any], float]] = []

    def on_train_start(self, trainer: pl.Trainer, *_: Any) -> None:
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        self._configured = [(group, group.get("initial_lr", group["lr"])) for group in groups]  # a schedule may warm up

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        for group, configured in self._configured:
            group["lr"] = configured * self.rates[batch_idx // self._accumulate] / self._learning_rate

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        terms = pl_module.lowered[0].items()
        self._parts.append(sum(float(value) for name, value in terms if name not in pl_module.contested))
        if len(self._parts) == self._accumulate:
            loss, self._parts = float(np.mean(self._parts)), []
            if trainer.should_stop or diverged(self.losses, loss):
                trainer.should_stop = True
            else:
                self.losses.append(loss)


def diverged(losses: Sequence[float], loss: float) -> bool:
    """Tell whether a loss is no number, or far above the one of the same batch at first."""
    first = losses[len(losses) % BATCHES] if len(losses) >= BATCHES else math.inf
    return not math.isfinite(loss) or abs(loss) > DIVERGED * abs(first)
