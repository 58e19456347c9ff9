"""The trials of one search in Optuna's storage: whose they are, how they ended, which are still to come."""

import json
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
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from im2im.search.space import space_of

log = logging.getLogger(__name__)

SILENT = 600.0  # seconds after which a worker on another machine is taken for dead
NAMELESS = 60.0  # seconds in which a worker says who it is
HEARTBEAT = 60.0  # seconds between signs of life
REPEATS = 1  # how often a trial is tried again whose worker was killed


def storage(url: str) -> BaseStorage:
    """Open Optuna's storage.

    Args:
        url: ``sqlite:///FILE``, ``postgresql://…``, ``mysql://…``, or a path that ends in ``.log`` for a journal file.

    Raises:
        ValueError: If it cannot be opened.
    """
    try:
        if url.endswith(".log"):
            return JournalStorage(JournalFileBackend(url.removeprefix("journal:///")))
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).absolute().parent.mkdir(parents=True, exist_ok=True)
        timeout = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
        return RDBStorage(url, engine_kwargs=timeout)
    except Exception as error:  # each database has errors of its own
        raise ValueError(f"the storage {url} cannot be opened ({str(error).splitlines()[0]}); correct search.storage") from error


class Book:
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
        """Mark the trials of dead workers as failed, and have them tried again."""
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if not _alive(trial):
                repeats = trial.user_attrs.get("repeats", 0)
                again = repeats < REPEATS
                self.fail(trial, "killed" if again else "killed again")
                if again:
                    self.study.enqueue_trial(trial.params, user_attrs={"repeats": repeats + 1})
                    log.info("trial %d was killed and is tried again", trial.number)

    def plan(self, combinations: Sequence[Mapping[str, Any]]) -> None:
        """Let the trials be these and no others, in their order, as far as the total allows."""
        for values in combinations:
            self.study.enqueue_trial(dict(values), skip_if_exists=True)
        self.total = min(self.total, len(combinations))

    def ask(self, count: int) -> list[Trial]:
        """Give up to so many new trials, fewer where the search is nearly done, none where it is."""
        trials: list[Trial] = []
        while len(trials) < count and len(self.counted()) < self.total:
            trial = self.study.ask(self.distributions)
            trial.set_user_attr("worker", {"host": socket.gethostname(), "pid": os.getpid(), "begun": _begun(os.getpid())})
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
    def alive(self, trials: Sequence[Trial]) -> Iterator[None]:
        """Say again and again, for as long as the block takes, that the worker of these trials is alive."""
        over = Event()

        def say() -> None:
            while not over.wait(HEARTBEAT):
                for trial in trials:
                    with suppress(optuna.exceptions.OptunaError):
                        trial.set_user_attr("seen", time.time())

        thread = Thread(target=say, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def abandon(self, numbers: Sequence[int]) -> None:
        """Give up those of some trials that still run."""
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if trial.number in numbers:
                self.fail(trial, "not needed")

    def complete(self, trial: Trial, values: Sequence[float]) -> None:
        """Keep what a trial reached; what is not a number failed."""
        if not all(map(math.isfinite, values)):
            self.fail(trial, "NaN")
        else:
            self.study.tell(trial, list(values))

    def prune(self, trial: Trial) -> None:
        """Keep that a trial was not worth going on with."""
        self.study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial | FrozenTrial, reason: str) -> None:
        """Keep why a trial failed."""
        number = trial.number
        if isinstance(trial, FrozenTrial):
            self.study._storage.set_trial_user_attr(trial._trial_id, "reason", reason)
        else:
            trial.set_user_attr("reason", reason)
        self.study.tell(number, state=TrialState.FAIL)

    def best(self) -> FrozenTrial | None:
        """Give the best trial that was trained to its end, or where there is none, the best that was not; by the first objective."""
        trials, sign = self.study.get_trials(deepcopy=False), -1 if self.maximize else 1
        for state in (TrialState.COMPLETE, TrialState.PRUNED):
            if done := [one for one in trials if one.state == state and value(one) is not None]:
                return min(done, key=lambda one: sign * float(value(one) or 0))
        return None


def value(trial: FrozenTrial) -> float | None:
    """Give what a trial reached in the first objective, however long it was trained."""
    if trial.values:
        return trial.values[0]
    return trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else None


def open_study(url: str, name: str, pruner: optuna.pruners.BasePruner, directions: Sequence[str]) -> Study:
    """Begin a study, or go on with the one of this name."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=storage(url),
        study_name=name,
        pruner=pruner,
        directions=[StudyDirection[one.upper()] for one in directions],
        load_if_exists=True,
    )


def kept_space(study: Study) -> Mapping[str, Any] | None:
    """Give the dimensions that a study began with; None for a new one."""
    return json.loads(study.user_attrs["space"]) if "space" in study.user_attrs else None


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
