"""The checkpoints of a run folder, wherever the folder is moved to."""

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

PLACES = ("best_model_path", "kth_best_model_path", "last_model_path")


class RunCheckpoint(ModelCheckpoint):
    """A ModelCheckpoint that keeps every last epoch, and still knows the best score when its run folder was moved or copied.

    ``best_validation`` holds what the validation of the best epoch logged, by name, as far as it is finite.
    """

    best_validation: dict[str, float] = {}  # noqa: RUF012, replaced as a whole

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the best epoch, as Lightning does, and the last one, which Lightning saves where it is the best alone."""
        super().on_train_epoch_end(trainer, pl_module)
        if self.save_last and not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        """Save a checkpoint; before that of the best epoch, keep its validation, which is part of every checkpoint."""
        if filepath == self.best_model_path:
            logged = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
            self.best_validation = {name: value for name, value in logged.items() if math.isfinite(value)}
        super()._save_checkpoint(trainer, filepath)

    def state_dict(self) -> dict[str, Any]:
        """Give Lightning's state and the validation of the best epoch."""
        return {**super().state_dict(), "best_validation": self.best_validation}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state of an interrupted training, with the checkpoints of the same names that lie in this folder."""
        here = Path(str(self.dirpath))
        if state_dict.get("dirpath") != self.dirpath and (here / Path(state_dict["best_model_path"]).name).is_file():
            moved = {place: str(here / Path(state_dict[place]).name) for place in PLACES if state_dict.get(place)}
            best = {str(here / Path(path).name): score for path, score in state_dict.get("best_k_models", {}).items()}
            state_dict = {**state_dict, **moved, "best_k_models": best, "dirpath": self.dirpath}
        super().load_state_dict(state_dict)
        self.best_validation = state_dict.get("best_validation", {})
