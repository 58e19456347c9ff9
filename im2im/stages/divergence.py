"""What a training has come to: whether its figures are numbers, and whether its predictions show anything."""

import math
from collections.abc import Sequence

import numpy as np
import pytorch_lightning as pl

from im2im.callbacks.progress import epochs_wanted
from im2im.callbacks.training_log import ended
from im2im.report.notation import days

FAINT = 0.02  # of the target's standard deviation: below, a prediction has no contrast


def require_finite(trainer: pl.Trainer) -> None:
    """Refuse what a training that diverged has left.

    Args:
        trainer: Has trained.

    Raises:
        ValueError: If a loss of the last epoch, or the figure that checkpoints are chosen by, is NaN or infinite.
    """
    monitored = {getattr(callback, "monitor", None) for callback in trainer.checkpoint_callbacks}
    for name, value in trainer.callback_metrics.items():
        figure = float(value)
        if math.isfinite(figure) or not (name.startswith("train/") or name == "val/loss" or name in monitored):
            continue
        raise ValueError(
            f"the training diverged, {name} is {'NaN' if math.isnan(figure) else figure} in its last epoch; lower "
            f"learning_rate={_learning_rate(trainer):g}, or look for broken images with mode=check"
        )


def contrast(found: np.ndarray, truth: np.ndarray) -> float | None:
    """Give the standard deviation of a prediction as a share of its target's; of labels 0 where all are the same, else 1.

    Args:
        found: Interpreted prediction, whose first axis is C.
        truth: What it is compared with, of the same shape; where it is constant there is no share.
    """
    if truth.size == 0 or np.ptp(truth) == 0:
        return None
    if found.dtype.kind in "iub":
        return float(np.ptp(found) != 0)
    return float(np.nanstd(found) / np.nanstd(truth))


def without_contrast(contrasts: Sequence[float | None], labels: bool, images: str) -> str:
    """Say that no prediction shows anything; nothing where one does.

    Args:
        contrasts: See :func:`contrast`, of each image.
        labels: Whether predictions are labels.
        images: What they are called, such as "test".
    """
    known = [one for one in contrasts if one is not None]
    if not known or not max(known) <= FAINT:
        return ""
    several = len(known) > 1
    which = f"the predictions of {len(known)} {images} images" if several else f"the prediction of the {images} image"
    if labels:
        return f"{which} {'have' if several else 'has'} one label everywhere, where the target{'s have' if several else ' has'} more"
    seen = f"{which} {'have' if several else 'has'} almost no contrast: {max(known):.2%} of the standard deviation of the target"
    return f"{seen}{' at most' * several}, where more than half is usual"


def other_rates(trainer: pl.Trainer) -> str:
    """Name learning rates to try instead of that of the training."""
    if (rate := _learning_rate(trainer)) == 0:
        return "raise learning_rate=0"
    return f"try learning_rate={rate / 10:g} and learning_rate={10 * rate:g} instead of {rate:g}"


def _learning_rate(trainer: pl.Trainer) -> float:
    """Give the learning rate of the network before any schedule."""
    group = trainer.optimizers[0].param_groups[0]
    return float(group.get("initial_lr", group["lr"]))


def train_longer(trainer: pl.Trainer, seconds: float) -> str:
    """Say how to train twice as long, by the key that has ended the training; nothing where it was stopped early, as more would not help.

    Args:
        trainer: Has trained.
        seconds: How long.
    """
    if ended(trainer).startswith("by early stopping"):
        return ""
    done = trainer.current_epoch
    key = f"max_epochs={2 * done}" if done == epochs_wanted(trainer) else f"max_time={days(2 * seconds)}"
    return f"train longer ({key})"
