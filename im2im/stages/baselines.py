"""Baselines beside a network: the same images, the same metrics, in a small share of the time that the training took."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from im2im.baselines.fitting import Baseline, fit, read
from im2im.baselines.sample import included
from im2im.checkpoint import find, folder_of
from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.data.patches import Region, middle_region
from im2im.evenly import evenly
from im2im.frameworks.base import Framework
from im2im.metrics import summarize
from im2im.report.notation import baseline_label, metric_label, number
from im2im.tasks.base import Task

log = logging.getLogger(__name__)

SHARE = 0.05  # of the training's time that baselines may take
LEAST = 5.0  # seconds that scoring them may take after however short a training
ALONE = 30.0  # the same of an evaluation without a training
TIMED = 1 << 18  # pixels times channels of the first image that are scored to know how long it takes
SMALLEST = 1 << 16  # pixels of an image that are scored however long it takes

Scores = dict[str, float]


def baselines_of(framework: Framework, data: ImageData, folder: Path, trained: bool) -> dict[str, Baseline]:
    """Fit the baselines after a training; afterwards take up those of the run, the first one of an ensemble."""
    if trained:
        return fit(data, framework.task, folder)
    home = folder_of(find(framework.record["runs"][0])) if framework.record.get("runs") else None
    return read(home) if home else {}


def allowed_seconds(training: Mapping[str, Any] | None, spent: float) -> float:
    """Tell how long baselines may be scored: of a training's time a share, without what fitting has taken; else a fixed time."""
    return max(SHARE * training["seconds"] - spent, LEAST) if training else ALONE


def seconds_per_pixel(
    task: Task, data: ImageData, entry: Entry, baselines: Mapping[str, Baseline], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Score the middle of an image, all its channels, with all baselines, and tell how long that takes; the first call does not count."""
    region = middle_region(data.source.spatial_shape(entry.source), TIMED / (entry.source.shape[1] + entry.target.shape[1]))
    source, target = data.cutter.normalized(entry, region)
    cost_map = data.cutter.given_cost_map(entry, region)
    for _ in range(2):
        start = clock()
        score_part(task, baselines, (), source, target, cost_map)
        seconds = clock() - start
    return seconds / math.prod(source.shape[1:])


def regions_within(shapes: Sequence[tuple[int, ...]], pixels: float) -> dict[int, Region]:
    """Choose images, spread evenly, that have so many pixels together; the middle of the first one where even that has more.

    Args:
        shapes: (Z)YX of each image.
        pixels: That there is time for.

    Returns:
        By the number of the image the region that is scored, empty for all of it.
    """
    sizes, count = [math.prod(shape) for shape in shapes], len(shapes)
    places = [*range(count)]
    while count > 1 and sum(sizes[place] for place in places) > pixels:
        count -= max(1, count // 10)
        places = evenly(range(len(shapes)), count)
    pixels = max(pixels, SMALLEST)
    return {place: () if count > 1 or sizes[place] <= pixels else middle_region(shapes[place], pixels) for place in places}


def cut(image: np.ndarray, region: Region) -> np.ndarray:
    """Cut a region out of an image C(Z)YX."""
    return image[(slice(None), *region)]


def score_part(
    task: Task, baselines: Mapping[str, Baseline], region: Region, source: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None
) -> dict[str, Scores]:
    """Score baselines, each by its name, on a region of an image; source, target and cost map are those of all of it, C(Z)YX."""
    source, target = cut(source, region), cut(target, region)
    cost_map = None if cost_map is None else cut(cost_map, region)
    counted = included(task, source, target, cost_map)
    return {name: task.score(one(source, counted), target, cost_map) for name, one in baselines.items()}


def compare(
    decides: tuple[str, bool], network: Sequence[Scores], others: Sequence[Mapping[str, Scores]], images: str, advice: str
) -> dict[str, Any]:
    """Summarize the scores of baselines, and say in one line where the network is not better than the best of them.

    Args:
        decides: The metric by which, and whether more of it is better.
        network: Scores of the network, by image.
        others: Scores of each baseline, for the same images.
        images: What they are called, such as "test".
        advice: What to do about it.

    Returns:
        ``{baseline: {metric: {"mean", "std", "n"}}}``, the best one first.
    """
    metric, maximize = decides
    sign = 1 if maximize else -1
    found = {name: summarize([one[name] for one in others]) for name in others[0]}
    means = {name: -math.inf if (mean := one[metric]["mean"]) is None else sign * mean for name, one in found.items()}
    found = {name: found[name] for name in sorted(found, key=lambda name: means[name], reverse=True)}
    best = next(iter(found))
    pairs = np.array([(mine[metric], one[best][metric]) for mine, one in zip(network, others, strict=True)], float)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]  # an image without a figure of one of them compares nothing
    if len(pairs) and sign * np.subtract(*pairs.mean(axis=0)) <= 0:
        here, there = (number(float(mean)) for mean in pairs.mean(axis=0))
        log.warning(
            "the network is not better than the baseline %s: %s %s against %s on %d %s image%s; %s",
            *(baseline_label(best), metric_label(metric), here, there, len(pairs), images, "s" * (len(pairs) > 1), advice),
        )
    return found
