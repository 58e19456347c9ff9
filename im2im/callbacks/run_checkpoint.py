"""The checkpoints of a run folder, wherever the folder is moved to."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

PLACES = ("best_model_path", "kth_best_model_path", "last_model_path")


class RunCheckpoint(ModelCheckpoint):
    """A ModelCheckpoint that keeps every last epoch, and still knows the best score when its run folder was moved or copied."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the best epoch, as Lightning does, and the last one, which Lightning saves where it is the best alone."""
        super().on_train_epoch_end(trainer, pl_module)
        if self.save_last and not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state of an interrupted training, with the checkpoints of the same names that lie in this folder."""
        here = Path(str(self.dirpath))
        if state_dict.get("dirpath") != self.dirpath and (here / Path(state_dict["best_model_path"]).name).is_file():
            moved = {place: str(here / Path(state_dict[place]).name) for place in PLACES if state_dict.get(place)}
            best = {str(here / Path(path).name): score for path, score in state_dict.get("best_k_models", {}).items()}
            state_dict = {**state_dict, **moved, "best_k_models": best, "dirpath": self.dirpath}
        super().load_state_dict(state_dict)
