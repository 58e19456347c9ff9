"""Whole test images through the network, every metric of every image, pictures and the report."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from im2im.baselines.sample import included
from im2im.checkpoint import find, folder_of
from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.data.patches import Region
from im2im.files import replacing
from im2im.frameworks.base import Framework
from im2im.io.splits import trained_on
from im2im.metrics import summarize
from im2im.report.figures import panel, save_png
from im2im.report.page import write_page
from im2im.report.terminal import metric_table
from im2im.stages.baselines import Scores, allowed_seconds, baselines_of, compare, cut, regions_within, score_part, seconds_per_pixel
from im2im.stages.commands import commands
from im2im.stages.divergence import contrast, other_rates, train_longer, without_contrast
from im2im.stages.quality import deciding_metric

log = logging.getLogger(__name__)

SHOWN = 4  # images that are drawn where nothing can be scored
NAMES = {"test": "test", "val": "validation"}  # of splits, for people


def evaluate(
    trainer: pl.Trainer,
    framework: Framework,
    data: ImageData,
    folder: str,
    training: dict[str, Any] | None = None,
    baselines: bool = True,
    quality: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Score the test images, after a training without any the validation images, and write the run folder's results.

    Prediction and target are compared in normalized units, the target by its own statistics: the unit the network was trained in.

    Args:
        trainer: Its device is used.
        framework: Trained.
        data: Of which whole images are scored.
        folder: Gets metrics.json, metrics.csv, splits.csv, samples/ and report.html.
        training: What metrics.json says under "train".
        baselines: Score simple methods as well, which were fitted on the training images.
        quality: Names the metric that decides whether the network is better, see :func:`deciding_metric`.

    Returns:
        The content of metrics.json.

    Raises:
        ValueError: If there is no test image without a training, or a run of an ensemble has seen one.
    """
    run = Path(folder)
    framework.to(trainer.strategy.root_device)
    if not training:
        data.write_splits(run)
    data.require_channels(framework.record["in_channels"], framework.record.get("target_channels"))
    if framework.reads != "source":
        raise ValueError("only predictions from source to target are scored; set framework.direction=forward")
    train_more = train_longer(trainer, framework.trained_seconds()) if training else ""
    split = "test" if not training or any(pair.split == "test" for pair in data.pairs) else "val"
    entries = data.entries(split)
    if not entries and not training:
        raise ValueError("no image to score; give data.root a test/ folder, or raise data.fractions.test")
    _refuse_leaks(data, framework.record.get("runs", [])[1:])
    start = time.perf_counter()
    fitted = baselines_of(framework, data, run, bool(training)) if baselines else {}
    seconds = allowed_seconds(training, time.perf_counter() - start)
    metrics: dict[str, Any] = {"train": training} if training else {}
    matched = [entry for entry in entries if entry.matched]
    if not matched:
        return _look(framework, data, split, entries, run, metrics)
    regions = _regions(framework, data, split, matched, fitted, seconds) if fitted else {}
    places = enumerate(track(matched, "evaluating", transient=True))
    scored = [_score(framework, data, split, entry, fitted, regions.get(place)) for place, entry in places]
    if no_contrast := without_contrast([one.contrast for one in scored], data.target.labels, NAMES[split]):
        advice = " or ".join(filter(None, [train_more, other_rates(trainer)])) if training else "look at the images with mode=check"
        log.warning("%s; %s", no_contrast, advice)
    figures, with_baselines = [one.figures for one in scored], [one for one in scored if one.baselines]
    if with_baselines:
        network = [one.compared for one in with_baselines]
        look = "look at the pairs with mode=check"
        advice = ", ".join(filter(None, [train_more, "add training images", f"or {look}"])) if training else look
        decides, others = deciding_metric(quality, figures[0]), [one.baselines for one in with_baselines]
        metrics = {"baselines": compare(decides, network, others, NAMES[split], advice), **metrics}
        if len(with_baselines) < len(scored) or any(regions.values()):
            metrics = {f"{split}_subset": summarize(network), **metrics}
    metrics = {split: summarize(figures), **metrics}
    with replacing(run / "metrics.csv") as path:
        pd.DataFrame([*(one.row for one in scored), *chain(*(one.parts for one in scored))]).to_csv(path, index=False)
    _draw(framework, data, split, matched, figures, run / "samples")
    Console().print(metric_table(metrics[split], NAMES[split].capitalize(), metrics.get("baselines"), metrics.get(f"{split}_subset")))
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


