"""The trials of one search in Optuna's storage: whose they are, how they ended, which are still to come."""

import logging
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import optuna
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from im2im.search.combining import combined
from im2im.search.space import space_of

log = logging.getLogger(__name__)

SILENT = 600.0  # seconds after which a worker on another machine is taken for dead
NAMELESS = 60.0  # seconds in which a worker says who it is
HEARTBEAT = 60.0  # seconds between signs of life
REPEATS = 1  # how often a trial is tried again whose worker was killed
KEPT = ("default", "reached", "folder", "seconds", "epochs")  # of a trial that is tried again
FINISHED = (optuna.exceptions.UpdateFinishedTrialError, ValueError)  # another worker has ended the trial


class Book:
    """Asks for trials and keeps how each ended, shared by all workers of a search.

    Args:
        study: In a storage.
        space: What trials differ by, see :func:`im2im.search.space.space_of`.
        total: How many trials there are to be, of all workers together.
        new: Whether this worker began the search.
    """

    def __init__(self, study: Study, space: Mapping[str, Any], total: int, new: bool = False) -> None:
        self.study, self.space, self.total, self.dimensions = study, space, total, space_of(space)
        self.combines = new  # one of the workers does, once
        self.distributions = {one.name: one.distribution for one in self.dimensions}

    @property
    def maximize(self) -> bool:
        """Whether more of the first objective is better."""
        return self.study.directions[0] == StudyDirection.MAXIMIZE

    def repeat_killed(self) -> None:
        """Mark the trials of dead workers as failed, and have them tried again, from what they reached before.

        A trial that was trained when its worker died may be what killed it: it is tried again once.
        """
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if _alive(trial):
                continue
            repeats = trial.user_attrs.get("repeats", 0) + bool(trial.user_attrs.get("trained", True))
            again = repeats <= REPEATS
            if self.fail(trial, "killed" if again else "killed again") and again:
                kept = {name: trial.user_attrs[name] for name in KEPT if name in trial.user_attrs}
                self.study.enqueue_trial(trial.params, user_attrs={**kept, "repeats": repeats})
                log.info("trial %d was killed and is tried again", trial.number)

    def begin_with(self, trials: Sequence[Mapping[str, Any]], default: bool) -> None:
        """Let these trials be the first.

        Args:
            trials: Values of dimensions; the others are drawn.
            default: Whether the first of them is the task's own default, which all others are compared with.
        """
        for place, values in enumerate(trials):
            self.study.enqueue_trial(dict(values), user_attrs={"default": True} if default and place == 0 else {})

    def combine(self, epochs: int) -> None:
        """Plan trials that put together what helped by itself, once all that was planned has come to so many epochs."""
        trials = self.study.get_trials(deepcopy=False)
        if not self.combines or any(not one.state.is_finished() and "fixed_params" in one.system_attrs for one in trials):
            return
        if planned := combined(trials, epochs, self.maximize):
            self.combines = False
            self.begin_with(planned, default=False)

    def plan(self, combinations: Sequence[Mapping[str, Any]]) -> None:
        """Let the trials be these and no others, in their order, as far as the total allows."""
        planned = self.study.user_attrs.get("planned", 0)
        self.total = min(self.total, len(combinations))
        if planned < self.total:
            self.study.set_user_attr("planned", self.total)
            self.begin_with(combinations[planned : self.total], default=False)

    def ask(self, count: int) -> list[Trial]:
        """Give up to so many new trials, fewer where the search is nearly done, none where it is."""
        trials: list[Trial] = []
        while len(trials) < count and len(self.counted()) < self.total:
            trial = self.study.ask(self.distributions)
            trial.set_user_attr("seen", time.time())
            trial.set_user_attr("worker", {"host": socket.gethostname(), "pid": os.getpid(), "begun": _begun(os.getpid())})
            trial.set_user_attr("trained", False)
            if sum(number < trial.number for number in self.counted()) >= self.total:  # another worker was faster
                self.fail(trial, "not needed")
                break
            trials.append(trial)
        return trials

    def counted(self) -> list[int]:
        """Number the trials that count: those that run or ended by themselves, whatever came of them."""
        trials = self.study.get_trials(deepcopy=False)
        idle = {TrialState.WAITING}
        return [one.number for one in trials if one.state not in idle and one.user_attrs.get("reason") not in {"killed", "not needed"}]

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
                self.fail(trial, "not needed")

    def running(self) -> int:
        """Count the trials that other workers still train."""
        return len(self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]))

    def complete(self, trial: Trial, values: Sequence[float]) -> None:
        """Keep what a trial reached; what is not a number failed."""
        if not all(map(math.isfinite, values)):
            self.fail(trial, "NaN")
        else:
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
        if reason == "not needed" and wanted:  # it was planned: it is there for a larger total
            kept = {name: fact for name, fact in trial.user_attrs.items() if name in (*KEPT, "repeats")}
            self.study.enqueue_trial(wanted, user_attrs=kept)
        return True

    def best(self) -> FrozenTrial | None:
        """Give the best trial that was trained to its end, or where there is none, the best that was not; by the first objective."""
        trials, sign = self.study.get_trials(deepcopy=False), -1 if self.maximize else 1
        for state in (TrialState.COMPLETE, TrialState.PRUNED):
            if done := [one for one in trials if one.state == state and value(one) is not None]:
                return min(done, key=lambda one: sign * float(value(one) or 0))
        return None


def value(trial: FrozenTrial) -> float | None:
    """Give what a trial reached in the first objective, however long it was trained."""
    if trial.state == TrialState.COMPLETE:
        return trial.values[0]
    reached = trial.user_attrs.get("reached")
    return float(reached[max(reached, key=int)][0]) if reached else None


def _mark(trials: Sequence[Trial], name: str, fact: Any) -> None:
    for trial in trials:
        with suppress(optuna.exceptions.OptunaError):
            trial.set_user_attr(name, fact)


def is_default(trial: Trial | FrozenTrial) -> bool:
    """Tell whether a trial is the task's own default."""
    return bool(trial.user_attrs.get("default", False))


def _alive(trial: FrozenTrial) -> bool:
    worker = trial.user_attrs.get("worker", {})  # empty before it had time to say who it is
    if worker.get("host") != socket.gethostname():
        begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        return time.time() - trial.user_attrs.get("seen", begun) < (SILENT if worker else NAMELESS)
    return worker.get("begun") is not None and _begun(worker["pid"]) == worker["begun"]


def _begun(pid: int) -> str | None:
    """Tell processes of one number apart: when this one began, in ticks since the machine did; None where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return _without_proc(pid)


def _without_proc(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return "unknown"
