"""Jobs of a search as command lines, and what came of them as outcomes."""

import logging
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from im2im.frameworks.schedule import seconds_of
from im2im.search.search import Job, Outcome

log = logging.getLogger(__name__)

Launch = Callable[[Sequence[Sequence[str]]], Sequence[JobReturn]]

PRUNING = "im2im.search.pruning.Pruning"


class Trainings:
    """Trains the jobs of one study, each trial in a folder of its own, each fold of it in one within that.

    Args:
        cfg: Of the search.
        settings: Which all trials share.
        study: Name and storage of the study.
        folds: A splits.csv for each fold; none for one training with the images as they are divided.
        launch: Runs jobs of the settings given, together.
        end: Until when trainings may last, by the monotonic clock.
    """

    def __init__(
        self, cfg: DictConfig, settings: Sequence[str], study: tuple[str, str], folds: Sequence[Path], launch: Launch, end: float
    ) -> None:
        self.cfg, self.settings, self.study, self.launch, self.end = cfg, list(settings), study, launch, end
        self.folds: Sequence[Path | None] = folds or [None]
        self.folder = Path(cfg.hydra.sweep.dir).absolute()
        self._spent: dict[int, float] = {}  # seconds of each trial

    def __call__(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Train; an error is the outcome of its job, and several folds have one outcome together."""
        begun = time.monotonic()
        returns = self.launch([self.arguments(job, fold) for job in jobs for fold in range(len(self.folds))])
        seconds = (time.monotonic() - begun) / len(returns)
        found = iter([self._outcome(job, one, seconds) for job, one in zip(self._each(jobs), returns, strict=True)])
        return [_mean([next(found) for _ in self.folds]) for _ in jobs]

    def _each(self, jobs: Sequence[Job]) -> list[Job]:
        return [job for job in jobs for _ in self.folds]

    def arguments(self, job: Job, fold: int = 0) -> list[str]:
        """Write the settings of a job."""
        name, url = self.study
        place, splits, search = self.place(job.trial, fold), self.folds[fold], self.cfg.search
        told = {"_target_": PRUNING, "study": f"'{name}'", "storage": f"'{url}'", "trial": job.trial, "monitor": self.cfg.quality.monitor}
        told |= {"pruner": "none" if splits else search.pruner, "first": search.first_epochs, "last": self.cfg.max_epochs}
        return [
            *self.common(job),
            f"hydra.sweep.subdir={place.relative_to(self.folder)}",
            f"max_time='{self._time_left(job)}'",
            "mode.score=false",
            f"mode.resume='{place}'" if job.resume else "mode.resume=null",
            *([f"data.splits='{splits}'"] if splits else []),
            *(f"+callbacks.pruning.{key}={value}" for key, value in told.items()),
        ]

    def common(self, job: Job) -> list[str]:
        """Write what a job has in common with the run that is made of the best one."""
        chosen_by = [
            f"callbacks.{name}.{key}={self.cfg.quality[key]}" for name in ("checkpoint", "early_stopping") for key in ("monitor", "mode")
        ]
        group = [f"+logger.wandb.group='{self.study[0]}'"] if "wandb" in self.cfg.logger else []
        return [*self.settings, *job.settings, f"max_epochs={job.epochs}", *chosen_by, *group]

    def score(self, job: Job, place: Path, others: Sequence[str] = ()) -> dict[str, Any]:
        """Score a trained job on the test images in a folder that holds a copy of it; trained first where it does not.

        Args:
            job: What was trained.
            place: The folder.
            others: Further settings.

        Raises:
            ValueError: If that failed.
        """
        resume = f"mode.resume='{place}'" if job.resume else "mode.resume=null"
        (returned,) = self.launch([[*self.common(job), f"hydra.sweep.subdir={place.name}", resume, "max_time=null", *others]])
        if returned.status != JobStatus.COMPLETED:
            raise ValueError(f"the best trial could not be scored: {_reason(returned._return_value)}")
        return dict(returned.return_value)

    def place(self, trial: int, fold: int = 0) -> Path:
        """Name the folder of a trial, or of one of its folds."""
        home = self.folder / "trials" / str(trial)
        return home / str(fold) if self.folds != [None] else home

    def _time_left(self, job: Job) -> str:
        """Write how long a training may last: as the task says, or what is left of the search, beside what it has lasted already."""
        left = math.inf if self.end == math.inf else max(self.end - time.monotonic(), 1)
        given = math.inf if self.cfg.max_time is None else seconds_of(self.cfg.max_time)
        spent = self._spent.get(job.trial, 0.0) if job.resume else 0.0  # which the trainer counts on from the checkpoint
        return _written(min(left + spent, given)) if min(left, given) < math.inf else "null"

    def _outcome(self, job: Job, returned: JobReturn, seconds: float) -> Outcome:
        facts = {"folder": str(self.place(job.trial)), "epochs": job.epochs, "seconds": round(seconds, 1)}
        if returned.status != JobStatus.COMPLETED:
            return Outcome(reason=_reason(returned._return_value), facts=facts)
        found: dict[str, Any] = returned.return_value
        self._spent[job.trial] = self._spent.get(job.trial, 0.0) + found["train"]["seconds"]
        facts |= {"epochs": found["train"]["epochs"], "seconds": round(self._spent[job.trial], 1)}
        values = (found["val"][self.cfg.quality.monitor], *([found["val"]["seconds_per_megavoxel"]] if self.cfg.search.speed else []))
        return Outcome(tuple(map(float, values)), bool(found["train"]["pruned"]), facts=facts)


def _mean(outcomes: Sequence[Outcome]) -> Outcome:
    """Give the mean over folds; one that failed fails all."""
    first = outcomes[0]
    if failed := [one for one in outcomes if one.reason is not None]:
        return failed[0]
    values = tuple(statistics.fmean(each) for each in zip(*(one.values for one in outcomes), strict=True))
    return replace(first, values=values, pruned=any(one.pruned for one in outcomes))


def _reason(error: Any) -> str:
    from im2im.app import one_line

    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return f"out of memory: {one_line(error)}"
    return one_line(error) if isinstance(error, BaseException) else str(error)


def _written(seconds: float) -> str:
    whole = max(int(seconds), 1)
    return f"{whole // 86400:02d}:{whole // 3600 % 24:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
