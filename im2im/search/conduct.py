"""From a command line with ``search=…`` to the folder with the best run in it."""

import hashlib
import json
import logging
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig

from im2im.building import build
from im2im.data.datamodule import ImageData
from im2im.planning.plan import overrides
from im2im.planning.training import Compose, facts_of
from im2im.search import proposals
from im2im.search.budget import budget, lengths, share
from im2im.search.folds import everything, write_folds
from im2im.search.halving import Rungs
from im2im.search.planned import plan_search
from im2im.search.results import table_of, write_results
from im2im.search.samplers import combinations, pruner, sampler
from im2im.search.search import Job, Search, TooManyFailuresError
from im2im.search.space import given, read_space, space_of, write_space
from im2im.search.storage import STORAGE, kept_pace, kept_plan, kept_space, kept_starts, open_study, shown, write_down
from im2im.search.trainings import Launch, Trainings
from im2im.search.trial_log import rank_search
from im2im.search.trials import Trials
from im2im.settings import given_keys, settle_search_length

log = logging.getLogger(__name__)

SEARCHES = "multirun/search.sqlite"  # all of them, unless another storage is given
AMOUNTS = {f"search.{name}" for name in ("trials", "hours", "max_failures", "parallel", "retrain", "storage", "name", "space")}


def conduct(cfg: DictConfig, arguments: Sequence[str], launch: Launch, compose: Compose) -> dict[str, Any]:
    """Search, then write what was found.

    Args:
        cfg: Composed from the command line, without what is searched.
        arguments: Of the command line.
        launch: Runs jobs of the settings given, together.
        compose: Composes the configuration of such a job.

    Returns:
        The metrics of the best run.

    Raises:
        ValueError: If the settings of the search do not fit together, or no trial was trained to its end.
    """
    settle_search_length(cfg)
    settings, swept = given(arguments)
    folder = Path(cfg.hydra.sweep.dir)
    url, data = cfg.search.storage or f"sqlite:///{Path(SEARCHES).absolute()}", build(cfg.data.module)
    require_images(cfg, Counter(str(pair.split) for pair in data.pairs))
    os.environ[STORAGE] = url  # for the trainings; a configuration would show its password
    cfg, trials = opened(cfg, url, settings, swept, data, compose)
    trials.repeat_killed()
    write_space(folder / "space.yaml", trials.space, json.loads(trials.study.user_attrs["fingerprint"]))
    hours = budget(cfg, pace(cfg, trials), any(setting.startswith("max_epochs=") for setting in settings))
    plan = kept_plan(trials.study)
    trainings = Trainings(cfg, settings, trials.study.study_name, write_folds(cfg, data, folder), launch, hours, plan)
    metrics = [str(cfg.quality.monitor), "seconds_per_megavoxel"]
    search = Search(trials, _rungs(cfg), cfg.search.parallel, hours.end, cfg.search.max_failures, metrics)
    try:
        search(trainings)
    except TooManyFailuresError as error:
        log.error("%s", error)
    again = everything(cfg, data, folder) if cfg.search.retrain or cfg.search.folds else []
    return keep_best(trials, trainings, again)


def pace(cfg: DictConfig, trials: Trials) -> float:
    """Give the seconds that an epoch may take: as many as in the first command of the search, so that its trials can be compared."""
    wanted, kept = share(cfg, _rungs(cfg), trials.total), kept_pace(trials.study)
    if kept is None or not trials.begun():
        write_down(trials.study, pace=wanted)
        return wanted
    if kept != wanted:
        log.info("trials have %.3g s for an epoch as those before them, not %.3g s; choose another search.name to begin anew", kept, wanted)
    return kept


def require_images(cfg: DictConfig, splits: Mapping[str, int]) -> None:
    """Raise ValueError where there are no images to choose by, or to score the best run on."""
    for split, purpose in (("val", "a search chooses by validation images"), ("test", "the best run is scored on test images")):
        if not splits.get(split) and not (split == "val" and cfg.search.folds):
            missing = f"{purpose}, got {dict(splits)}"
            if "counts" in cfg.data:
                raise ValueError(f"{missing}; raise data.counts.{split}")
            drawn = f"leave that to data.fractions.{split} with an image or group for each split"
            folds = ", or set search.folds" if split == "val" and splits.get("train", 0) > 1 else ""
            raise ValueError(f"{missing}; give some to {split} by a folder, a table or data.splits, or {drawn}{folds}")


def opened(
    cfg: DictConfig, url: str, settings: Sequence[str], swept: Mapping[str, str], data: ImageData, compose: Compose
) -> tuple[DictConfig, Trials]:
    """Begin a search, or go on with the same one: plan and space are those that it began with.

    Returns:
        The configuration as planned, and the trials.
    """
    directions = ["maximize" if cfg.quality.mode == "max" else "minimize", *(["minimize"] if cfg.search.speed else [])]
    asked = _digest([sorted(swept.items()), _edited(cfg), str(cfg.quality.monitor), directions])
    name = cfg.search.name or study_name(str(cfg.hydra.runtime.choices.task), settings, asked, data)
    study, new = open_study(url, name, directions)
    try:
        space = None if new else kept_space(study, asked)
        begins = space is None
        if space is None:
            cfg, space, start = _begin(cfg, settings, swept, data, compose)
            write_down(study, asked=asked, **start)
        else:
            cfg = _as_planned(cfg, kept_plan(study), settings, compose)
        study.pruner = pruner(cfg.search.pruner, lengths(cfg).epochs[0], cfg.max_epochs)
        trials = Trials(study, space, cfg.search.trials)
        study.sampler = sampler(cfg.search.sampler, cfg.seed if new else random.randrange(2**31))  # workers draw differently
    except BaseException:
        if new:
            optuna.delete_study(study_name=name, storage=study._storage)
        raise
    if cfg.search.sampler == "grid":
        grid = combinations(trials.dimensions, cfg.seed)
        trials.total = min(trials.total, len(grid))
        trials.plan(grid)
    else:
        trials.plan(kept_starts(study), default=not swept)
    if begins:
        write_down(study, space=space)  # last: other workers wait for it
    done = len(trials.counted())
    log.info("search %s in %s: %s", name, shown(url), f"{done} of {trials.total} trials are done" if done else f"{trials.total} trials")
    return cfg, trials


