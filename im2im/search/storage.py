"""Where a search is kept: Optuna's storages, and the study of a search in one of them."""

import json
import random
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection
from sqlalchemy.exc import DBAPIError

STORAGE = "IM2IM_SEARCH_STORAGE"  # the variable by which trainings know the storage
ATTEMPTS = 5  # at opening a database that another worker is just making
PATIENCE = 60.0  # seconds in which the worker that makes a study writes down what it searches


def storage(url: str) -> BaseStorage:
    """Open Optuna's storage.

    Args:
        url: ``sqlite:///FILE``, ``postgresql://…``, ``mysql://…``, or a path that ends in ``.log`` for a journal file.

    Raises:
        ValueError: If it cannot be opened.
    """
    for attempt in range(ATTEMPTS):
        try:
            return _opened(url)
        except DBAPIError as error:  # perhaps another worker is just making the tables
            if attempt == ATTEMPTS - 1:
                raise _unusable(url, error) from error
            time.sleep(random.uniform(0.1, 0.6))
        except Exception as error:  # each database has errors of its own
            raise _unusable(url, error) from error
    raise AssertionError


def _opened(url: str) -> BaseStorage:
    if url.endswith(".log"):
        return JournalStorage(JournalFileBackend(url.removeprefix("journal:///")))
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).absolute().parent.mkdir(parents=True, exist_ok=True)
    timeout = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    return RDBStorage(url, engine_kwargs=timeout)


def _unusable(url: str, error: Exception) -> ValueError:
    return ValueError(f"the storage {shown(url)} cannot be opened ({str(error).splitlines()[0]}); correct search.storage")


def shown(url: str) -> str:
    """Write where a search is kept without a password."""
    return re.sub(r"(?<=://)([^:@/]*):[^@/]*@", r"\1:***@", url)


def open_study(url: str, name: str, pruner: optuna.pruners.BasePruner, directions: Sequence[str]) -> tuple[Study, bool]:
    """Begin a study, or go on with the one of this name; tell whether it is new, which it is for one worker alone."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opened = storage(url)
    try:
        wanted = [StudyDirection[one.upper()] for one in directions]
        return optuna.create_study(storage=opened, study_name=name, pruner=pruner, directions=wanted), True
    except optuna.exceptions.DuplicatedStudyError:
        return optuna.load_study(storage=opened, study_name=name, pruner=pruner), False


def write_down(study: Study, space: Mapping[str, Any], fingerprint: Mapping[str, Any], asked: str) -> None:
    """Keep what a study searches, for all workers.

    Args:
        study: A new one.
        space: Its dimensions.
        fingerprint: Of the data.
        asked: Sums up what the space was made from.
    """
    study.set_user_attr("fingerprint", json.dumps(fingerprint))
    study.set_user_attr("asked", asked)
    study.set_user_attr("space", json.dumps(space))  # last: who finds it finds all


def kept_space(study: Study, asked: str) -> Mapping[str, Any] | None:
    """Give the dimensions that a study began with; None where the worker that began it was killed before it wrote them down.

    Raises:
        ValueError: If another space is asked for.
    """
    until = time.monotonic() + PATIENCE
    while "space" not in study.user_attrs and time.monotonic() < until:
        time.sleep(0.2)
    if study.user_attrs.get("asked", asked) != asked:
        raise ValueError(f"the search {study.study_name} was begun with other dimensions; choose another search.name")
    return json.loads(study.user_attrs["space"]) if "space" in study.user_attrs else None
