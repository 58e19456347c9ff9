"""Train a network, then score its best checkpoint."""

import logging
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from im2im.checkpoint import find, load_weights, read
from im2im.data.datamodule import ImageData
from im2im.frameworks.base import Framework
from im2im.hardware import refuse_wrong_gradients
from im2im.launching import together
from im2im.stages.evaluate import evaluate

log = logging.getLogger(__name__)


def train(trainer: pl.Trainer, framework: Framework, data: ImageData, folder: str, resume: str | None = None) -> dict[str, Any]:
    """Fit, evaluate and report.

    Args:
        trainer: Runs the epochs.
        framework: What is trained.
        data: Training, validation and test images.
        folder: The run folder.
        resume: A run folder or .ckpt to go on from, with its optimizers, epoch and random state.

    Returns:
        The content of metrics.json; nothing where another process writes it.

    Raises:
        ValueError: If there is nothing to train on, or training gave no usable checkpoint.
    """
    kept = Path(folder, "checkpoints").resolve()
    if not any(Path(getattr(callback, "dirpath", None) or ".").resolve() == kept for callback in trainer.checkpoint_callbacks):
        raise ValueError(
            "training keeps no checkpoint without callbacks.checkpoint; choose callbacks=[default,ema], with default among them"
        )
    refuse_wrong_gradients(trainer.precision, trainer.strategy.root_device.type, data.source.spatial_dims)
    framework.record.pop("runs", None)
    data.evaluating = False  # other data than the run's are split as for any training
    data.require_channels(framework.record["in_channels"])
    if not (data.paired or framework.unpaired):
        raise ValueError("this framework learns from pairs, which data=unpaired has none of; set framework=cyclegan or data=folders")
    if framework.reads != "source":
        raise ValueError(
            "both directions are trained, but scored from source to target; set framework.direction=forward, backward predicts"
        )
    if trainer.is_global_zero:
        data.write_splits(Path(folder))
    framework.record.update(target_scale=data.scale("target"), source_scale=data.scale("source"))
    target = data.entries("train")[0].target
    framework.record.update(target_names=list(target.channel_names), target_channels=target.shape[1])
    device = _device(trainer)
    log.info("training on %s in %s%s", device, trainer.precision, _batches(trainer, data))
    start = time.perf_counter()
    with together(trainer):
        trainer.fit(framework, datamodule=data, ckpt_path=find(resume, "last") if resume else None, weights_only=True)
    if not trainer.is_global_zero:
        return {}
    seconds = time.perf_counter() - start
    log.info("trained %d epochs in %.0f s on %s", trainer.current_epoch, seconds, device)
    if not list(Path(folder).glob("checkpoints/*.ckpt")):
        raise ValueError(f"the training of {resume} is complete; raise max_epochs above {trainer.max_epochs} to go on")
    best = find(folder)
    load_weights(framework, read(best), best)
    training = {"seconds": round(seconds, 1), "epochs": trainer.current_epoch, "device": device}
    return evaluate(trainer, framework, data, folder, training)


def _device(trainer: pl.Trainer) -> str:
    """Name the device, and how many of them train together."""
    device = trainer.strategy.root_device
    return f"{trainer.world_size} × {device.type}" if trainer.world_size > 1 else str(device)


def _batches(trainer: pl.Trainer, data: ImageData) -> str:
    """Say what batch_size means where several processes train."""
    count, size = trainer.world_size, data.sampling.batch_size
    return f", {count} processes × batch_size={size}: {count * size} patches for each step" if count > 1 else ""
