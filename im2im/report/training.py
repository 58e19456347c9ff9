"""The part of the page that shows the course of the training: curves, and pictures through the epochs."""

from __future__ import annotations

import re
from pathlib import Path

from im2im.evenly import evenly
from im2im.report.curves import COLOURS, Series, line_chart
from im2im.report.history import History
from im2im.report.markup import block, grid, picture, section
from im2im.report.notation import metric_label, number
from im2im.report.record import Record

LOSSES = {"train/loss": "train", "val/loss": "validation"}
WIDE, SMALL = (520, 260), (300, 170)
EPOCH_PICTURES = 4


def training(record: Record) -> str:
    """Curves of losses, metrics and learning rate, and at most four pictures from the first to the last epoch."""
    history = _merge_epoch_columns(record.history)
    curves = section("Training", grid(_losses(history)), grid(_metrics(history), "small"))
    return curves + section("Through the epochs", *_epoch_pictures(record.run))


def _losses(history: History) -> list[str]:
    """The losses of training and validation in one chart, the terms that training is made of in others."""
    losses = [column for column in LOSSES if column in history.table]
    terms = [column for column in _columns(history, "train/") if column not in LOSSES]
    title = "Generator and discriminator" if any("discriminator" in column for column in terms) else "Terms of the loss"
    groups = [terms[start : start + COLOURS] for start in range(0, len(terms), COLOURS)]
    charts = [_chart(history, "Loss", losses, [LOSSES[column] for column in losses], _lowest(history), WIDE)]
    return charts + [_chart(history, title, group, [_short(column).replace("_", " ") for column in group], size=WIDE) for group in groups]


def _metrics(history: History) -> list[str]:
    """A small chart for each validation metric, and one for the learning rate."""
    metrics = [column for column in _columns(history, "val/") if column not in LOSSES]
    rates = _columns(history, "lr")[:COLOURS]
    charts = [_chart(history, f"Validation: {metric_label(_short(column))}", [column], [""]) for column in metrics]
    return [*charts, _chart(history, "Learning rate", rates, rates)]


def _columns(history: History, start: str) -> list[str]:
    return [str(column) for column in history.table.columns if str(column).startswith(start)]


def _chart(history: History, title: str, columns: list[str], names: list[str], note: str = "", size: tuple[int, int] = SMALL) -> str:
    lines = [_series(history, column, name) for column, name in zip(columns, names, strict=True)]
    lost = sum(history.not_finite.get(column, 0) for column in columns)
    remarks = [note] if note else []
    if lost:
        remarks.append(f"{lost} value{'s' if lost > 1 else ''} NaN or infinite, left out.")
    return block(title, line_chart(title, lines, *size), " ".join(remarks))


def _series(history: History, column: str, name: str) -> Series:
    values = history.table[column].dropna()
    return Series(name, values.index.to_numpy(float), values.to_numpy(float))


def _lowest(history: History) -> str:
    if "val/loss" not in history.table:
        return ""
    values = history.table["val/loss"].dropna()
    return f"Lowest validation loss {number(float(values.min()))} in epoch {values.idxmin():.0f}." if len(values) else ""


def _merge_epoch_columns(history: History) -> History:
    """Of a value that is logged per step and per epoch keep the one per epoch, under its plain name."""
    names = {str(column): re.sub(r"_epoch$", "", str(column)) for column in history.table.columns}
    twice = [f"{plain}{end}" for name, plain in names.items() if name != plain for end in ("", "_step") if f"{plain}{end}" in names]
    table = history.table.drop(columns=twice).rename(columns=names).rename(columns=lambda name: re.sub(r"_step$", "", name))
    lost = {re.sub(r"_(epoch|step)$", "", name): count for name, count in history.not_finite.items()}
    return History(table, lost)


def _short(column: str) -> str:
    return column.partition("/")[2]


def _epoch_pictures(run: Path) -> list[str]:
    """The first picture of each of at most four epochs, evenly from the first to the last."""
    first = dict[int, Path]()
    for path in sorted((run / "samples").glob("epoch_*.png")):
        if digits := re.match(r"epoch_(\d+)", path.name):
            first.setdefault(int(digits[1]), path)
    return [picture(first[epoch], f"Epoch {epoch}") for epoch in evenly(sorted(first), EPOCH_PICTURES)]