def _look(framework: Framework, data: ImageData, split: str, entries: list[Entry], run: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """Draw predictions of images that have no target of their own, which nothing can be scored against."""
    if entries:
        log.warning(
            "no %s image has a target of its own: there are pictures, but no figures; matching stems in test/ give some", NAMES[split]
        )
    else:
        log.warning("nothing is scored: there is neither a test nor a validation image")
    _clear(run / "samples")
    for entry in entries[:SHOWN]:
        source, _, found = predict_entry(framework, data, entry)
        picture = panel(source, None, found, title=entry.name, pixel_size=entry.source.pixel_size, objects=framework.task.objects)
        save_png(run / "samples" / f"{split}_{entry.name}.png", picture)
    return _report({split: {}, **metrics}, commands(framework, data, run), run)


def predict_entry(framework: Framework, data: ImageData, entry: Entry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give normalized source, normalized target and interpreted prediction of a whole image, each C(Z)YX."""
    source, target = data.cutter.normalized(entry)
    return source, target, framework.interpret(framework.predict(torch.from_numpy(source)).numpy())


def compared(framework: Framework, data: ImageData, entry: Entry) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Give interpreted prediction, normalized target and cost map of a whole image, each C(Z)YX; no cost map where it has none."""
    _, target, found = predict_entry(framework, data, entry)
    return found, target, data.cutter.given_cost_map(entry)


@dataclass(frozen=True)
class Scored:
    """The scores of an image.

    Args:
        name: Columns of metrics.csv that say which image it is.
        figures: Of the network, by metric.
        parts: Rows of metrics.csv for each of its classes or objects.
        contrast: Of the prediction.
        compared: Of the network where the baselines are scored, which may be a part of the image.
        baselines: Of each of them there; empty where they are not scored.
    """

    name: dict[str, str]
    figures: Scores
    parts: list[dict[str, Any]]
    contrast: float | None
    compared: Scores
    baselines: dict[str, Scores]

    @property
    def row(self) -> dict[str, Any]:
        """The row of metrics.csv for the image."""
        return {**self.name, **self.figures}


def _score(
    framework: Framework, data: ImageData, split: str, entry: Entry, baselines: Mapping[str, Baseline], region: Region | None
) -> Scored:
    """Score the network on an image, and the baselines on a region of it; on none of it where that is None."""
    source, target, found = predict_entry(framework, data, entry)
    cost_map, task = data.cutter.given_cost_map(entry), framework.task
    counted = included(task, source, target, cost_map)
    name, figures, parts = {"stage": split, "image": entry.name}, task.score(found, target, cost_map), task.parts(found, target, cost_map)
    compared, others = figures, {}
    if region is not None:
        others = score_part(task, baselines, region, source, target, cost_map)
    if region:
        compared = task.score(cut(found, region), cut(target, region), None if cost_map is None else cut(cost_map, region))
    return Scored(
        name, figures, [{**name, **part} for part in parts], contrast(found[:, counted], task.truth(target)[:, counted]), compared, others
    )


def _regions(
    framework: Framework, data: ImageData, split: str, entries: list[Entry], baselines: Mapping[str, Baseline], seconds: float
) -> dict[int, Region]:
    """Choose what baselines are scored on in so many seconds, and say where that is not everything."""
    each = seconds_per_pixel(framework.task, data, entries[0], baselines)
    regions = regions_within([data.source.spatial_shape(entry.source) for entry in entries], seconds / max(each, 1e-12))
    what = ""
    if region := next(iter(regions.values())):
        what = f"the middle {' × '.join(str(part.stop - part.start) for part in region)} pixels of {entries[0].name}"
    elif len(regions) < len(entries):
        what = f"{len(regions)} of {len(entries)} {NAMES[split]} images"
    if what:
        log.info("baselines are scored on %s, for which %.3g s are allowed; the network is scored there as well", what, seconds)
    return regions


def _draw(framework: Framework, data: ImageData, split: str, entries: list[Entry], figures: Sequence[Scores], folder: Path) -> None:
    """Draw the best, the median and the worst image by the task's first metric."""
    _clear(folder)
    metric = next(iter(figures[0]))
    order = np.argsort([-row[metric] if np.isfinite(row[metric]) else np.inf for row in figures])
    for rank, place in {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}.items():
        entry, row = entries[place], figures[place]
        title = f"{rank} of {len(figures)} · {entry.name} · {metric} {row[metric]:.3f}"
        source, target, found = predict_entry(framework, data, entry)
        task, size = framework.task, entry.source.pixel_size
        picture = panel(source, task.truth(target), found, title=title, pixel_size=size, objects=task.objects)
        save_png(folder / f"{split}_{rank}_{entry.name}.png", picture)


def _clear(folder: Path) -> None:
    """Remove the pictures of an earlier part of this run."""
    for old in [*folder.glob("test_*.png"), *folder.glob("val_*.png")]:
        old.unlink()
