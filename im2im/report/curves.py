"""Plots as SVG text, for a page without scripts; colours come from the page by class, so that they follow light and dark."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

from im2im.evenly import evenly
from im2im.report.axis import Axis, tick_label, wants_log
from im2im.report.notation import number

LETTER = 6.6
"""Width of a letter at 12 pixels, for room and for labels that must not touch."""
LINE = 15
MAX_DOTS = 1000
COLOURS = 6
"""How many lines of one plot are told apart by colour."""


@dataclass(frozen=True)
class Series:
    """A line of a plot: positions and values of the same length, all of them finite."""

    name: str
    x: np.ndarray
    y: np.ndarray


def line_chart(title: str, series: list[Series], width: int = 520, height: int = 260) -> str:
    """Values over epochs, each line labelled at its end; a logarithmic axis where positive values span a wide range.

    Args:
        title: What is plotted, for those who cannot see it.
        series: At most :data:`COLOURS` are told apart by colour. One series is not labelled: the title says what it is.
        width: In pixels.
        height: In pixels.

    Returns:
        An ``<svg>`` element; empty when no series has a value.
    """
    series = [line for line in series if line.y.size]
    if not series:
        return ""
    names = [line.name for line in series] if len(series) > 1 else []
    right = width - 14 - LETTER * max((len(name) for name in names), default=0)
    values = np.concatenate([line.y for line in series]).tolist()
    epochs = np.concatenate([line.x for line in series])
    y = Axis.around(min(values), max(values), height - 34, 10, wants_log(values), count=5 if height > 200 else 3)
    x = Axis.of_epochs(float(epochs.min()), float(epochs.max()), 52, right, count=6 if width > 400 else 4)
    body = [grid_lines(x, y), *(_line(line, index, x, y) for index, line in enumerate(series))]
    ends = _spread_out([y(line.y[-1]) for line in series], top=10, bottom=height - 34)
    body += [_label(name, index, x(line.x[-1]) + 8, end) for index, (name, line, end) in enumerate(zip(names, series, ends, strict=False))]
    scale = f'<text class="tick" x="{right:.0f}" y="{height - 4}" text-anchor="end">epoch{" · log scale" if y.log else ""}</text>'
    return svg(title, width, height, "".join([*body, scale]))


def strip_chart(title: str, values: list[float], names: list[str], width: int = 520) -> str:
    """One dot per image along the axis of a metric, dots that would touch on top of each other, with a line at the median.

    Args:
        title: What is plotted, for those who cannot see it.
        values: One per image; those that are not finite are left out.
        names: Of the images, shown when the pointer rests on a dot.
        width: In pixels.

    Returns:
        An ``<svg>`` element; empty when no value is finite.
    """
    pairs = sorted((value, name) for value, name in zip(values, names, strict=True) if np.isfinite(value))
    if not pairs:
        return ""
    median = float(np.median([value for value, _ in pairs]))
    pairs = evenly(pairs, MAX_DOTS)
    axis = Axis.around(pairs[0][0], pairs[-1][0], 20, width - 20)
    heights = _stack([axis(value) for value, _ in pairs])
    base = 34 + 9 * max(heights)
    dots = [
        f'<circle class="dot" cx="{axis(value):.1f}" cy="{base - 9 * level}" r="4"><title>{escape(name)}: {number(value)}</title></circle>'
        for (value, name), level in zip(pairs, heights, strict=True)
    ]
    middle = axis(median)
    mark = f'<line class="median" x1="{middle:.1f}" x2="{middle:.1f}" y1="18" y2="{base + 10}"/>'
    side = "end" if middle > width - 80 else "start" if middle < 80 else "middle"
    mark += f'<text class="tick" x="{middle:.1f}" y="12" text-anchor="{side}">median {number(median)}</text>'
    return svg(title, width, base + 34, x_ticks(axis, base + 10) + mark + "".join(dots))


def grid_lines(x: Axis, y: Axis) -> str:
    """Lines at the ticks of an upright axis, and the axis below them."""
    rows = [
        f'<line class="rule" x1="{x.start}" x2="{x.end:.1f}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text class="tick" x="{x.start - 7}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick_label(tick)}</text>'
        for tick in y.ticks
    ]
    return "".join(rows) + x_ticks(x, y.start)


def x_ticks(axis: Axis, y: float) -> str:
    """An axis that lies at a height, with its ticks."""
    base = f'<line class="axis" x1="{axis.start:.1f}" x2="{axis.end:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return base + "".join(
        f'<line class="axis" x1="{axis(tick):.1f}" x2="{axis(tick):.1f}" y1="{y:.1f}" y2="{y + 4:.1f}"/>'
        f'<text class="tick" x="{axis(tick):.1f}" y="{y + 17:.1f}" text-anchor="middle">{tick_label(tick)}</text>'
        for tick in axis.ticks
    )


def _line(line: Series, index: int, x: Axis, y: Axis) -> str:
    points = [(x(epoch), y(value)) for epoch, value in zip(line.x.tolist(), line.y.tolist(), strict=True)]
    text = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
    last = f'<circle class="end s{index % COLOURS}" cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="2.5"/>'
    return (f'<polyline class="line s{index % COLOURS}" points="{text}"/>' if len(points) > 1 else "") + last


def _label(name: str, index: int, x: float, y: float) -> str:
    return f'<text class="label s{index % COLOURS}" x="{x:.1f}" y="{y + 4:.1f}">{escape(name)}</text>'


def _spread_out(positions: list[float], top: float, bottom: float) -> list[float]:
    """Move labels apart until each has a line of its own between ``top`` and ``bottom``, in their order."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    placed, limit = list(positions), bottom
    for index in reversed(order):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - LINE
    limit = top
    for index in order:
        placed[index] = max(placed[index], limit)
        limit = placed[index] + LINE
    return placed


def _stack(positions: list[float], levels: int = 12) -> list[int]:
    """The lowest level for each dot, from left to right, on which it touches no other; the lowest again when all are taken."""
    ends = [-np.inf] * levels
    chosen = []
    for position in positions:
        level = next((level for level, end in enumerate(ends) if position - end >= 9), 0)
        ends[level] = position
        chosen.append(level)
    return chosen


def svg(title: str, width: int, height: int, body: str) -> str:
    """A drawing of this size that says what it shows."""
    return f'<svg viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" aria-label="{escape(title)}">{body}</svg>'
