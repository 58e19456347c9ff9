"""What a search leaves behind beside its best run: a table of all trials, and a page."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from im2im.files import replacing
from im2im.report.search_page import Found, write_search_page
from im2im.search.trials import UNCOUNTED, Trials, is_default, value

FACTS = ("epochs", "seconds", "reason", "folder")
ENOUGH = 6  # trials with a value, to tell which choice matters
GOOD = 5  # of them whose choices are looked at, or more; fewer where more than half are as good as these


def write_results(trials: Trials, folder: Path, metric: str, metrics: Mapping[str, Any], commands: Mapping[str, str]) -> Path:
    """Write trials.csv and search.html; gives the path of the page.

    Args:
        trials: Those of the search, in its storage.
        folder: Gets both.
        metric: What the value of a trial is, as it is logged.
        metrics: Of the best run, as in metrics.json.
        commands: What can be done with the best run → the command line.
    """
    table, best = table_of(trials), trials.best()
    with replacing(folder / "trials.csv") as path:
        table.to_csv(path, index=False)
    default = next((one.number for one in trials.study.get_trials(deepcopy=False) if is_default(one) and value(one) is not None), None)
    found = Found(
        name=trials.study.study_name,
        trials=table,
        choices=tuple(trials.distributions),
        importance=importance(trials),
        metric=metric,
        maximize=trials.maximize,
        best=None if best is None else best.number,
        default=default,
        test=metrics.get("test", {}),
        commands=commands,
    )
    return write_search_page(found, folder)


def table_of(trials: Trials) -> pd.DataFrame:
    """List the trials that were begun: how each ended, its value, its length, what it differs by, why it failed, its folder."""
    names, begun = list(trials.distributions), [one for one in trials.study.get_trials(deepcopy=False) if one.state != TrialState.WAITING]
    if len(trials.study.directions) == 1:
        return pd.DataFrame([_row(trial, names) for trial in begun], columns=_columns(trials))
    unbeaten = {one.number for one in trials.study.best_trials}
    rows = [{**_row(one, names), "seconds_per_megavoxel": _second(one), "unbeaten": one.number in unbeaten} for one in begun]
    return pd.DataFrame(rows, columns=[*_columns(trials), "seconds_per_megavoxel", "unbeaten"])


def _columns(trials: Trials) -> list[str]:
    return ["trial", "state", "value", *trials.distributions, *FACTS]


def _second(trial: FrozenTrial) -> float | None:
    return trial.values[1] if trial.values else None


def importance(trials: Trials) -> dict[str, float]:
    """Give the share of each choice in what sets the better trials apart; nothing where too few trials tell.

    By PED-ANOVA (Watanabe et al., IJCAI 2023): in what the best tenth, the best five at least but no more than half, are alike; of short
    trainings too.
    """
    done = [one for one in trials.study.get_trials(deepcopy=False) if value(one) is not None and one.params]
    good = _good([float(value(one) or 0) * (-1 if trials.maximize else 1) for one in done]) if len(done) >= ENOUGH else 0
    if good < 2:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if trials.maximize else "minimize")
    study.add_trials([optuna.create_trial(params=one.params, distributions=one.distributions, value=value(one)) for one in done])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = PedAnovaImportanceEvaluator(target_quantile=good / len(done))
        return {name: float(share) for name, share in get_param_importances(study, evaluator=evaluator).items()}


def _good(values: Sequence[float]) -> int:
    """Count the trials that are good, less is better; those that are as good as most are not."""
    count = int(min(max(GOOD, len(values) / 10), len(values) / 2))
    last = sorted(values)[count - 1]
    return count if sum(one <= last for one in values) <= len(values) / 2 else sum(one < last for one in values)


def _row(trial: FrozenTrial, names: list[str]) -> dict[str, Any]:
    told = {name: trial.user_attrs.get(name) for name in FACTS}
    uncounted = trial.state == TrialState.FAIL and told["reason"] in UNCOUNTED
    if uncounted:
        told["seconds"] = None  # counted where it was tried again
    chosen = {name: trial.params.get(name) for name in names}
    return {
        "trial": trial.number,
        "state": told["reason"] if uncounted else trial.state.name.lower(),
        "value": value(trial),
        **chosen,
        **told,
    }
