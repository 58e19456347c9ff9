"""What the terminal says of the trials of a search: which one begins, what it reached, and a ranking at the end."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import Trial

from im2im.report.notation import MISSING, amount, clock, number
from im2im.search.ranking import show_ranking
from im2im.search.trials import Trials, is_default

log = logging.getLogger(__name__)

SHOWN = 20  # trials of a ranking


class TrialLog:
    """Logs the trials of a search as they begin and end.

    Args:
        trials: Those of the search, in its storage.
        metrics: Names of what trials are compared by.
    """

    def __init__(self, trials: Trials, metrics: Sequence[str]) -> None:
        self.trials, self.metrics, self.left = trials, metrics, ""

    def begins(self, trial: Trial, epochs: int, last: int) -> None:
        """Say which trial begins or goes on, and what it changes.

        Args:
            trial: Is trained next.
            epochs: Up to which it is trained.
            last: Epochs of a whole training.
        """
        usual = next((one.params for one in self.trials.study.get_trials(deepcopy=False) if is_default(one)), {})
        until = f"{epochs} of {last} epochs" if epochs < last else amount(last, "epoch")
        log.info("%s, %s, in trials/%d: %s", self.name(trial), until, trial.number, changed(trial.params, usual))

    def reached(self, trial: Trial, epochs: int, values: Sequence[float]) -> None:
        """Say what a trial reached, and how long the others may take."""
        scores = ", ".join(f"{name} {number(one)}" for name, one in zip(self.metrics, values, strict=False))
        log.info("%s: %s after %s%s", self.name(trial), scores, amount(epochs, "epoch"), self.left)

    def failed(self, trial: Trial, reason: str) -> None:
        """Say why a trial failed."""
        log.warning("%s failed: %s", self.name(trial), reason)

    def name(self, trial: Trial) -> str:
        """Count a trial among those of the search: ``trial 3 of 20``."""
        return f"trial {sum(one <= trial.number for one in self.trials.counted())} of {self.trials.total}"


def changed(parameters: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    """Write what a trial differs by from the default one: ``network=unet, learning_rate=0.001``.

    Args:
        parameters: Of the trial, by dimension.
        usual: Of the default trial; empty where there is none.
    """
    told = {name: value for name, value in parameters.items() if name not in usual or usual[name] != value}
    written = {name.lstrip("+~"): f"{value:.3g}" if isinstance(value, float) else value for name, value in told.items()}
    return ", ".join(f"{name}={value}" for name, value in written.items()) or "the default"


def rank_search(trials: Trials, table: pd.DataFrame, metric: str) -> None:
    """Print the trials of a search that have a value: those trained to their end first, each group with the best first.

    Args:
        trials: Those of the search, in its storage.
        table: As :func:`im2im.search.results.table_of` gives it.
        metric: What the value is.
    """
    parameters = {one.number: one.params for one in trials.study.get_trials(deepcopy=False)}
    usual = next((one.params for one in trials.study.get_trials(deepcopy=False) if is_default(one)), {})
    scored = table[table["value"].notna() & table["state"].isin(["complete", "pruned"])]
    order = scored.assign(late=scored["state"] != "complete", worse=-scored["value"] if trials.maximize else scored["value"])
    ranked = order.sort_values(["late", "worse"], kind="stable").head(SHOWN)
    rows = []
    for _, row in ranked.iterrows():
        seconds, epochs = row["seconds"], row["epochs"]
        length = [MISSING if pd.isna(epochs) else f"{epochs:.0f}", MISSING if pd.isna(seconds) else clock(seconds)]
        place = MISSING if pd.isna(row["folder"]) else "/".join(Path(row["folder"]).parts[-2:])
        rows.append([number(row["value"]), *length, place, changed(parameters[int(row["trial"])], usual)])
    if rows:
        more = f", the best {len(rows)}; all are in trials.csv" if len(scored) > len(rows) else ""
        show_ranking(f"{len(scored)} of {len(table)} trials with a value{more}", [metric, "epochs", "time", "folder", "what changed"], rows)
