"""How long trainings of a search may last."""

import math
import time
from dataclasses import dataclass

from omegaconf import DictConfig

from im2im.report.notation import seconds_of
from im2im.search.halving import Rungs, spaced

STRETCH = 4  # times as many epochs as others, at most
TRAINED = 0.85  # of the hours; the rest goes into opening images, scores and the best run


@dataclass(frozen=True)
class Budget:
    """Time, in seconds.

    Args:
        end: When it is over, by the monotonic clock.
        pace: What an epoch may take, so that all trials have their turn.
        each: What any training may last.
        stretch: Whether small networks go on for more epochs while their share of the time lasts.
    """

    end: float = math.inf
    pace: float = math.inf
    each: float = math.inf
    stretch: bool = False

    def stretched(self, epochs: int) -> int:
        """Give the epochs of a training that may go on while its share of the time lasts."""
        return STRETCH * epochs if self.stretch else epochs

    @property
    def over(self) -> bool:
        """Whether all of it is spent."""
        return time.monotonic() >= self.end

    def left(self, epochs: int, spent: float) -> float:
        """Give the seconds after which a training up to so many epochs stops, those among them that it has lasted already."""
        return min(max(self.end - time.monotonic(), 1) + spent, epochs * self.pace, self.each)


def lengths(cfg: DictConfig) -> Rungs:
    """Give the lengths of training after which a search by halving compares trials."""
    return spaced(cfg.search.rungs, cfg.max_epochs, cfg.search.reduction)


def share(cfg: DictConfig, rungs: Rungs, trials: int) -> float:
    """Give the seconds that an epoch may take, so that all trials have their turn within the hours of a search.

    Args:
        cfg: Of the search.
        rungs: How long trials train.
        trials: How many there are to be, in all commands of the search.
    """
    epochs = rungs.total(trials, cfg.search.parallel) * (cfg.search.folds or 1)
    return TRAINED * _seconds(cfg) / epochs if cfg.search.share_hours else math.inf


def budget(cfg: DictConfig, pace: float, given: bool = False) -> Budget:
    """Say how long the trainings of one command may last.

    Args:
        cfg: Of the search.
        pace: What an epoch may take, in seconds, in all commands of the search.
        given: Whether somebody asked for so many epochs, which are then the most that any training has.
    """
    each = math.inf if cfg.max_time is None else seconds_of(cfg.max_time)
    return Budget(time.monotonic() + _seconds(cfg), pace, each, stretch=cfg.search.share_hours and not given)


def _seconds(cfg: DictConfig) -> float:
    return math.inf if cfg.search.hours is None else 3600 * cfg.search.hours
