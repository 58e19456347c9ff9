"""Train a network, then score its best checkpoint."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from im2im.callbacks.run_checkpoint import RunCheckpoint
from im2im.callbacks.training_log import ended
from im2im.checkpoint import find, load_weights, read
from im2im.data.datamodule import ImageData
from im2im.frameworks.base import Framework
from im2im.hardware import refuse_wrong_gradients, why
from im2im.launching import together
from im2im.memory import explained
from im2im.rehearsal.batch_size import short_of_memory
from im2im.report.notation import duration
from im2im.stages.divergence import require_finite
from im2im.stages.epochs import inspect_last_batch, inspect_steps
from im2im.stages.evaluate import evaluate
from im2im.stages.inspection import inspect_labels, some
from im2im.stages.selection import Selection, forget
from im2im.stages.validate import validated

log = logging.getLogger(__name__)


def train(  # noqa: PLR0913, PLR0917, each is a key of conf/mode/train.yaml
    trainer: pl.Trainer,
    framework: Framework,
    data: ImageData,
    folder: str,
    resume: str | None = None,
    hardware: Mapping[str, Any] | None = None,
    score: bool = True,
    select: Selection | bool = False,
    baselines: bool = True,
    quality: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Fit, evaluate and report.

    Args:
        trainer: Runs the epochs.
        framework: What is trained.
        data: Training, validation and test images.
        folder: The run folder.
        resume: A run folder or .ckpt to go on from, with its optimizers, epoch and random state.
        hardware: As configured, to say what was left to be chosen.
        score: Score the test images; else the validation images only, for choosing between trainings, and refuse one that memory is too
            short for.
        select: Chooses weights and settings of the prediction on validation images before the test images are scored.
        baselines: Score simple methods as well, fitted on the training images.
        quality: Names the metric that decides whether the network is better than they are.

    Returns:
        The content of metrics.json, of whole validation images where there are no test images; nothing where another process writes it.

    Raises:
        ValueError: If there is nothing to train on, not enough memory, or training gave no usable checkpoint.
    """
    make_ready(trainer, framework, data, folder)
    if trainer.is_global_zero:
        _write_splits(data, Path(folder), score)
        forget(Path(folder))  # what was chosen after an earlier part
    device = _device(trainer)
    log.info("training on %s in %s%s%s", device, trainer.precision, _batches(trainer, data), _choices(trainer, data, hardware or {}))
    start = time.perf_counter()
    with explained(data.batch_shape(framework.record["in_channels"]), trainer.strategy.root_device):
        if trainer.is_global_zero and (doubt := short_of_memory(trainer, framework, data)):
            if not score:
                raise ValueError(f"out of memory, not tried: {doubt}")  # the system would end the other trainings of a search with it
            log.warning("%s", doubt)
        _inspect(trainer, framework, data, told=score and trainer.is_global_zero)
        with together(trainer):
            trainer.fit(framework, datamodule=data, ckpt_path=find(resume, "last") if resume else None, weights_only=True)
    if not trainer.is_global_zero:
        return {}
    seconds = time.perf_counter() - start
    log.info("trained for %s on %s; ended %s", duration(seconds), device, ended(trainer))
    require_finite(trainer)
    if not list(Path(folder).glob("checkpoints/*.ckpt")):
        raise ValueError(f"the training of {resume} is complete; raise max_epochs above {trainer.max_epochs} to go on")
    if not score:
        return validated(trainer, framework, data, folder, seconds)
    best = find(folder)
    load_weights(framework, read(best), best)
    if isinstance(select, Selection):
        select(trainer, framework, data, Path(folder))
    training = {"seconds": round(seconds, 1), "epochs": trainer.current_epoch, "device": device}
    training["val"] = next((one.best_validation for one in trainer.checkpoint_callbacks if isinstance(one, RunCheckpoint)), {})
    return evaluate(trainer, framework, data, folder, training, baselines, quality)


def make_ready(trainer: pl.Trainer, framework: Framework, data: ImageData, folder: str) -> None:
    """Open the training images and tell the framework of them; refuse at once what would fail only later.

    Raises:
        ValueError: If this cannot be trained.
    """
    kept = Path(folder, "checkpoints").resolve()
    if not any(Path(getattr(callback, "dirpath", None) or ".").resolve() == kept for callback in trainer.checkpoint_callbacks):
        raise ValueError(
            "training keeps no checkpoint without callbacks.checkpoint; choose callbacks=[default,ema], with default among them"
        )
    refuse_wrong_gradients(trainer.precision, trainer.strategy.root_device.type, data.source.spatial_dims)
    framework.record.pop("runs", None)
    data.evaluating = False  # other data than the run's are split as for any training
    data.beside = trainer.num_devices
    data.require_channels(framework.record["in_channels"])
    if not (data.paired or framework.unpaired):
        raise ValueError("this framework learns from pairs, which data=unpaired has none of; set framework=cyclegan or data=folders")
    if framework.reads != "source":
        raise ValueError(
            "both directions are trained, but scored from source to target; set framework.direction=forward, backward predicts"
        )
    framework.record.update(target_scale=data.scale("target"), source_scale=data.scale("source"))
    target = data.entries("train")[0].target
    framework.record.update(target_names=list(target.channel_names), target_channels=target.shape[1])


def _write_splits(data: ImageData, folder: Path, score: bool) -> None:
    """Write splits.csv, and say at once that nothing will be tested where no image is left for it."""
    data.write_splits(folder)
    if score and not any(pair.split == "test" for pair in data.pairs):
        log.warning(
            "there is no test image, so that only validation images are scored at the end; a folder test/ in data.root gives some, or, "
            "without folders for the splits, more images"
        )


def _inspect(trainer: pl.Trainer, framework: Framework, data: ImageData, told: bool) -> None:
    """Warn of what makes training pointless, and refuse what it cannot be done with, as far as that is told quickly.

    Raises:
        ValueError: For the first thing that is wrong.
    """
    entries = data.entries("train")
    patches = len(data.training_patches(entries))
    findings = [*inspect_labels(some(entries), data, framework.task), *inspect_last_batch(trainer, framework, data, entries, patches)]
    for finding in [*findings, *inspect_steps(trainer, framework, data, patches)]:
        if finding.verdict == "wrong":
            raise ValueError(finding.seen)
        if finding.verdict == "look" and told:
            log.warning("%s", finding.seen)


def _device(trainer: pl.Trainer) -> str:
    """Name the device, and how many of them train together."""
    device = trainer.strategy.root_device
    return f"{trainer.world_size} × {device.type}" if trainer.world_size > 1 else str(device)


def _batches(trainer: pl.Trainer, data: ImageData) -> str:
    """Say what batch_size means where several processes train."""
    count, size = trainer.world_size, data.sampling.batch_size
    return f", {count} processes × batch_size={size}: {count * size} patches for each step" if count > 1 else ""


def _choices(trainer: pl.Trainer, data: ImageData, hardware: Mapping[str, Any]) -> str:
    """Say what was chosen where the configuration left it open, and why."""
    device, dims = trainer.strategy.root_device, data.source.spatial_dims
    reasons = why(hardware.get("accelerator", ""), hardware.get("precision", ""), device, dims)
    if hardware.get("workers") == "auto":
        count, reason = data.loaders("train")
        reasons.append(f"{count} worker{'s' * (count != 1)}: {reason}")
    return f": {'; '.join(reasons)}" if reasons else ""
