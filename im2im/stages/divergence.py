"""What a training has come to: whether its figures are numbers, and whether its predictions show anything."""

import math

import numpy as np
import pytorch_lightning as pl

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
        group = trainer.optimizers[0].param_groups[0]
        raise ValueError(
            f"the training diverged, {name} is {'NaN' if math.isnan(figure) else figure} in its last epoch; lower "
            f"learning_rate={group.get('initial_lr', group['lr']):g}, or look for broken images with mode=check"
        )


def without_contrast(found: np.ndarray, truth: np.ndarray) -> bool:
    """Tell whether a prediction shows nothing though its target does: one label everywhere, or hardly any contrast of intensities.

    Args:
        found: Interpreted prediction C(Z)YX.
        truth: What it is compared with, C(Z)YX.
    """
    if np.ptp(truth) == 0:
        return False
    if found.dtype.kind in "iub":
        return bool(np.ptp(found) == 0)
    return bool(np.nanstd(found) <= FAINT * np.nanstd(truth))
