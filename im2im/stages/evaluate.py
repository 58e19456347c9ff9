"""Whole test images through the network, every metric of every image, pictures and the report."""

import json
import logging
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.progress import track

from im2im.baselines.fitting import Baseline
from im2im.checkpoint import find, folder_of
from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.files import replacing
from im2im.frameworks.base import Framework
from im2im.io.splits import trained_on
from im2im.metrics import summarize
from im2im.report.figures import panel, save_png
from im2im.report.page import write_page
from im2im.report.terminal import metric_table
from im2im.stages.baselines import baselines_of, compare, within_limit
from im2im.stages.commands import commands
from im2im.stages.divergence import without_contrast

log = logging.getLogger(__name__)

SHOWN = 4  # test images that are drawn where nothing can be scored


def evaluate(
    trainer: pl.Trainer,
    framework: Framework,
    data: ImageData,
    folder: str,
    training: dict[str, Any] | None = None,
    baselines: bool = True,
) -> dict[str, Any]:
    """Score the test images and write the run folder's results.

    Prediction and target are compared in normalized units, the target by its own statistics: the unit the network was trained in.

    Args:
        trainer: Its device is used.
        framework: Trained.
        data: Its test images are scored.
        folder: Gets metrics.json, metrics.csv, splits.csv, samples/ and report.html.
        training: What metrics.json says under "train".
        baselines: Score simple methods as well, which were fitted on the training images.

    Returns:
        The content of metrics.json.

    Raises:
        ValueError: If there is no test image, or a run of an ensemble has seen one.
    """
    run = Path(folder)
    framework.to(trainer.strategy.root_device)
    if not training:
        data.write_splits(run)
    data.require_channels(framework.record["in_channels"], framework.record.get("target_channels"))
    if framework.reads != "source":
        raise ValueError("only predictions from source to target are scored; set framework.direction=forward")
    entries = data.entries("test")
    if not entries:
        raise ValueError("no image to score; give data.root a test/ folder, or raise data.fractions.test")
    _refuse_leaks(data, framework.record.get("runs", [])[1:])
    simple = baselines_of(framework, data, run, bool(training)) if baselines else {}
    metrics: dict[str, Any] = {"train": training} if training else {}
    matched = [entry for entry in entries if entry.matched]
    if not matched:
        return _look(framework, data, entries, run, metrics)
    chosen = within_limit(matched) if simple else []
    scored = [
        _score(framework, data, entry, simple if place in chosen else {})
        for place, entry in enumerate(track(matched, "evaluating", transient=True))
    ]
    rows, parts, others, blank = zip(*scored, strict=True)
    if all(blank):
        log.warning("no prediction of the %d test images shows anything; raise max_epochs, or try learning_rate=1e-4", len(blank))
    figures = [_figures(row) for row in rows]
    found = compare(trainer, [figures[place] for place in chosen], [others[place] for place in chosen]) if simple else {}
    metrics = {"test": summarize(figures), **({"baselines": found} if found else {}), **metrics}
    with replacing(run / "metrics.csv") as path:
        pd.DataFrame([*rows, *chain(*parts)]).to_csv(path, index=False)
    _draw(framework, data, matched, rows, run / "samples")
    Console().print(metric_table(metrics["test"], baselines=found))
    return _report(metrics, commands(framework, data, run), run)


def _report(metrics: dict[str, Any], told: dict[str, str], run: Path) -> dict[str, Any]:
    """Write metrics.json and the report, and say where it lies and what to do next."""
    with replacing(run / "metrics.json") as path:
        path.write_text(json.dumps(metrics, indent=2) + "\n")
    log.info("report: %s", write_page(run, told))
    for purpose, command in told.items():
        log.info("%s:\n  %s", purpose, command)
    return metrics


def _refuse_leaks(data: ImageData, runs: Sequence[str]) -> None:
    """Raise ValueError if a further run of an ensemble was trained or chosen on a test image."""
    test = {pair.source.resolve(): pair.name for pair in data.pairs if pair.split == "test" and pair.source.exists()}
    for run in runs:
        folder = folder_of(find(run))
        seen = trained_on(folder / "splits.csv") if folder and (folder / "splits.csv").is_file() else set()
        if leaked := sorted(test[path] for path in seen & test.keys()):
            raise ValueError(
                f"{run} was trained on {len(leaked)} of the test images, such as {leaked[0]}; train it with data.splits= of the first run"
            )


def _look(framework: Framework, data: ImageData, entries: list[Entry], run: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """Draw predictions of test images that have no target of their own, which nothing can be scored against."""
    log.warning(
        "no test image has a target of its own: there are pictures, but no figures; data.root with matching stems in test/ gives some"
    )
    _clear(run / "samples")
    for entry in entries[:SHOWN]:
        source, _, found = predict_entry(framework, data, entry)
        picture = panel(source, None, found, title=entry.name, pixel_size=entry.source.pixel_size, objects=framework.task.objects)
        save_png(run / "samples" / f"test_{entry.name}.png", picture)
    return _report({"test": {}, **metrics}, commands(framework, data, run), run)


def predict_entry(framework: Framework, data: ImageData, entry: Entry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give normalized source, normalized target and interpreted prediction of a whole image, each C(Z)YX."""
    source, target = data.cutter.normalized(entry)
    return source, target, framework.interpret(framework.predict(torch.from_numpy(source)).numpy())


def compared(framework: Framework, data: ImageData, entry: Entry) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Give interpreted prediction, normalized target and cost map of a whole image, each C(Z)YX; no cost map where it has none."""
    _, target, found = predict_entry(framework, data, entry)
    return found, target, _cost_map(data, entry)


def _cost_map(data: ImageData, entry: Entry) -> np.ndarray | None:
    return data.cutter.cost_map(entry) if entry.cost_map is not None else None


def _score(
    framework: Framework, data: ImageData, entry: Entry, baselines: Mapping[str, Baseline]
) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, dict[str, float]], bool]:
    """Make the rows of metrics.csv, one for the image and one for each of its classes or objects; score the baselines.

    The last value tells whether the prediction shows nothing.
    """
    source, target, found = predict_entry(framework, data, entry)
    cost_map = _cost_map(data, entry)
    name, task = {"stage": "test", "image": entry.name}, framework.task
    others = {key: task.score(one(source), target, cost_map) for key, one in baselines.items()}
    parts = [{**name, **part} for part in task.parts(found, target, cost_map)]
    return {**name, **task.score(found, target, cost_map)}, parts, others, without_contrast(found, task.truth(target))


def _figures(row: dict[str, Any]) -> dict[str, float]:
    return {key: value for key, value in row.items() if key not in {"stage", "image"}}


def _clear(folder: Path) -> None:
    """Remove the pictures of an earlier part of this run."""
    for old in folder.glob("test_*.png"):
        old.unlink()


def _draw(framework: Framework, data: ImageData, entries: list[Entry], rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """Draw the best, the median and the worst image by the task's first metric."""
    _clear(folder)
    metric = next(iter(_figures(rows[0])))
    order = np.argsort([-row[metric] if np.isfinite(row[metric]) else np.inf for row in rows])
    for rank, place in {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}.items():
        entry, row = entries[place], rows[place]
        title = f"{rank} of {len(rows)} · {entry.name} · {metric} {row[metric]:.3f}"
        source, target, found = predict_entry(framework, data, entry)
        task, size = framework.task, entry.source.pixel_size
        picture = panel(source, task.truth(target), found, title=title, pixel_size=size, objects=task.objects)
        save_png(folder / f"test_{rank}_{entry.name}.png", picture)
