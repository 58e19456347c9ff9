"""The course of a training as one table, whatever number of times it was resumed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

UNREADABLE = (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError)


@dataclass(frozen=True)
class History:
    """What was logged during a training.

    Args:
        table: One row per epoch (the index), one column per logged name; empty cells where nothing was logged.
        not_finite: For each column with NaN or infinite values, how many were logged; they are empty in the table.
    """

    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    not_finite: dict[str, int] = field(default_factory=dict)


def read_history(run: Path) -> History:
    """Join ``logs/version_*/metrics.csv`` of a run folder by epoch; where two versions hold an epoch, the later one counts.

    Several rows of one epoch and column (steps) are averaged. An unreadable or empty file counts as missing.
    """
    table, not_finite = pd.DataFrame(), dict[str, int]()
    for path in sorted(run.glob("logs/version_*/metrics.csv"), key=_version):
        try:
            cells = pd.read_csv(path, dtype=str, keep_default_na=False)
        except UNREADABLE:
            continue
        if "epoch" not in cells:
            continue
        values, lost = _numbers(cells)
        table = values.combine_first(table)
        for column, count in lost.items():
            not_finite[column] = not_finite.get(column, 0) + count
    return History(table, not_finite)


def _numbers(cells: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Cells of text as means per epoch, and the count of what was written as NaN or infinite."""
    values = cells.apply(pd.to_numeric, errors="coerce").astype(float)
    infinite = values.isin([float("inf"), float("-inf")])
    lost = {str(name): int(count) for name, count in ((cells != "") & (values.isna() | infinite)).sum().items() if count}
    values = values.mask(infinite)
    epoch = values["epoch"].bfill().ffill()  # a learning rate is logged without its epoch, just before the rows of that epoch
    columns = values.drop(columns=["epoch", "step"], errors="ignore")
    return columns.groupby(epoch).mean().dropna(axis=1, how="all"), lost


def _version(path: Path) -> int:
    digits = re.search(r"(\d+)$", path.parent.name)
    return int(digits[1]) if digits else -1