def study_name(task: str, settings: Sequence[str], asked: str, data: ImageData) -> str:
    """Name a search after all that makes it this one, so that the same command line goes on with it.

    Args:
        task: Its option.
        settings: Of the command line, those that are the same in all trials.
        asked: Sums up what is searched.
        data: Whose images are part of it.
    """
    same = sorted(setting for setting in settings if setting.partition("=")[0] not in AMOUNTS and not setting.startswith("hydra"))
    images = sorted((pair.name, str(pair.split)) for pair in data.pairs)
    return f"{task}-{_digest([same, asked, images])}"


def _digest(thing: Any) -> str:
    return hashlib.sha256(json.dumps(thing).encode()).hexdigest()[:8]


def _edited(cfg: DictConfig) -> dict[str, Any]:
    return {} if cfg.search.space is None else read_space(Path(str(cfg.search.space)).expanduser())


def _as_planned(cfg: DictConfig, plan: Mapping[str, Any], settings: Sequence[str], compose: Compose) -> DictConfig:
    """Give the configuration of a search with the settings of its plan; the same one without any."""
    if plan:
        cfg = compose([*overrides(plan), *settings])
        settle_search_length(cfg)
    return cfg


def _begin(
    cfg: DictConfig, settings: Sequence[str], swept: Mapping[str, str], data: ImageData, compose: Compose
) -> tuple[DictConfig, dict[str, Any], dict[str, Any]]:
    """Look at the data, plan the default, and propose what is searched.

    Returns:
        The configuration as planned, the dimensions, and what is kept beside them: "plan", "fingerprint" and "starts", the first trials.
    """
    edited = _edited(cfg)
    searched = {key for one in space_of({**edited, **swept}) for key in one.keys}
    plan = plan_search(cfg, settings, searched | set(given_keys(cfg.hydra)), compose)
    kept = plan.settings if plan else {}
    cfg = _as_planned(cfg, kept, settings, compose)
    if edited:
        return cfg, {**edited, **swept}, {"plan": kept, "fingerprint": {}, "starts": []}
    facts = dict(plan.facts) if plan and plan.facts else facts_of(cfg, data, build(cfg.task))
    fixed = {one.partition("=")[0].lstrip("+") for one in (*settings, *swept)}
    proposed = proposals.propose(cfg, facts, cfg.hydra.runtime.choices, fixed, cfg.search.full)
    starts = proposals.starts({name: one for name, one in proposed.items() if name not in swept}, cfg)
    return cfg, {**proposed, **swept}, {"plan": kept, "fingerprint": facts, "starts": starts}


def _rungs(cfg: DictConfig) -> Rungs:
    """Space the lengths of training; all are whole ones where no trial stops between two trainings."""
    return lengths(cfg) if cfg.search.pruner == "halving" else Rungs((cfg.max_epochs,), cfg.search.reduction)


def keep_best(trials: Trials, trainings: Trainings, again: Sequence[str]) -> dict[str, Any]:
    """Score the best trial on the test images, as a run of its own, and write what all came to.

    Args:
        trials: Those of the search, in its storage.
        trainings: That made them.
        again: Settings with which the best configuration is trained anew; none where its trial is the run.

    Raises:
        ValueError: If there is no trial to keep.
    """
    best, folder, metric = trials.best(), trainings.folder, str(trainings.cfg.quality.monitor)
    page = write_results(trials, folder, metric, {}, {})  # whatever comes of the best one
    if best is None or (others := trials.running()):
        if best is None:
            raise ValueError(f"no trial was trained to its end; {folder / 'trials.csv'} says why")
        log.info("other workers still train %d trials; the last of them to end writes best/, and so does this command again", others)
        return {}
    home = Path(best.user_attrs["folder"])
    if copied := home.is_dir() and not again:
        shutil.copytree(home, folder / "best")
    settings = tuple(setting for one in trials.dimensions for setting in one.overrides(best.params[one.name]))
    job = Job(best.number, settings, best.user_attrs["epochs"], resume=str(folder / "best") if copied else None)
    metrics = trainings.score(job, folder / "best", again)
    for spare in folder.glob("trials/**/checkpoints/last.ckpt"):
        if not spare.is_relative_to(home):  # from which the same command writes best/ again
            spare.unlink()  # nobody goes on with a trial; what it reached is in best.ckpt beside it
    write_results(trials, folder, metric, metrics, _commands(folder / "best"))
    rank_search(trials, table_of(trials), metric)
    log.info("search: %s", page)
    log.info("best of %d trials: %s", len(trials.counted()), " ".join(settings))
    return metrics


def _commands(run: Path) -> dict[str, str]:
    start = f"{sys.executable} -m im2im"
    return {
        "predict": f"{start} mode=predict run={run} input=IMAGES output=FOLDER",
        "train on": f"{start} run={run} mode=train max_epochs=N",
    }
