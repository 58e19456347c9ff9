"""Pictures while a network trains."""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from im2im.report.figures import panel, save_png


class SampleImages(pl.Callback):
    """Show source, target, prediction and error of the first validation patch, in the run folder and in every logger that takes pictures.

    Where source and target do not show the same, there are source and prediction alone.

    Args:
        folder: Where the PNGs go.
        every_n_epochs: How often.
    """

    def __init__(self, folder: str | Path, every_n_epochs: int = 10) -> None:
        if every_n_epochs < 1:
            raise ValueError(
                f"every_n_epochs must be at least 1, got {every_n_epochs}; set callbacks.sample_images.every_n_epochs=1 or more"
            )
        self.folder, self.every_n_epochs = Path(folder), every_n_epochs
        self.picture: np.ndarray | None = None

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: object, batch: dict, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Draw the first patch of the first batch."""
        if batch_idx == 0 and self._due(trainer):
            pl_module.eval()
            output = pl_module.activate(pl_module(batch["source"][:1]))
            source, target, output = (image[0].float().cpu().numpy() for image in (batch["source"], batch["target"], output))
            title, task = f"epoch {trainer.current_epoch + 1} · {batch['name'][0]}", pl_module.task
            truth = task.truth(target) if bool(torch.as_tensor(batch.get("matched", True)).flatten()[0]) else None
            self.picture = panel(source, truth, pl_module.interpret(output), title=title, objects=task.objects)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it."""
        if self.picture is None:
            return
        save_png(self.folder / f"epoch_{trainer.current_epoch + 1:04d}.png", self.picture)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", self.picture, trainer.global_step, dataformats="HWC")
            elif isinstance(logger, WandbLogger):
                logger.log_image("samples", [self.picture], step=trainer.global_step)
        self.picture = None

    def _due(self, trainer: pl.Trainer) -> bool:
        """Tell whether this epoch is shown: the first one and every n-th."""
        epoch = trainer.current_epoch + 1
        return trainer.is_global_zero and (epoch == 1 or epoch % self.every_n_epochs == 0)
