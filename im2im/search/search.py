"""The search: asks for trials, trains them, short ones first, and tells how each ended."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial

from im2im.search.halving import Rungs
from im2im.search.ranking import SweepTimeLeft
from im2im.search.trial_log import TrialLog
from im2im.search.trials import Trials, is_default

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One training of one trial.

    Args:
        trial: Its number.
        settings: What the trial differs by.
        epochs: Up to which it trains.
        resume: The folder with what it reached before, to go on from; None for a new training.
        spent: Seconds that it was trained before.
    """

    trial: int
    settings: tuple[str, ...]
    epochs: int
    resume: str | None = None
    spent: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Args:
        values: One for each objective; none where the time was over before there was any.
        pruned: Whether it stopped early, because others were better.
        reason: Why it failed; None where it did not.
        lost: Whether its job was lost on the way, perhaps for no fault of its own.
        facts: What is kept of it: folder, epochs, seconds.
    """

    values: tuple[float, ...] = ()
    pruned: bool = False
    reason: str | None = None
    lost: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def failure(self) -> str | None:
        """Why it failed, values that are no numbers among the reasons; None where it did not."""
        return self.reason or (None if all(map(math.isfinite, self.values)) else "NaN")


Run = Callable[[Sequence[Job]], Sequence[Outcome]]
Ranked = list[tuple[Trial, float]]  # larger is better


class TooManyFailuresError(ValueError):
    """Trial after trial failed."""


class Search:
    """Goes on until all trials are done, the time is over, or too many fail one after the other.

    Args:
        trials: Those of the search, in its storage.
        rungs: How long they train before some of them stop.
        parallel: Trials that are trained at the same time.
        end: When no further training begins, by the monotonic clock.
        max_failures: In a row.
        metrics: Names of what trials are compared by.
    """

    def __init__(
        self, trials: Trials, rungs: Rungs, parallel: int, end: float, max_failures: int, metrics: Sequence[str] = ("value", "other value")
    ) -> None:
        self.trials, self.rungs, self.parallel, self.max_failures = trials, rungs, parallel, max_failures
        self.dimensions = {one.name: one for one in trials.dimensions}
        self.end, self.failures = end, list[str]()  # in a row
        self.trial_log, self.left = TrialLog(trials, metrics), SweepTimeLeft(0.0)

    def __call__(self, run: Run) -> None:
        """Search.

        Args:
            run: Trains; gives the outcomes in the order of the jobs.

        Raises:
            TooManyFailuresError: With the last reason.
        """
        trials = max(self.trials.total - len(self.trials.counted()), 0)
        self.left = SweepTimeLeft(self.rungs.total(trials, self.parallel), self.end)  # in epochs
        going = True
        while going:
            self.trials.repeat_killed()
            self.trials.combine(self.rungs.epochs[0])
            going = self._bracket(run)

    def _bracket(self, run: Run) -> bool:
        """Train trials, the best of them further; tell whether there were any."""
        begun: list[Trial] = []
        size = max(self.rungs.bracket, self.parallel)
        try:
            ranked: Ranked = []
            while len(begun) < size and time.monotonic() < self.end and (some := self.trials.ask(min(self.parallel, size - len(begun)))):
                begun += some
                ranked += self._train(some, 0, run, begun)
            for rung in range(1, len(self.rungs.epochs)):
                on, ranked = self._going_on(ranked, rung - 1), []
                for start in range(0, len(on), self.parallel):
                    ranked += self._train(on[start : start + self.parallel], rung, run, begun)
        except TooManyFailuresError:
            self.trials.abandon(begun)
            raise
        return bool(begun)

    def _going_on(self, ranked: Ranked, rung: int) -> list[Trial]:
        """Choose the trials that go on after a rung, and end the others."""
        on = self.rungs.going_on([value for _, value in ranked], rung)
        on += [place for place, (trial, _) in enumerate(ranked) if is_default(trial) and place not in on]  # others are compared with it
        for place, (trial, _) in enumerate(ranked):
            if place not in on:
                self.trials.prune(trial)
        return [ranked[place][0] for place in on]

    def _train(self, trials: Sequence[Trial], rung: int, run: Run, begun: Sequence[Trial]) -> Ranked:
        """Train trials together up to a rung; give those that may go on. Those that reached it before their worker was killed need none."""
        epochs = self.rungs.epochs[rung]
        outcomes = {
            trial.number: Outcome(tuple(known)) for trial in trials if (known := trial.user_attrs.get("reached", {}).get(str(epochs)))
        }
        waiting = [trial for trial in trials if trial.number not in outcomes]
        if rung and time.monotonic() >= self.end:
            for trial in trials:
                self.trials.prune(trial)
            return []
        for together in self._batches(waiting):
            for trial in together:
                self.trial_log.begins(trial, epochs, self.rungs.epochs[-1])
            with self.trials.training(together, begun):
                found = run([self._job(trial, epochs) for trial in together])
            outcomes |= {trial.number: outcome for trial, outcome in zip(together, found, strict=True)}
        if waiting:
            self.trial_log.left = self.left.add(epochs - (self.rungs.epochs[rung - 1] if rung else 0))
        judged = [(trial, self._judge(trial, outcomes[trial.number], rung)) for trial in trials]
        self._refuse_to_go_on()
        return [(trial, value) for trial, value in judged if value is not None]

    def _batches(self, trials: Sequence[Trial]) -> list[list[Trial]]:
        """Divide trials into those that are trained together; those that are tried again are trained alone, lest they do harm to others."""
        suspects = [trial for trial in trials if trial.user_attrs.get("repeats")]
        others = [trial for trial in trials if trial not in suspects]
        return [*([others] if others else []), *([trial] for trial in suspects)]

    def _job(self, trial: Trial, epochs: int) -> Job:
        settings = tuple(setting for name, value in trial.params.items() for setting in self.dimensions[name].overrides(value))
        before = trial.user_attrs
        resume = before.get("folder") if before.get("reached") else None
        spent = before.get("seconds", 0.0) if resume else 0.0
        return Job(trial.number, settings, epochs, resume, spent)

    def _judge(self, trial: Trial, outcome: Outcome, rung: int) -> float | None:
        """Keep an outcome; give the value, larger is better, of a trial that may go on."""
        try:
            return self._keep(trial, outcome, rung)
        except UpdateFinishedTrialError:
            log.warning("trial %d was taken for dead by another worker, which repeats it", trial.number)
            return None

    def _keep(self, trial: Trial, outcome: Outcome, rung: int) -> float | None:
        for name, fact in outcome.facts.items():
            trial.set_user_attr(name, fact)
        if outcome.lost and self.trials.lose(trial, str(outcome.reason)):
            return None
        if outcome.failure is not None:
            self.trial_log.failed(trial, outcome.failure)
            self.trials.fail(trial, outcome.failure)
            self.failures.append(outcome.failure)
            return None
        self.failures.clear()
        if not outcome.values:
            self.trials.abandon([trial])
            return None
        last, epochs = rung == len(self.rungs.epochs) - 1, self.rungs.epochs[rung]
        self.trial_log.reached(trial, outcome.facts.get("epochs", epochs), outcome.values)
        trial.set_user_attr("reached", {**trial.user_attrs.get("reached", {}), str(epochs): list(outcome.values)})
        if outcome.pruned:
            self.trials.prune(trial)
        elif last:
            self.trials.complete(trial, outcome.values)
        elif len(outcome.values) == 1:
            trial.report(outcome.values[0], epochs)
        return None if outcome.pruned else outcome.values[0] * (1 if self.trials.maximize else -1)

    def _refuse_to_go_on(self) -> None:
        """Raise TooManyFailuresError after too many failures in a row."""
        if (count := len(self.failures)) >= self.max_failures:
            raise TooManyFailuresError(
                f"{count} trials in a row failed, the last one: {self.failures[-1]}; correct that, or raise search.max_failures"
            )
