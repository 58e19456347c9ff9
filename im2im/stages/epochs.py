"""The batches of a training: how many there are, and whether the last one of an epoch can be trained with."""

import copy
import math
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor

from im2im.callbacks.progress import epochs_wanted, seconds_allowed
from im2im.callbacks.training_log import FEW
from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.frameworks.base import Framework
from im2im.rehearsal.rehearse import unchanged_random_state
from im2im.report.notation import amount, days
from im2im.stages.findings import Finding
from im2im.tasks.base import Batch


@dataclass(frozen=True)
class Epoch:
    """What an epoch of one process consists of.

    Args:
        batches: How many.
        smallest: Patches of the smallest one.
    """

    batches: int
    smallest: int


def epoch_of(trainer: pl.Trainer, data: ImageData, patches: int) -> Epoch:
    """Share the patches of an epoch out to batches, as many of them as the trainer takes.

    Args:
        trainer: Of the training to come.
        data: Says how large a batch is.
        patches: Of an epoch, for all processes.
    """
    size, patches = data.sampling.batch_size, -(-patches // trainer.world_size)
    batches = patches // size if data.drop_last else -(-patches // size)
    limit = trainer.limit_train_batches
    taken = min(batches, limit) if isinstance(limit, int) else max(1, int(batches * float(limit or 1)))
    return Epoch(taken, size if taken < batches else min(size, patches - (batches - 1) * size))


def steps_within(trainer: pl.Trainer, seconds: float) -> int | None:
    """Count the steps that ``max_time`` leaves time for; None without one.

    Args:
        trainer: Of the training to come.
        seconds: Of one step.
    """
    allowed = seconds_allowed(trainer)
    return None if allowed is None else int(max(allowed, 0.0) / max(seconds, 1e-9))


def inspect_steps(trainer: pl.Trainer, framework: Framework, data: ImageData, patches: int, seconds: float | None = None) -> list[Finding]:
    """Find trainings that are too short for anything to be learnt.

    Args:
        trainer: Of the training to come.
        framework: Says how many batches a step has.
        data: Says how large a batch is.
        patches: Of an epoch.
        seconds: Of one batch, where that was measured; then what ``max_time`` leaves time for counts too.
    """
    accumulate, epochs = framework.optimization.accumulate, epochs_wanted(trainer)
    fit = None if seconds is None else steps_within(trainer, seconds * accumulate)
    wanted = None if epochs is None else epochs * math.ceil(epoch_of(trainer, data, patches).batches / accumulate)
    if fit is not None and fit < FEW and (wanted is None or fit < wanted):
        allowed = days(seconds_allowed(trainer) or 0.0)
        return [
            Finding(
                "look",
                "steps",
                f"max_time leaves time for about {amount(fit, 'step')}: far too few to learn from; raise max_time={allowed}",
            )
        ]
    if wanted is None or wanted >= FEW:
        return []
    sampling = data.sampling
    key = "patches_per_image" if sampling.steps_per_epoch is None else "steps_per_epoch"
    seen = f"{amount(wanted, 'step')} in all: far too few to learn from; raise max_epochs={epochs} or data.{key}={getattr(sampling, key)}"
    return [Finding("look", "steps", seen)]


def inspect_last_batch(trainer: pl.Trainer, framework: Framework, data: ImageData, entries: list[Entry], patches: int) -> list[Finding]:
    """Run a copy, as it is in training, on a last batch of one patch; where a norm refuses it, let the data leave it out of every epoch.

    Nothing is tried where the last batch has more patches, or where all of them have one.

    Args:
        trainer: Of the training to come.
        framework: Is copied.
        data: Is told what to leave out.
        entries: Of the training.
        patches: Of an epoch.
    """
    epoch, size = epoch_of(trainer, data, patches), data.sampling.batch_size
    if epoch.smallest > 1 or size == 1:
        return []
    try:
        _run(framework, data.batch(entries, 1), trainer.strategy.root_device)
    except ValueError as error:
        if "one pixel" not in str(error) and "more than 1 value per channel" not in str(error):
            raise
        if epoch.batches == 1:
            seen = "an epoch has one patch, of which a norm of the network sees one pixel; raise data.patches_per_image or patch_size"
            return [Finding("wrong", "last batch", seen)]
        data.drop_last = True
        seen = "the last batch of an epoch has one patch, of which a norm of the network sees one pixel: it is left out of every epoch"
        return [Finding("look", "last batch", f"{seen}; change batch_size={size} or raise patch_size to train with all patches")]
    return []


def _run(framework: Framework, batch: Batch, device: torch.device) -> None:
    """Send a batch through all networks of a copy, without a trainer: each of several processes may do so."""
    with unchanged_random_state(), torch.no_grad():
        tried = copy.deepcopy(framework).to(device).train()
        batch = {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}
        tried.validation_terms(batch, tried(batch["source"]))
