"""The part of the page that says how good the run is: headline, table, distribution, and the images behind the numbers."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from im2im.report.curves import strip_chart
from im2im.report.markup import block, grid, picture, section, table
from im2im.report.notation import MISSING, baseline_label, better, metric_label, number, spread
from im2im.report.record import Record

HEADLINES = 4
TITLES = {"test": "Test", "val": "Validation"}
RANKS = {"best": "Best", "median": "Median", "worst": "Worst"}
PER_RANK = 1
"""At most this many pictures of the best, the median and the worst images each."""


def headline(record: Record) -> str:
    """The first test metrics, large; those of single classes are left to the table."""
    names = [name for name, entry in _metrics(record).items() if "/" not in name and np.isfinite(_value(entry, "mean"))][:HEADLINES]
    cards = []
    for name in names:
        mean, deviation, count = (_value(_metrics(record)[name], key) for key in ("mean", "std", "n"))
        remark = " · ".join(
            [f"± {spread(mean, deviation)}"] * bool(np.isfinite(deviation)) + [f"n = {count:.0f}"] * bool(np.isfinite(count))
        )
        figure = f"<strong>{number(mean)}</strong><small>{escape(remark)}</small>"
        cards.append(f'<div class="card"><span>{escape(metric_label(name))}</span>{figure}</div>')
    return f'<div class="cards">{"".join(cards)}</div>' if cards else ""


def results(record: Record) -> str:
    """Table of the test metrics beside the distribution of the first one, and pictures of the best, median and worst image."""
    rows = []
    split, tested = _scored(record)
    part = record.section(f"{split}_subset")
    best = next(iter(record.section("baselines")), "")
    of_baseline = record.section("baselines").get(best, {})
    for name, entry in tested.items():
        mean, deviation, count = (_value(entry, key) for key in ("mean", "std", "n"))
        size = f"{count:.0f}" if np.isfinite(count) else MISSING
        compared = [number(_value(of_baseline.get(name, {}), "mean"))] if best else []
        if best and part:
            compared = [number(_value(part.get(name, {}), "mean")), f"{of_baseline.get(name, {}).get('n', 0):.0f}", *compared]
        rows.append([metric_label(name), number(mean), spread(mean, deviation), size, *compared, better(name)])
    headings = [*(["Mean of subset", "n of subset"] if part else []), f"Baseline: {baseline_label(best)}"] if best else []
    note = "Baselines were scored on a subset, for lack of time; the network's mean there stands beside them." if best and part else ""
    numbers = block("All metrics", table(["Metric", "Mean", "SD", "n", *headings, "Better"], rows), note)
    title = TITLES[split]
    return section(f"{title} results", grid([numbers, _distribution(record)])) + section(f"{title} images", *_pictures(record, split))


def _scored(record: Record) -> tuple[str, dict[str, Any]]:
    """Which split was scored, and the metrics: the validation where there was no test image."""
    found = {split: {name: one for name, one in record.section(split).items() if isinstance(one, dict)} for split in TITLES}
    split = "test" if found["test"] or not found["val"] else "val"
    return split, found[split]


def _metrics(record: Record) -> dict[str, Any]:
    return _scored(record)[1]


def _value(entry: dict[str, Any], key: str) -> float:
    value = entry.get(key)
    return float(value) if isinstance(value, int | float) else float("nan")


def _distribution(record: Record) -> str:
    images = _rows(record)
    names = [name for name in [*_metrics(record), *images.columns] if name in images and pd.api.types.is_numeric_dtype(images[name])]
    if not names:
        return ""
    name = names[0]
    labels = images["image"].astype(str) if "image" in images else images.index.to_series().astype(str)
    plot = strip_chart(f"{metric_label(name)} of each image", images[name].astype(float).tolist(), list(labels))
    lost = int((~np.isfinite(images[name].astype(float))).sum())
    dot = "image" if labels.is_unique else "row of metrics.csv"
    return block(f"{metric_label(name)}, one dot per {dot}", plot, f"{lost} without a finite value left out." if lost else "")


def _rows(record: Record) -> pd.DataFrame:
    """The rows of ``metrics.csv`` about whole test images; about all images where no stage is named ``test``."""
    images = record.images
    for part in ("class", "object"):
        images = images[images[part].isna()] if part in images else images
    rows = images[images["stage"] == "test"] if "stage" in images else images
    return rows if len(rows) else images


def _pictures(record: Record, split: str) -> list[str]:
    figures = []
    for rank, title in RANKS.items():
        for path in sorted((record.run / "samples").glob(f"{split}_{rank}*.png"))[:PER_RANK]:
            figures.append(picture(path, _caption(record, title, path)))
    return figures


def _caption(record: Record, title: str, path: Path) -> str:
    """Rank, name and first metric of the image that a picture ``<split>_<rank>_<image>.png`` shows."""
    name = re.sub(r"^(test|val)_[a-z]+_?", "", path.stem)
    rows, metric = _rows(record), next(iter(_metrics(record)), "")
    if metric in rows and "image" in rows:
        found = rows[[name in (Path(image).name, Path(image).stem) for image in rows["image"].astype(str)]]
        if len(found) == 1:
            return f"{title}: {name}, {metric_label(metric)} {number(float(found[metric].iloc[0]))}"
    return f"{title}: {name}" if name else title
