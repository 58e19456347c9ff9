"""The trials of one search in Optuna's storage: whose they are, how they ended, which are still to come."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import optuna
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from im2im.search.combining import combined
from im2im.search.space import space_of
from im2im.search.workers import alive, identity

log = logging.getLogger(__name__)

HEARTBEAT = 60.0  # seconds between signs of life
REPEATS = 1  # how often a trial is tried again whose worker was killed
KEPT = ("default", "reached", "folder", "seconds", "epochs")  # of a trial that is tried again
UNCOUNTED = KILLED, NEEDLESS = "killed", "not needed"  # reasons of trials that do not count
FINISHED = (optuna.exceptions.UpdateFinishedTrialError, ValueError)  # another worker has ended the trial


class Trials:
    """Asks for trials and keeps how each ended, shared by all workers of a search.

    Args:
        study: In a storage.
        space: What trials differ by, see :func:`im2im.search.space.space_of`.
        total: How many trials there are to be, of all workers together.
    """

    def __init__(self, study: Study, space: Mapping[str, Any], total: int) -> None:
        self.study, self.space, self.total, self.dimensions = study, space, total, space_of(space)
        self.distributions = {one.name: one.distribution for one in self.dimensions}

    @property
    def maximize(self) -> bool:
        """Whether more of the first objective is better."""
        return self.study.directions[0] == StudyDirection.MAXIMIZE

    def repeat_killed(self) -> None:
        """Have the trials of dead workers tried again, from what they reached before.

        A trial that was trained when its worker died may be what killed it: it is tried again once.
        """
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if not _alive(trial):
                self._repeat(trial, bool(trial.user_attrs.get("trained", True)), "killed", KEPT)

    def lose(self, trial: Trial, reason: str) -> bool:
        """Have a trial tried again from its beginning whose job was lost by the launcher; false where it was lost before, and failed."""
        return self._repeat(trial, True, reason, ("default",))

    def _repeat(self, trial: Trial | FrozenTrial, suspect: bool, reason: str, kept: Sequence[str]) -> bool:
        known = self.study._storage.get_trial(trial._trial_id)
        repeats = known.user_attrs.get("repeats", 0) + suspect
        again = repeats <= REPEATS
        if self.fail(trial, KILLED if again else f"{reason} again") and again:
            values = {**known.system_attrs.get("fixed_params", {}), **known.params}
            facts = {name: known.user_attrs[name] for name in kept if name in known.user_attrs}
            self.study.enqueue_trial(values, user_attrs={**facts, "repeats": repeats})
            log.info("trial %d was killed and is tried again", trial.number)
        return again

    def plan(self, trials: Sequence[Mapping[str, Any]], default: bool = False) -> None:
        """Let these trials come next, as far as the total allows; those that were planned before are not planned again.

        Args:
            trials: Values of dimensions; the others are drawn.
            default: Whether the first of them is the task's own default, which all others are compared with.
        """
        planned, wanted = self.study.user_attrs.get("planned", 0), min(self.total, len(trials))
        there = bool(self.study.get_trials(deepcopy=False))  # perhaps of a worker that died while it planned
        for place in range(planned, wanted):
            attributes = {"default": True} if default and place == 0 else {}
            self.study.enqueue_trial(dict(trials[place]), user_attrs=attributes, skip_if_exists=there)
        if wanted > planned:
            self.study.set_user_attr("planned", wanted)

    def combine(self, epochs: int) -> None:
        """Plan trials that put together what helped by itself, once all that was planned has come to so many epochs."""
        trials, room = self.study.get_trials(deepcopy=False), self.total - len(self.counted())
        if "combined" in self.study.user_attrs or any(not one.state.is_finished() and "fixed_params" in one.system_attrs for one in trials):
            return
        if room > 0 and (together := combined(trials, epochs, self.maximize)):
            self.study.set_user_attr("combined", True)
            for values in together[:room]:
                self.study.enqueue_trial(values, skip_if_exists=True)

    def ask(self, count: int) -> list[Trial]:
        """Give up to so many new trials, fewer where the search is nearly done, none where it is."""
        trials: list[Trial] = []
        while len(trials) < count and len(self.counted()) < self.total:
            trial = self.study.ask(self.distributions)
            trial.set_user_attr("seen", time.time())
            trial.set_user_attr("worker", identity())
            trial.set_user_attr("trained", False)
            if sum(number < trial.number for number in self.counted()) >= self.total:  # another worker was faster
                self.fail(trial, NEEDLESS)
                break
            trials.append(trial)
        return trials

    def counted(self) -> list[int]:
        """Number the trials that count: those that run or ended by themselves, whatever came of them."""
        begun = [one for one in self.study.get_trials(deepcopy=False) if one.state != TrialState.WAITING]
        return [one.number for one in begun if one.state != TrialState.FAIL or one.user_attrs.get("reason") not in UNCOUNTED]

    @contextmanager
    def training(self, trials: Sequence[Trial], begun: Sequence[Trial]) -> Iterator[None]:
        """Say that some trials are trained, and for as long as the block takes that the worker of all that it has begun is alive."""
        over = Event()

        def say() -> None:
            while not over.wait(HEARTBEAT):
                _mark(begun, "seen", time.time())

        thread = Thread(target=say, daemon=True)
        _mark(trials, "trained", True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            _mark(trials, "trained", False)

    def abandon(self, trials: Sequence[Trial]) -> None:
        """Give up those that still run: ended early where they reached something, not needed where they did not."""
        numbers = {trial.number for trial in trials}
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if trial.number in numbers and trial.user_attrs.get("reached"):
                self.prune(trial)
            elif trial.number in numbers:
                self.fail(trial, NEEDLESS)

    def begun(self) -> bool:
        """Tell whether any trial is trained or reached something."""
        return any(one.state == TrialState.RUNNING or one.user_attrs.get("reached") for one in self.study.get_trials(deepcopy=False))

    def running(self) -> int:
        """Count the trials that other workers still train."""
        return len(self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]))

    def complete(self, trial: Trial, values: Sequence[float]) -> None:
        """Keep what a trial reached."""
        with suppress(*FINISHED):
            self.study.tell(trial.number, list(values))

    def prune(self, trial: Trial | FrozenTrial) -> None:
        """Keep that a trial was not worth going on with."""
        with suppress(*FINISHED):
            self.study.tell(trial.number, state=TrialState.PRUNED)

    def fail(self, trial: Trial | FrozenTrial, reason: str) -> bool:
        """Keep why a trial failed; false where another worker has ended it before."""
        try:
            self.study._storage.set_trial_user_attr(trial._trial_id, "reason", reason)
            self.study.tell(trial.number, state=TrialState.FAIL)
        except FINISHED:
            return False
        wanted = self.study._storage.get_trial_system_attrs(trial._trial_id).get("fixed_params")
        if reason == NEEDLESS and wanted:  # it was planned: it is there for a larger total
            self.study.enqueue_trial(
                wanted, user_attrs={name: fact for name, fact in trial.user_attrs.items() if name in (*KEPT, "repeats")}
            )
        return True

    def best(self) -> FrozenTrial | None:
        """Give the best trial that was trained to its end, or where there is none, the best that was not; by the first objective."""
        trials, sign = self.study.get_trials(deepcopy=False), -1 if self.maximize else 1
        for state in (TrialState.COMPLETE, TrialState.PRUNED):
            if done := [one for one in trials if one.state == state and value(one) is not None]:
                return min(done, key=lambda one: sign * float(value(one) or 0))
        return None


def value(trial: FrozenTrial) -> float | None:
    """Give what a trial reached in the first objective, however long it was trained; None where it failed."""
    if trial.state in (TrialState.COMPLETE, TrialState.FAIL):
        return trial.values[0] if trial.values else None
    reached = trial.user_attrs.get("reached")
    return float(reached[max(reached, key=int)][0]) if reached else None


def _mark(trials: Sequence[Trial], name: str, fact: Any) -> None:
    for trial in trials:
        with suppress(optuna.exceptions.OptunaError, OSError, RuntimeError):  # of a journal on a network; the next beat comes
            trial.set_user_attr(name, fact)


def is_default(trial: Trial | FrozenTrial) -> bool:
    """Tell whether a trial is the task's own default."""
    return bool(trial.user_attrs.get("default", False))


def _alive(trial: FrozenTrial) -> bool:
    begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    return alive(trial.user_attrs.get("worker", {}), trial.user_attrs.get("seen", begun), time.time())
