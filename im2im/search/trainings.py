"""Jobs of a search as command lines, and what came of them as outcomes."""

import logging
import math
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from im2im.memory import out_of_memory
from im2im.report.notation import days
from im2im.search.budget import Budget, lengths
from im2im.search.planned import of_trial
from im2im.search.search import Job, Outcome
from im2im.settings import quoted

log = logging.getLogger(__name__)

Launch = Callable[[Sequence[Sequence[str]]], Sequence[JobReturn]]

PRUNING = "im2im.search.pruning.Pruning"


class LostJobError(RuntimeError):
    """A launcher lost jobs that it ran together: a process was killed, or none could be started."""


class Trainings:
    """Trains the jobs of one study, each trial in a folder of its own, each fold of it in one within that.

    Args:
        cfg: Of the search.
        settings: Which all trials share.
        study: Its name.
        folds: A splits.csv for each fold; none for one training with the images as they are divided.
        launch: Runs jobs of the settings given, together.
        budget: How long trainings may last.
        plan: Settings that all trials start from, and which yield to all others.
    """

    def __init__(
        self,
        cfg: DictConfig,
        settings: Sequence[str],
        study: str,
        folds: Sequence[Path],
        launch: Launch,
        budget: Budget,
        plan: Mapping[str, Any] | None = None,
    ) -> None:
        self.cfg, self.study, self.launch, self.budget, self.plan = cfg, study, launch, budget, plan or {}
        self.settings = [one for one in settings if one.partition("=")[0] not in ("plan", "plan.file")]
        self.folds: Sequence[Path | None] = folds or [None]
        self.folder = Path(cfg.hydra.sweep.dir).absolute()

    def __call__(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Train; an error is the outcome of its job, and several folds have one outcome together."""
        jobs = [self._taken_over(job) for job in jobs]
        each, at_once = [(job, fold) for job in jobs for fold in range(len(self.folds))], self.cfg.search.parallel
        outcomes: list[Outcome] = []
        for start in range(0, len(each), at_once):
            together = each[start : start + at_once]
            if start and self.budget.over:  # while the folds of one trial were trained
                outcomes += [Outcome() for _ in together]
                continue
            returns = self.launch([self.arguments(job, fold) for job, fold in together])
            outcomes += [self._outcome(job, fold, one) for (job, fold), one in zip(together, returns, strict=True)]
        found = iter(outcomes)
        return [_mean([next(found) for _ in self.folds]) for _ in jobs]

    def _taken_over(self, job: Job) -> Job:
        """Let a trial of an earlier command go on in a copy, which nothing that is left of that command writes to; anew without it."""
        anew = replace(job, resume=None, spent=0.0)
        if job.resume is None or not Path(job.resume).is_dir():
            return anew
        if Path(job.resume).is_relative_to(self.folder):
            return job
        copied = self.folder / "trials" / str(job.trial)
        try:
            shutil.copytree(job.resume, copied)
        except OSError as error:
            log.warning("what trial %d reached cannot be copied (%s); it begins anew", job.trial, error)
            shutil.rmtree(copied, ignore_errors=True)
            return anew
        return replace(job, resume=str(copied))

    def arguments(self, job: Job, fold: int = 0) -> list[str]:
        """Write the settings of a job."""
        place, splits, search = self.place(job, fold), self.folds[fold], self.cfg.search
        told = {"_target_": PRUNING, "study": quoted(self.study), "trial": job.trial, "monitor": self.cfg.quality.monitor}
        told |= {"pruner": search.pruner, "first": lengths(self.cfg).epochs[0], "last": self.cfg.max_epochs}
        return [
            *self.common(job, self.budget.stretched(job.epochs)),
            f"hydra.sweep.subdir={quoted(place)}",
            f"max_time={_written(self.budget.left(job.epochs, job.spent / len(self.folds)))}",
            "mode.score=false",
            *(["++callbacks.training_log.console=false"] if self.cfg.callbacks.get("training_log") else []),  # many epochs in all
            f"mode.resume={'null' if job.resume is None else quoted(place)}",
            *([f"data.splits={quoted(splits)}"] if splits else []),
            *(f"+callbacks.pruning.{key}={value}" for key, value in told.items()),
        ]

    def common(self, job: Job, epochs: int) -> list[str]:
        """Write what a job has in common with the run that is made of the best one."""
        chosen_by = [
            f"callbacks.{name}.{key}={self.cfg.quality[key]}"
            for name in ("checkpoint", "early_stopping")
            if name in self.cfg.callbacks
            for key in ("monitor", "mode")
        ]
        group = [f"++logger.wandb.group={quoted(self.study)}"] if "wandb" in self.cfg.logger else []
        planned = of_trial(self.plan, job.settings, self.cfg.hydra.runtime.choices) if self.plan else []
        return [*planned, *self.settings, *job.settings, "search.storage=null", "plan=none", f"max_epochs={epochs}", *chosen_by, *group]

    def score(self, job: Job, place: Path, others: Sequence[str] = ()) -> dict[str, Any]:
        """Score a trained job on the test images in a folder that holds a copy of it; trained first where it does not.

        Args:
            job: What was trained.
            place: The folder.
            others: Further settings.

        Raises:
            ValueError: If that failed.
        """
        resume = "null" if job.resume is None else quoted(job.resume)
        time = f"max_time={_written(math.inf if job.resume else self.budget.each)}"
        (returned,) = self.launch(
            [[*self.common(job, job.epochs), f"hydra.sweep.subdir={place.name}", f"mode.resume={resume}", time, *others]]
        )
        if returned.status != JobStatus.COMPLETED:
            raise ValueError(f"the best trial could not be scored: {_reason(returned._return_value)}")
        return dict(returned.return_value)

    def home(self, job: Job) -> Path:
        """Name the folder of a trial."""
        return Path(job.resume or self.folder / "trials" / str(job.trial))

    def place(self, job: Job, fold: int = 0) -> Path:
        """Name the folder of a training: that of its trial, or one for each of its folds."""
        return self.home(job) / str(fold) if self.folds != [None] else self.home(job)

    def _outcome(self, job: Job, fold: int, returned: JobReturn) -> Outcome:
        facts = {"folder": str(self.home(job)), "epochs": job.epochs}
        if returned.status != JobStatus.COMPLETED:
            error = returned._return_value
            return Outcome(reason=_reason(error), lost=isinstance(error, LostJobError), facts=facts)
        found: dict[str, Any] = returned.return_value
        if self.cfg.quality.monitor not in found["val"]:
            known = ", ".join(found["val"])
            return Outcome(reason=f"validation has no {self.cfg.quality.monitor}; set quality.monitor to one of {known}", facts=facts)
        seconds = job.spent / len(self.folds) + found["train"]["seconds"]
        facts |= {"epochs": found["train"]["epochs"], "seconds": round(seconds, 1)}
        values = (found["val"][self.cfg.quality.monitor], *([found["val"]["seconds_per_megavoxel"]] if self.cfg.search.speed else []))
        return Outcome(tuple(map(float, values)), bool(found["train"]["pruned"]), facts=facts)


def _mean(outcomes: Sequence[Outcome]) -> Outcome:
    """Give the mean over folds; one that failed fails all, and without one there is none."""
    first = outcomes[0]
    if without := [one for one in outcomes if one.reason is not None] or [one for one in outcomes if not one.values]:
        return without[0]
    facts = {**first.facts, "seconds": round(sum(one.facts["seconds"] for one in outcomes), 1)}
    values = tuple(statistics.fmean(each) for each in zip(*(one.values for one in outcomes), strict=True))
    return replace(first, values=values, pruned=any(one.pruned for one in outcomes), facts=facts)


def _reason(error: Any) -> str:
    from im2im.app import one_line

    if isinstance(error, LostJobError):
        return str(error)
    if isinstance(error, BaseException) and out_of_memory(error):
        return f"out of memory: {one_line(error)}"
    return one_line(error) if isinstance(error, BaseException) else str(error)


def _written(seconds: float) -> str:
    return "null" if seconds == math.inf else quoted(days(seconds))
