"""Inside of a trial: tells the study how it goes, and stops where others were better."""

import math
import os

import optuna
import pytorch_lightning as pl
from optuna.pruners import NopPruner

from im2im.search.samplers import pruner as chosen_pruner
from im2im.search.storage import STORAGE, storage


class Pruning(pl.Callback):
    """Reports the score of each validation; works for every framework, because it only asks the trainer to stop.

    Outside of a search, as in a run that goes on with a trial, it only refuses scores that are no numbers.

    Args:
        study: Name of the study.
        trial: Number of the trial.
        monitor: The score, as it is logged.
        pruner: Decides, one of :data:`im2im.search.samplers.PRUNERS`; with none of them only scores that are no numbers end the training.
        first: Epochs that every trial is given.
        last: Epochs of a whole training.

    The storage of the study is what the variable :data:`im2im.search.storage.STORAGE` says.
    """

    def __init__(self, study: str, trial: int, monitor: str, pruner: str, first: int, last: int) -> None:
        self.study, self.number, self.monitor = study, trial, monitor
        self.pruner = chosen_pruner(pruner, first, last)
        self.pruned = False
        self._trial: optuna.Trial | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report, and stop.

        Raises:
            ValueError: If the score is no number.
        """
        score = float(trainer.callback_metrics.get(self.monitor, math.nan))
        if not math.isfinite(score):
            raise ValueError(f"{self.monitor} is NaN")
        if STORAGE in os.environ and not isinstance(self.pruner, NopPruner):
            worse = trainer.is_global_zero and self._worse(score, trainer.current_epoch + 1)
            if trainer.strategy.broadcast(worse):  # one of several processes decides for all
                self.pruned = trainer.should_stop = True

    def _worse(self, score: float, epochs: int) -> bool:
        trial = self._opened()
        trial.report(score, epochs)
        return trial.should_prune()

    def _opened(self) -> optuna.Trial:
        if self._trial is None:
            study = optuna.load_study(study_name=self.study, storage=storage(os.environ[STORAGE]), pruner=self.pruner)
            self._trial = optuna.Trial(study, study._storage.get_trial_id_from_study_id_trial_number(study._study_id, self.number))
        return self._trial
