"""Baselines beside a network: the same test images, the same metrics."""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from im2im.baselines.fitting import Baseline, fit, read
from im2im.checkpoint import find, folder_of
from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.frameworks.base import Framework
from im2im.metrics import summarize
from im2im.report.notation import baseline_label, better, metric_label, number

log = logging.getLogger(__name__)

LIMIT = 1 << 24  # pixels of test images that baselines are scored on; of more, images that are spread evenly are

Scores = dict[str, float]


def baselines_of(framework: Framework, data: ImageData, folder: Path, trained: bool) -> dict[str, Baseline]:
    """Fit the baselines after a training; afterwards take up those of the run, the first one of an ensemble."""
    if trained:
        return fit(data, framework.task, folder)
    home = folder_of(find(framework.record["runs"][0])) if framework.record.get("runs") else None
    return read(home) if home else {}


def within_limit(entries: Sequence[Entry]) -> list[int]:
    """Number the test images that baselines are scored on: all of them where they are not too large."""
    pixels = sum(math.prod(entry.target.shape[1:]) for entry in entries)
    count = max(1, int(len(entries) * min(1.0, LIMIT / pixels)))
    return np.linspace(0, len(entries) - 1, count).round().astype(int).tolist()


def compare(trainer: pl.Trainer, network: Sequence[Scores], others: Sequence[Mapping[str, Scores]]) -> dict[str, Any]:
    """Summarize the scores of baselines, and say in one line where the network is not better than the best of them.

    Args:
        trainer: Its checkpoint callback names the metric that decides; else the first one does.
        network: Scores of the network, by image.
        others: Scores of each baseline, for the same images.

    Returns:
        ``{baseline: {metric: {"mean", "std", "n"}}}``, the best one first.
    """
    monitors = [str(getattr(one, "monitor", None)).removeprefix("val/") for one in trainer.checkpoint_callbacks]
    metric = next((name for name in monitors if name in network[0]), next(iter(network[0])))
    sign = -1 if better(metric) == "lower" else 1

    def quality(summary: Mapping[str, Any]) -> float:
        return -math.inf if summary[metric]["mean"] is None else sign * summary[metric]["mean"]

    found = {name: summarize([one[name] for one in others]) for name in others[0]}
    found = dict(sorted(found.items(), key=lambda one: quality(one[1]), reverse=True))
    best, reached = next(iter(found)), quality(summarize(network))
    if reached <= quality(found[best]) and math.isfinite(quality(found[best])):
        log.warning(
            "the network is not better than the baseline %s: %s %s against %s on the test images; "
            "train longer (max_time=00:02:00:00 for two hours), add training images, or look at the pairs with mode=check",
            baseline_label(best),
            metric_label(metric),
            number(sign * reached),
            number(sign * quality(found[best])),
        )
    return found
