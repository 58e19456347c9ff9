"""A callback that lets one of several processes fail."""

import os

import pytorch_lightning as pl


class Fail(pl.Callback):
    """Fail in the first step.

    Args:
        rank: Of the process.
        code: End without a word, with this code, instead of an error.
    """

    def __init__(self, rank: int, code: int | None = None) -> None:
        self.rank, self.code = rank, code

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int) -> None:
        if trainer.global_rank == self.rank:
            if self.code is not None:
                os._exit(self.code)
            raise ValueError("the disk is full")
