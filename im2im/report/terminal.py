"""What a run prints at its end."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from im2im.report.notation import MISSING, metric_label, number, spread


def metric_table(metrics: Mapping[str, Mapping[str, float | None]], title: str = "Test") -> Table:
    """Metrics as a table for the terminal.

    Args:
        metrics: Name → ``mean``, ``std`` and ``n``, as a section of ``metrics.json`` holds them.
        title: Stands above the table.
    """
    table = Table(title=Text(title), title_justify="left")
    table.add_column("metric")
    for name in ("mean", "sd", "n"):
        table.add_column(name, justify="right")
    for name, entry in metrics.items():
        mean, deviation = (float("nan") if (value := entry.get(key)) is None else float(value) for key in ("mean", "std"))
        count = f"{entry['n']:.0f}" if "n" in entry else MISSING
        table.add_row(Text(metric_label(name)), number(mean), spread(mean, deviation), count)
    return table
