"""The page of a search: how it went, which choice mattered, every trial with its pictures, what failed and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from im2im.report.markup import block, command, grid, picture, section, table
from im2im.report.notation import MISSING, amount, duration, metric_label, number
from im2im.report.page import write_html
from im2im.report.plots import bar_chart, history_chart, parallel_chart

PICTURED = 6  # trials


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Args:
        name: Of the search.
        trials: Columns trial, state, value, epochs, seconds, reason, folder, and one for each choice; with two objectives
            seconds_per_megavoxel, and unbeaten where no trial is better in both.
        choices: Names of these.
        importance: Share of each choice in what sets the better trials apart; empty where too few trials tell.
        metric: What the value is, as it is logged: "val/pearson".
        maximize: Whether more is better.
        best: Number of the best trial.
        default: Number of the trial of the task's own default; None where it was not tried.
        test: Its test metrics, as in metrics.json.
        commands: What can be done with it → the command line.
    """

    name: str
    trials: pd.DataFrame
    choices: tuple[str, ...]
    importance: Mapping[str, float]
    metric: str
    maximize: bool
    best: int | None
    default: int | None
    test: Mapping[str, Mapping[str, float]]
    commands: Mapping[str, str]


def write_search_page(found: Found, folder: Path) -> Path:
    """Write ``search.html`` into a folder: a page without scripts that needs no other file; gives its path."""
    metric = metric_label(found.metric.removeprefix("val/"))
    value = f"{metric} of validation"
    ways = parallel_chart("ways through all choices", found.trials, found.choices, found.maximize)
    body = [
        _best(found, metric),
        section(
            "How it went",
            grid(
                [
                    block(
                        value, history_chart(value, found.trials, found.maximize), "Light: stopped early. Line: the best whole training."
                    ),
                    block(
                        "What mattered",
                        bar_chart("importance", found.importance),
                        "Share of each choice in what sets the better trials apart (PED-ANOVA).",
                    ),
                ]
            ),
        ),
        section("Choices", block("Every trial from choice to choice, the better the stronger", ways)),
        section("Trials", _table(found, metric)),
        section("Pictures", *_pictures(found)),
        section("What failed", _failures(found.trials)),
        section("Use the best run", *(command(purpose, line) for purpose, line in found.commands.items())),
    ]
    counts = found.trials["state"].value_counts()
    counted = ", ".join(f"{counts[state]} {words}" for state, words in _STATES.items() if state in counts)
    facts = [f"{len(found.trials)} trials: {counted}", f"{duration(float(found.trials['seconds'].fillna(0).sum()))} of training"]
    return write_html(folder / "search.html", f"Search {found.name}", facts, body)


_STATES = {
    "complete": "trained to the end",
    "pruned": "stopped early",
    "fail": "failed",
    "running": "running",
    "killed": "killed and tried again",
    "not needed": "not needed",
}


def _best(found: Found, metric: str) -> str:
    rows = found.trials[found.trials["trial"] == found.best]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    cards = [("Validation " + metric, number(float(row["value"])), f"trial {found.best}, {amount(int(row['epochs']), 'epoch')}")]
    for _, one in found.trials[found.trials["trial"] == found.default].iterrows():
        cards.append(("The default's", number(float(one["value"])), f"trial {found.default}, {amount(int(one['epochs']), 'epoch')}"))
    cards += [(f"Test {metric_label(name)}", number(one["mean"]), f"n = {one['n']:.0f}") for name, one in list(found.test.items())[:2]]
    shown = "".join(
        f'<div class="card"><span>{name}</span><strong>{value}</strong><small>{note}</small></div>' for name, value, note in cards
    )
    chosen = table(["Choice", "Value"], [[name, _text(row[name])] for name in found.choices])
    return f'<div class="cards">{shown}</div>' + section("The best configuration", chosen)


def _table(found: Found, metric: str) -> str:
    ranked = found.trials.sort_values("value", ascending=not found.maximize, na_position="last")
    speed = {"seconds_per_megavoxel": "s / Mvoxel"} if "seconds_per_megavoxel" in ranked else {}
    rows = [
        [
            str(row["trial"]) + (" *" if row.get("unbeaten", False) else ""),
            *(_text(row[name]) for name in ("value", *speed, "epochs", "seconds")),
            _STATES[row["state"]],
            *(_text(row[name]) for name in found.choices),
        ]
        for _, row in ranked.iterrows()
    ]
    named = table(["Trial", metric, *speed.values(), "Epochs", "Seconds", "", *found.choices], rows)
    note = '<p class="note">*: no other trial is better in one and as good in the other.</p>' if speed else ""
    return f'<div class="wide">{named}</div>{note}'


def _pictures(found: Found) -> list[str]:
    """The last validation picture of the best trials."""
    ranked = found.trials[found.trials["value"].notna()].sort_values("value", ascending=not found.maximize)
    shown = []
    for _, row in ranked.head(PICTURED).iterrows():
        if samples := sorted(Path(str(row["folder"])).glob("**/samples/*.png")):
            shown.append(picture(samples[-1], f"Trial {row['trial']}, {number(float(row['value']))}, {samples[-1].stem}"))
    return shown


def _failures(trials: pd.DataFrame) -> str:
    failed = trials[trials["state"] == "fail"]
    return table(["Trial", "Why"], [[str(row["trial"]), str(row["reason"])] for _, row in failed.iterrows()])


def _text(value: Any) -> str:
    if value is None or pd.isna(value):
        return MISSING
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else number(value)
    return str(value)
