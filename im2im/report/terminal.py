"""What a run prints at its end."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from im2im.report.notation import MISSING, baseline_label, metric_label, number, spread

Metrics = Mapping[str, Mapping[str, float | None]]


def metric_table(
    metrics: Metrics, title: str = "Test", baselines: Mapping[str, Metrics] | None = None, subset: Metrics | None = None
) -> Table:
    """Metrics as a table for the terminal.

    Args:
        metrics: Name → ``mean``, ``std`` and ``n``, as a section of ``metrics.json`` holds them.
        title: Stands above the table.
        baselines: The same of each baseline; the first one, which is the best, gets a column.
        subset: The same as metrics, of the images alone that the baselines were scored on, where these are not all.
    """
    table = Table(title=Text(title), title_justify="left")
    table.add_column("metric")
    for name in ("mean", "sd", "n"):
        table.add_column(name, justify="right")
    best = next(iter(baselines or {}), None)
    heading = [] if best is None else [*(["mean of subset", "n of subset"] if subset else []), f"baseline: {baseline_label(best)}"]
    for name in heading:
        table.add_column(name, justify="right")
    for name, entry in metrics.items():
        mean, deviation = (float("nan") if (value := entry.get(key)) is None else float(value) for key in ("mean", "std"))
        count = f"{entry['n']:.0f}" if "n" in entry else MISSING
        of_baseline = (baselines or {}).get(best or "", {}).get(name, {})
        means = [one.get("mean") for one in ((subset or {}).get(name, {}), of_baseline)]
        on_subset, baseline = (MISSING if mean is None else number(mean) for mean in means)
        compared = [] if best is None else [*([on_subset, f"{of_baseline.get('n', 0):.0f}"] if subset else []), baseline]
        table.add_row(Text(metric_label(name)), number(mean), spread(mean, deviation), count, *compared)
    return table
