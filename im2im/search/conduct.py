"""From a command line with ``search=…`` to the folder with the best run in it."""

import hashlib
import json
import logging
import math
import os
import shutil
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from im2im.building import build
from im2im.data.datamodule import ImageData
from im2im.search.bookkeeping import Book, kept_space, open_study
from im2im.search.fingerprint import fingerprint
from im2im.search.folds import everything, write_folds
from im2im.search.halving import Rungs, rungs
from im2im.search.proposals import defaults, propose
from im2im.search.results import write_results
from im2im.search.samplers import combinations, pruner, sampler
from im2im.search.search import Job, Search, TooManyFailuresError
from im2im.search.space import given, read_space, write_space
from im2im.search.trainings import Launch, Trainings

log = logging.getLogger(__name__)

SEARCHES = "multirun/search.sqlite"  # all of them, unless another storage is given
AMOUNTS = ("search.trials", "search.hours", "search.max_failures", "search.parallel", "search.retrain", "search.storage", "search.name")


def conduct(cfg: DictConfig, arguments: Sequence[str], launch: Launch) -> dict[str, Any]:
    """Search, then write what was found.

    Args:
        cfg: Composed from the command line, without what is searched.
        arguments: Of the command line.
        launch: Runs jobs of the settings given, together.

    Returns:
        The metrics of the best run.

    Raises:
        ValueError: If the settings of the search do not fit together, or no trial was trained to its end.
    """
    if cfg.search.speed and cfg.search.pruner != "none":
        raise ValueError(
            f"two objectives stop no trial early, got search.pruner={cfg.search.pruner} beside search.speed=true; set it to none"
        )
    settings, swept = given(arguments)
    folder = Path(cfg.hydra.sweep.dir)
    url, data = cfg.search.storage or f"sqlite:///{Path(SEARCHES).absolute()}", build(cfg.data.module)
    book, name = opened(cfg, url, settings, swept, data)
    write_space(folder / "space.yaml", book.space, json.loads(book.study.user_attrs["fingerprint"]))
    seconds = math.inf if cfg.search.hours is None else 3600 * cfg.search.hours
    trainings = Trainings(cfg, settings, (name, url), write_folds(cfg, data, folder), launch, time.monotonic() + seconds)
    search = Search(book, _rungs(cfg), cfg.search.parallel, seconds, cfg.search.max_failures)
    try:
        search(trainings)
    except TooManyFailuresError as error:
        log.error("%s", error)
    return keep_best(book, trainings, everything(cfg, data, folder) if cfg.search.retrain or cfg.search.folds else [])


def opened(cfg: DictConfig, url: str, settings: Sequence[str], swept: Mapping[str, str], data: ImageData) -> tuple[Book, str]:
    """Begin a search, or go on with the same one: its space is the one that it began with."""
    name = cfg.search.name or f"{study_name(settings, swept)}"
    directions = ["maximize" if cfg.quality.mode == "max" else "minimize", *(["minimize"] if cfg.search.speed else [])]
    study = open_study(url, name, pruner(cfg.search.pruner, cfg.search.first_epochs, cfg.max_epochs), directions)
    space = kept_space(study)
    start: dict[str, Any] = {}
    if space is None:
        facts, space, start = _proposed(cfg, swept, [setting.partition("=")[0] for setting in settings], data)
        study.set_user_attr("fingerprint", json.dumps(facts))
        study.set_user_attr("space", json.dumps(space))  # last: who finds it finds all
    book = Book(study, space, cfg.search.trials)
    worker = os.getpid() if study.trials else 0  # one seed would let all workers draw the same
    study.sampler = sampler(cfg.search.sampler, book.dimensions, (cfg.seed + len(study.trials) + worker) % 2**31)
    if cfg.search.sampler == "grid":
        book.plan(combinations(book.dimensions, cfg.seed))
    elif start:
        study.enqueue_trial(start, skip_if_exists=True)
    done = len(book.counted())
    log.info("search %s in %s: %s", name, url, f"{done} of {cfg.search.trials} trials are done" if done else f"{cfg.search.trials} trials")
    return book, name


def study_name(settings: Sequence[str], swept: Mapping[str, str]) -> str:
    """Name a search after all that makes it this one, so that the same command line goes on with it."""
    same = sorted(setting for setting in settings if setting.partition("=")[0] not in AMOUNTS and not setting.startswith("hydra"))
    digest = hashlib.sha256(json.dumps([same, sorted(swept.items())]).encode()).hexdigest()[:8]
    plain = dict(setting.partition("=")[::2] for setting in settings)
    return f"{plain.get('task', 'labelfree')}-{digest}"


def _proposed(
    cfg: DictConfig, swept: Mapping[str, str], fixed: Collection[str], data: ImageData
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Look at the data, and propose what is searched; give the fingerprint, the dimensions and the values to begin with."""
    if cfg.search.space is not None:
        space = read_space(Path(str(cfg.search.space)).expanduser())
        return {}, {**space, **swept}, {}
    facts = fingerprint(data)
    proposed = propose(cfg, facts, cfg.hydra.runtime.choices, {*fixed, *swept}, cfg.search.full)
    return facts, {**proposed, **swept}, {} if swept else defaults(proposed, cfg)


def _rungs(cfg: DictConfig) -> Rungs:
    if cfg.search.pruner != "halving":
        return Rungs((cfg.max_epochs,), cfg.search.reduction)
    return rungs(cfg.search.first_epochs, cfg.max_epochs, cfg.search.reduction)


def keep_best(book: Book, trainings: Trainings, again: Sequence[str]) -> dict[str, Any]:
    """Score the best trial on the test images, as a run of its own, and write what all came to.

    Args:
        book: Of the trials.
        trainings: That made them.
        again: Settings with which the best configuration is trained anew; none where its trial is the run.

    Raises:
        ValueError: If there is no trial to keep.
    """
    best, folder, metric = book.best(), trainings.folder, str(trainings.cfg.quality.monitor)
    if best is None:
        write_results(book, folder, metric, {}, {})
        raise ValueError(f"no trial was trained to its end; {folder / 'trials.csv'} says why")
    home = Path(best.user_attrs["folder"])
    if copied := home.is_dir() and not again:
        shutil.copytree(home, folder / "best")
    settings = tuple(setting for one in book.dimensions for setting in one.overrides(best.params[one.name]))
    metrics = trainings.score(Job(best.number, settings, best.user_attrs["epochs"], resume=copied), folder / "best", again)
    write_results(book, folder, metric, metrics, _commands(folder / "best"))
    log.info("best of %d trials: %s", len(book.counted()), " ".join(settings))
    return metrics


def _commands(run: Path) -> dict[str, str]:
    start = f"{sys.executable} -m im2im"
    return {
        "predict": f"{start} mode=predict run={run} input=IMAGES output=FOLDER",
        "train on": f"{start} run={run} mode=train max_epochs=N",
    }
