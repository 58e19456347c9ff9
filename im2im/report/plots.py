"""Plots about many runs: how a search went, which choice mattered, and the way of each trial through all choices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import pandas as pd

from im2im.report.axis import Axis, tick_label, wants_log
from im2im.report.curves import LETTER, grid_lines, svg, x_ticks
from im2im.report.notation import number

STEPS = ("worst", "low", "middle", "high", "best")
MARKS = {"complete": "whole", "pruned": "short"}


def history_chart(title: str, table: pd.DataFrame, maximize: bool, width: int = 520, height: int = 260) -> str:
    """Value of each trial in their order, short trainings lighter, with a line at the best so far.

    Args:
        title: What is plotted, for those who cannot see it.
        table: Columns "trial", "state" and "value".
        maximize: Whether more is better.
        width: In pixels.
        height: In pixels.

    Returns:
        An ``<svg>`` element; empty when no trial has a value.
    """
    shown = table[table["value"].notna()]
    if shown.empty:
        return ""
    y = Axis.around(float(shown["value"].min()), float(shown["value"].max()), height - 34, 10)
    x = Axis.of_epochs(float(shown["trial"].min()), float(shown["trial"].max()), 52, width - 14)
    dots = [
        f'<circle class="dot {MARKS.get(state, "")}" cx="{x(trial):.1f}" cy="{y(value):.1f}" r="4">'
        f"<title>trial {trial}: {number(value)}, {escape(state)}</title></circle>"
        for trial, state, value in shown[["trial", "state", "value"]].itertuples(index=False)
    ]
    whole = shown[shown["state"] == "complete"]
    reached = whole["value"].cummax() if maximize else whole["value"].cummin()
    steps = _staircase([(x(trial), y(value)) for trial, value in zip(whole["trial"], reached, strict=True)], x.end)
    scale = f'<text class="tick" x="{x.end:.0f}" y="{height - 4}" text-anchor="end">trial</text>'
    return svg(title, width, height, grid_lines(x, y) + steps + "".join(dots) + scale)


def _staircase(points: Sequence[tuple[float, float]], end: float) -> str:
    if not points:
        return ""
    corners = [corner for (_, before), (x, y) in pairwise(points) for corner in ((x, before), (x, y))]
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in [points[0], *corners, (end, points[-1][1])])
    return f'<polyline class="line s0" points="{text}"/>'


def bar_chart(title: str, shares: Mapping[str, float], width: int = 520) -> str:
    """Shares of a whole as bars, the largest first, each with its name and percentage.

    Args:
        title: What is plotted, for those who cannot see it.
        shares: From 0 to 1, by name.
        width: In pixels.

    Returns:
        An ``<svg>`` element; empty when there is none.
    """
    if not shares:
        return ""
    left = 14 + LETTER * max(map(len, shares))
    axis = Axis(0.0, max([*shares.values(), 0.01]), (), left, width - 46)
    rows = []
    for place, (name, share) in enumerate(sorted(shares.items(), key=lambda one: -one[1])):
        middle = 14 + 24 * place
        rows.append(
            f'<text class="name" x="{left - 8:.1f}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="bar" x="{left:.1f}" y="{middle - 8}" width="{max(axis(share) - left, 1):.1f}" height="16"/>'
            f'<text class="tick" x="{axis(share) + 6:.1f}" y="{middle + 4}">{share:.0%}</text>'
        )
    return svg(title, width, 24 * len(shares) + 8, "".join(rows))


def parallel_chart(title: str, table: pd.DataFrame, names: Sequence[str], maximize: bool, width: int = 1080, height: int = 320) -> str:
    """Each trial as a line across one axis for each choice, and the value last; the better, the stronger.

    Args:
        title: What is plotted, for those who cannot see it.
        table: Columns "trial", "value" and one for each choice.
        names: The choices.
        maximize: Whether more is better.
        width: In pixels.
        height: In pixels.

    Returns:
        An ``<svg>`` element; empty when no trial has a value.
    """
    shown = table[table["value"].notna()].sort_values("value", ascending=maximize)
    columns = [name for name in names if name in shown and shown[name].notna().any()]
    if shown.empty or not columns:
        return ""
    places = {name: 60 + place * (width - 160) / len(columns) for place, name in enumerate([*columns, "value"])}
    scales = {name: _scale(shown[name], height - 30, 34) for name in places}
    lines = []
    for rank, (_, row) in enumerate(shown.iterrows()):
        points = " ".join(f"{x:.1f},{scales[name][0](row[name]):.1f}" for name, x in places.items() if pd.notna(row[name]))
        step = STEPS[-1 - round((len(shown) - 1 - rank) * (len(STEPS) - 1) / max(len(shown) - 1, 1))]
        lines.append(
            f'<polyline class="way {step}" points="{points}"><title>trial {row["trial"]}: {number(row["value"])}</title></polyline>'
        )
    axes = "".join(_upright(name, x, scales[name][1], height) for name, x in places.items())
    return svg(title, width, height, "".join(lines) + axes)


class _Listed:
    """Places for values that are no numbers."""

    def __init__(self, values: Sequence[Any], start: float, end: float) -> None:
        step = (end - start) / max(len(values) - 1, 1)
        self.places = {str(value): start + index * step if len(values) > 1 else (start + end) / 2 for index, value in enumerate(values)}

    def __call__(self, value: Any) -> float:
        return self.places[str(value)]


def _scale(values: pd.Series, start: float, end: float) -> tuple[Any, list[tuple[str, float]]]:
    """Give where a value of an axis lies, and what is written beside it where."""
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > 1:
        axis = Axis.around(float(values.min()), float(values.max()), start, end, wants_log(values.dropna().tolist()))
        return axis, [(tick_label(tick), axis(tick)) for tick in axis.ticks]
    listed = _Listed(sorted(values.dropna().unique(), key=str), start, end)
    return listed, list(listed.places.items())


def _upright(name: str, x: float, written: Sequence[tuple[str, float]], height: int) -> str:
    ticks = "".join(f'<text class="tick halo" x="{x + 5:.1f}" y="{y + 4:.1f}">{escape(text)}</text>' for text, y in written)
    line = f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="34" y2="{height - 30}"/>'
    return f'{line}<text class="name" x="{x:.1f}" y="16" text-anchor="middle">{escape(name)}</text>{ticks}'


def dots_chart(title: str, groups: Mapping[str, Sequence[float]], width: int = 1080) -> str:
    """One row of dots for each group along a common axis, with a line at the mean.

    Args:
        title: What is plotted, for those who cannot see it.
        groups: Finite values by name.
        width: In pixels.

    Returns:
        An ``<svg>`` element; empty when there is no value.
    """
    groups = {name: [value for value in values if math.isfinite(value)] for name, values in groups.items()}
    everything = [value for values in groups.values() for value in values]
    if not everything:
        return ""
    left = 14 + LETTER * max(map(len, groups))
    axis = Axis.around(min(everything), max(everything), left, width - 20)
    rows = []
    for place, (name, values) in enumerate(groups.items()):
        y = 18 + 26 * place
        rows.append(f'<text class="name" x="{left - 12:.1f}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        rows += [f'<circle class="dot" cx="{axis(value):.1f}" cy="{y}" r="4"><title>{number(value)}</title></circle>' for value in values]
        if values:
            mean = axis(sum(values) / len(values))
            rows.append(f'<line class="median" x1="{mean:.1f}" x2="{mean:.1f}" y1="{y - 10}" y2="{y + 10}"/>')
    base = 18 + 26 * len(groups)
    return svg(title, width, base + 24, x_ticks(axis, base) + "".join(rows))
