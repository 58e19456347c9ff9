"""The batches of a training: how many there are, and whether the last one of an epoch can be trained with."""

import copy
import math
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor

from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.frameworks.base import Framework
from im2im.rehearsal.rehearse import unchanged_random_state
from im2im.stages.findings import Finding
from im2im.tasks.base import Batch

FEW = 100  # steps in all


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


def epochs_of(trainer: pl.Trainer) -> int | None:
    """Give the number of epochs; None where something else ends the training."""
    return trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs >= 0 else None


def inspect_steps(trainer: pl.Trainer, framework: Framework, data: ImageData, patches: int) -> list[Finding]:
    """Find trainings that are too short for anything to be learnt, from the number of patches of an epoch."""
    if (epochs := epochs_of(trainer)) is None:
        return []
    steps = epochs * math.ceil(epoch_of(trainer, data, patches).batches / framework.optimization.accumulate)
    if steps >= FEW:
        return []
    seen = f"{steps} step{'s' * (steps != 1)} in all: far too few to learn from; raise max_epochs={epochs}"
    return [Finding("look", "steps", f"{seen} or data.patches_per_image={data.sampling.patches_per_image}")]


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
