"""Where a search is kept: Optuna's storages, and the study of a search in one of them."""

import json
import random
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection
from sqlalchemy.exc import DBAPIError

from im2im.search.workers import alive, identity

STORAGE = "IM2IM_SEARCH_STORAGE"  # the variable by which trainings know the storage
DRIVERS = {"postgresql://": "postgresql+psycopg://", "mysql://": "mysql+pymysql://"}  # those of the extras
TAKING_OVER = 1.0  # seconds in which workers see that another took the place of a dead one
ATTEMPTS = 5  # at opening a database that another worker is just making


def storage(url: str) -> BaseStorage:
    """Open Optuna's storage.

    Args:
        url: ``sqlite:///FILE``, ``postgresql://…``, ``mysql://…``, or a path that ends in ``.log`` for a journal file.

    Raises:
        ValueError: If it cannot be opened.
    """
    try:
        return _patiently(url)
    except Exception as error:  # each database has errors of its own
        raise ValueError(f"the storage {shown(url)} cannot be opened ({str(error).splitlines()[0]}); correct search.storage") from error


def _patiently(url: str) -> BaseStorage:
    """Open it again and again: another worker may just be making the tables."""
    for _ in range(ATTEMPTS - 1):
        with suppress(DBAPIError):
            return _opened(url)
        time.sleep(random.uniform(0.1, 0.6))
    return _opened(url)


def _opened(url: str) -> BaseStorage:
    if url.endswith(".log"):
        return JournalStorage(JournalFileBackend(url.removeprefix("journal:///")))
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).absolute().parent.mkdir(parents=True, exist_ok=True)
    timeout = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    for plain, driven in DRIVERS.items():
        url = driven + url.removeprefix(plain) if url.startswith(plain) else url
    return RDBStorage(url, engine_kwargs=timeout)


def shown(url: str) -> str:
    """Write where a search is kept without a password."""
    return re.sub(r"(?<=://)([^:@/]*):[^@/]*@", r"\1:***@", url)


def open_study(url: str, name: str, directions: Sequence[str]) -> tuple[Study, bool]:
    """Begin a study, or go on with the one of this name; tell whether it is new, which it is for one worker alone."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opened = storage(url)
    try:
        wanted = [StudyDirection[one.upper()] for one in directions]
        study, new = optuna.create_study(storage=opened, study_name=name, directions=wanted), True
        study.set_user_attr("worker", identity())
    except optuna.exceptions.DuplicatedStudyError:
        study, new = optuna.load_study(storage=opened, study_name=name), False
    return study, new


def write_down(study: Study, **facts: Any) -> None:
    """Keep what a study was begun with, for all workers: plan, fingerprint, first trials, what was asked for, pace, and its space."""
    for name, fact in facts.items():
        study.set_user_attr(name, json.dumps(fact))


def kept_starts(study: Study) -> list[dict[str, Any]]:
    """Give the trials that a study begins with."""
    return json.loads(study.user_attrs["starts"])


def kept_plan(study: Study) -> dict[str, Any]:
    """Give the settings that all trials of a study start from."""
    return json.loads(study.user_attrs.get("plan", "{}"))


def kept_pace(study: Study) -> float | None:
    """Give the seconds that an epoch may take in the trials of a study."""
    return float(json.loads(study.user_attrs["pace"])) if "pace" in study.user_attrs else None


def kept_space(study: Study, asked: str) -> Mapping[str, Any] | None:
    """Give the dimensions that a study began with; None where this worker is to begin it, since the one that did died before it wrote any.

    Raises:
        ValueError: If another space is asked for.
    """
    worker, since = None, time.time()
    while "space" not in (known := study.user_attrs):
        if known.get("worker") != worker:
            worker, since = known.get("worker"), time.time()
        if alive(worker or {}, since, time.time()):
            time.sleep(0.2)
        elif _taken_over(study):
            break
    if "asked" in known and json.loads(known["asked"]) != asked:
        raise ValueError(f"the search {study.study_name} was begun with another space, quality or search.speed; choose another search.name")
    return json.loads(known["space"]) if "space" in known else None


def _taken_over(study: Study) -> bool:
    """Take the place of the worker that began a study; of those that try at the same time, the last one has it."""
    study.set_user_attr("worker", identity())
    time.sleep(TAKING_OVER)
    return study.user_attrs["worker"] == identity()
