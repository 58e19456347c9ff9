"""Some training steps that leave no trace."""

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytorch_lightning as pl
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader

from im2im.frameworks.base import Framework
from im2im.randomness import random_state, restore_random_state
from im2im.tasks.base import Batch


def rehearse(
    trainer: pl.Trainer,
    framework: Framework,
    batches: Sequence[Batch],
    watch: pl.Callback,
    inside: AbstractContextManager[object] | None = None,
    validation: Sequence[Batch] = (),
) -> None:
    """Train a copy of a framework on some batches, on the device and in the precision of its trainer.

    The framework, with its image pools and running statistics, and all random generators are as before afterwards, whatever happens.

    Args:
        trainer: Of the training to come; it is only asked for its device and precision.
        framework: Is copied.
        batches: As training gets them.
        watch: Sees each step.
        inside: Is entered for all of it.
        validation: Batches that the copy is validated on afterwards.
    """
    device = trainer.strategy.root_device
    with _quiet(), unchanged_random_state(), inside or nullcontext():
        rehearsal = pl.Trainer(
            accelerator=device.type,
            devices=1 if device.index is None else [device.index],
            precision=trainer.precision,
            plugins=[LightningEnvironment()],  # alone, whatever started this process
            max_epochs=1,
            limit_val_batches=len(validation),
            num_sanity_val_steps=0,
            callbacks=[watch],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        training, validating = (DataLoader(given, batch_size=None) for given in (batches, validation))  # type: ignore[arg-type, var-annotated]
        rehearsal.fit(copy.deepcopy(framework), training, validating if validation else None)


@contextmanager
def unchanged_random_state() -> Iterator[None]:
    """Set all random generators back as they were."""
    state = random_state()
    try:
        yield
    finally:
        restore_random_state(state)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the trainer's advice be for the training to come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
