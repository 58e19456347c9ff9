"""The page of several runs beside each other: metrics, whether they differ by more than chance, the same image from each."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from im2im.report.markup import block, picture, section, table
from im2im.report.notation import LOWER_IS_BETTER, MISSING, metric_label, number, spread
from im2im.report.page import write_html
from im2im.report.plots import dots_chart

SHOWN = 3  # metrics that get a plot
CHANCE = 0.05


@dataclass(frozen=True)
class Compared:
    """One run.

    Args:
        name: What it differs by.
        folder: Of the run.
        images: Rows of metrics.csv about whole test images, by name of the image.
    """

    name: str
    folder: Path
    images: pd.DataFrame


def read_run(name: str, folder: Path) -> Compared | None:
    """Read a run folder; None where no test image was scored."""
    if not (folder / "metrics.csv").is_file() or not (folder / "metrics.json").is_file():
        return None
    rows = pd.read_csv(folder / "metrics.csv", dtype={"image": str})
    rows = rows[rows["stage"] == "test"]
    for part in ("class", "object"):
        rows = rows[rows[part].isna()] if part in rows else rows
    named = list(json.loads((folder / "metrics.json").read_text()).get("test", {}))
    if not named:
        return None
    again = rows.groupby("image").cumcount()  # images of one name are told apart by their order
    rows["image"] = rows["image"].where(again == 0, rows["image"] + " " + (again + 1).astype(str))
    return Compared(name, folder, rows.set_index("image")[[metric for metric in named if metric in rows and "/" not in metric]])


def write_comparison(runs: Sequence[Compared], failed: Sequence[tuple[str, str]], folder: Path) -> Path:
    """Write ``comparison.html`` into a folder: a page without scripts that needs no other file; gives its path.

    Args:
        runs: At least one.
        failed: Name and reason of those that have no result.
        folder: Of the sweep.
    """
    counts = Counter(name for run in runs for name in run.images.columns)
    metrics = sorted(counts, key=lambda name: -counts[name])  # those that most runs have first
    images = len(set.intersection(*(set(run.images.index) for run in runs)))
    body = [
        section("Metrics", f'<div class="wide">{_table(runs, metrics)}</div>', *_remarks(runs, metrics)),
        section("Every image", *(_dots(runs, name) for name in metrics[:SHOWN])),
        section("Pictures", *_pictures(runs)),
        section("What failed", table(["Run", "Why"], [list(one) for one in failed])),
    ]
    facts = [f"{len(runs)} runs", f"{images} test images in common" if images else "no test image in common"]
    return write_html(folder / "comparison.html", "Comparison", facts, body)


def chances(runs: Sequence[Compared], metric: str) -> list[float]:
    """Give for each run how likely its difference from the best one is chance.

    Wilcoxon's signed-rank test (1945) over the images that both have, two-sided, corrected for the number of runs after Holm (1979).

    Returns:
        NaN for the best run itself, and where images are too few or all differences 0.
    """
    best = best_of(runs, metric)
    found = [
        np.nan if place == best or metric not in run.images else _chance(runs[best].images[metric], run.images[metric])
        for place, run in enumerate(runs)
    ]
    corrected, running = list(found), 0.0
    order = sorted((place for place, one in enumerate(found) if np.isfinite(one)), key=lambda place: found[place])
    for rank, place in enumerate(order):
        running = max(running, min(1.0, found[place] * (len(order) - rank)))
        corrected[place] = running
    return corrected


def best_of(runs: Sequence[Compared], metric: str) -> int:
    """Give the place of the run with the best mean."""
    means = [run.images[metric].mean() if metric in run.images else np.nan for run in runs]
    sign = 1 if metric in LOWER_IS_BETTER else -1
    return int(np.argmin([sign * mean if np.isfinite(mean) else np.inf for mean in means]))


def _chance(one: pd.Series, other: pd.Series) -> float:
    both = pd.concat([one, other], axis=1, join="inner").dropna().to_numpy()
    differences = both[:, 0] - both[:, 1]
    if len(differences) < 6 or not differences.any():  # fewer cannot tell anything
        return float("nan")
    return float(stats.wilcoxon(differences).pvalue)


def _table(runs: Sequence[Compared], metrics: Sequence[str]) -> str:
    first, sign = metrics[0], 1 if metrics[0] in LOWER_IS_BETTER else -1
    means = [run.images[first].mean() if first in run.images else np.nan for run in runs]
    order = sorted(range(len(runs)), key=lambda place: sign * means[place] if np.isfinite(means[place]) else np.inf)
    likely = chances(runs, first)
    rows = []
    for place in order:
        run = runs[place]
        cells = [_cell(run.images[name]) if name in run.images else MISSING for name in metrics]
        rows.append([run.name, str(len(run.images)), cells[0], _written(likely[place], place == order[0]), *cells[1:]])
    return table(["Run", "n", metric_label(first), "p", *map(metric_label, metrics[1:])], rows)


def _cell(values: pd.Series) -> str:
    mean, deviation = float(values.mean()), float(values.std(ddof=0))
    return f"{number(mean)} ± {spread(mean, deviation)}"


def _written(chance: float, best: bool) -> str:
    if best:
        return "best"
    return MISSING if not np.isfinite(chance) else "< 0.001" if chance < 0.001 else number(chance, 2)


def _remarks(runs: Sequence[Compared], metrics: Sequence[str]) -> list[str]:
    label = metric_label(metrics[0])
    text = (
        f"Mean ± standard deviation over images. p: how likely the difference from the best run in {label} is chance, over the images that "
        f"both have (Wilcoxon, corrected after Holm); below {CHANCE} it is taken as real. With fewer than 6 images nothing can be told."
    )
    return [f'<p class="note">{text}</p>']


def _dots(runs: Sequence[Compared], metric: str) -> str:
    values = {run.name: run.images[metric].astype(float).tolist() for run in runs if metric in run.images}
    return block(f"{metric_label(metric)}, one dot per image, line at the mean", dots_chart(metric_label(metric), values))


def _pictures(runs: Sequence[Compared]) -> list[str]:
    """One image of each run, the same one where there is one that most of them drew."""
    drawn = [
        {re.sub(r"^test_[a-z]+_", "", path.stem): path for path in sorted((run.folder / "samples").glob("test_*.png"))} for run in runs
    ]
    counts = Counter(name for one in drawn for name in one)
    if not counts:
        return []
    common = counts.most_common(1)[0][0]
    shown = []
    for run, one in zip(runs, drawn, strict=True):
        name = common if common in one else next(iter(one), "")
        if name:
            shown.append(picture(one[name], f"{run.name}: {name}"))
    return shown
