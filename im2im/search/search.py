"""The search: asks for trials, trains them, short ones first, and tells how each ended."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import Trial

from im2im.search.bookkeeping import Book
from im2im.search.halving import Rungs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One training of one trial.

    Args:
        trial: Its number.
        settings: What the trial differs by.
        epochs: Up to which it trains.
        resume: Whether it goes on from what it reached before.
    """

    trial: int
    settings: tuple[str, ...]
    epochs: int
    resume: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Args:
        values: One for each objective.
        pruned: Whether it stopped early, because others were better.
        reason: Why it failed; None where it did not.
        facts: What is kept of it: folder, epochs, seconds.
    """

    values: tuple[float, ...] = ()
    pruned: bool = False
    reason: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


Run = Callable[[Sequence[Job]], Sequence[Outcome]]


class TooManyFailuresError(ValueError):
    """Trial after trial failed."""


class Search:
    """Goes on until all trials are done, the time is over, or too many fail one after the other.

    Args:
        book: Of the trials.
        rungs: How long they train before some of them stop.
        parallel: Trials that are trained at the same time.
        seconds: Until no further training begins.
        max_failures: In a row.
    """

    def __init__(self, book: Book, rungs: Rungs, parallel: int, seconds: float, max_failures: int) -> None:
        self.book, self.rungs, self.parallel, self.max_failures = book, rungs, parallel, max_failures
        self.dimensions = {one.name: one for one in book.dimensions}
        self.end, self.failures = time.monotonic() + seconds, 0

    def __call__(self, run: Run) -> None:
        """Search.

        Args:
            run: Trains; gives the outcomes in the order of the jobs.

        Raises:
            TooManyFailuresError: With the last reason.
        """
        self.book.repeat_killed()
        while time.monotonic() < self.end and (trials := self.book.ask(max(self.parallel, self.rungs.bracket))):
            begun = [trial.number for trial in trials]
            try:
                for rung in range(len(self.rungs.epochs)):
                    trials = self._rung(trials, rung, run)
            except TooManyFailuresError:
                self.book.abandon(begun)
                raise
            self.book.repeat_killed()

    def _rung(self, trials: Sequence[Trial], rung: int, run: Run) -> list[Trial]:
        """Train trials up to a rung; give those that go on."""
        values: list[tuple[Trial, float]] = []
        for start in range(0, len(trials), self.parallel):
            together = trials[start : start + self.parallel]
            if time.monotonic() >= self.end:
                self._leave(together, rung)
                continue
            jobs = [Job(trial.number, self._settings(trial), self.rungs.epochs[rung], rung > 0) for trial in together]
            with self.book.alive([*trials[start:], *(trial for trial, _ in values)]):
                outcomes = run(jobs)
            for trial, outcome in zip(together, outcomes, strict=True):
                if self._judge(trial, outcome, rung):
                    values.append((trial, outcome.values[0] * (1 if self.book.maximize else -1)))
        if rung == len(self.rungs.epochs) - 1:
            return []
        on = self.rungs.going_on([value for _, value in values], rung)
        for place, (trial, _) in enumerate(values):
            if place not in on:
                self.book.prune(trial)
        return [values[place][0] for place in on]

    def _leave(self, trials: Sequence[Trial], rung: int) -> None:
        """Keep that the time was over before these trials were trained, or trained further."""
        for trial in trials:
            if rung:
                self.book.prune(trial)
            else:
                self.book.fail(trial, "not needed")

    def _settings(self, trial: Trial) -> tuple[str, ...]:
        return tuple(setting for name, value in trial.params.items() for setting in self.dimensions[name].overrides(value))

    def _judge(self, trial: Trial, outcome: Outcome, rung: int) -> bool:
        """Keep an outcome; tell whether the trial may go on."""
        for name, fact in outcome.facts.items():
            trial.set_user_attr(name, fact)
        reason = outcome.reason if outcome.reason or all(map(math.isfinite, outcome.values)) else "NaN"
        if reason is not None:
            self.book.fail(trial, reason)
            self._count_failure(trial, reason)
            return False
        self.failures = 0
        log.info(
            "trial %d, %d epochs: %s", trial.number, outcome.facts.get("epochs", 0), " and ".join(f"{one:.4g}" for one in outcome.values)
        )
        if outcome.pruned:
            self.book.prune(trial)
            return False
        if rung == len(self.rungs.epochs) - 1:
            self.book.complete(trial, outcome.values)
        else:
            trial.report(outcome.values[0], self.rungs.epochs[rung])
        return True

    def _count_failure(self, trial: Trial, reason: str) -> None:
        log.warning("trial %d failed: %s", trial.number, reason)
        self.failures += 1
        if self.failures >= self.max_failures:
            raise TooManyFailuresError(
                f"{self.failures} trials in a row failed, the last one: {reason}; correct that, or raise search.max_failures"
            )
