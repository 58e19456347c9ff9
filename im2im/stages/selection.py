"""What is left free by training is chosen on whole validation images, within a share of the training's time."""

import json
import logging
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from im2im.checkpoint import find
from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.evenly import evenly
from im2im.files import replacing
from im2im.frameworks.base import Framework
from im2im.report.notation import metric_label, setting_label
from im2im.stages.candidates import Setting, Weights, decoding_settings, view_settings, weights_of
from im2im.stages.choosing import Choice, Sample, Trial
from im2im.stages.quality import deciding_metric

log = logging.getLogger(__name__)

FILES = ("selection.json", "checkpoints/chosen.ckpt")  # of a run folder
SHARE = 0.1  # of the training's time that choosing may take
IMAGES = 8  # at most
LARGEST = 2**27  # voxels times channels of all outputs that are kept in memory


@dataclass(frozen=True)
class Selection:
    """Chooses weights, mirrored views and thresholds by a metric of whole validation images.

    Args:
        quality: What decides, see :func:`deciding_metric`.
        write: Puts chosen values by key into the run's config.yaml; gives the configuration that a checkpoint holds.
        fixed: Keys that were given and stay as they are; a key stands for all below it.
    """

    quality: Mapping[str, str]
    write: Callable[[Mapping[str, Any]], str]
    fixed: Collection[str] = ()

    def __call__(self, trainer: pl.Trainer, framework: Framework, data: ImageData, folder: Path) -> list[Choice]:
        """Choose, and write selection.json, config.yaml and chosen.ckpt; best.ckpt and last.ckpt stay as training has left them.

        Args:
            trainer: That trained; its device is used.
            framework: With the best weights; has the chosen weights and settings afterwards.
            data: Its matched validation images are scored.
            folder: The run folder, without what an earlier selection has written there.

        Returns:
            How each thing was chosen; empty where there was nothing to choose by, or no time.
        """
        images = data.entries("val")
        entries = evenly([entry for entry in images if entry.matched], IMAGES)
        if not entries:
            why = "no validation image has a target of its own" if images else "there is no validation image"
            log.info("nothing is chosen after training: %s", why)
            return []
        framework.to(trainer.strategy.root_device).eval()
        first = _sample(data, entries[0])
        known = framework.task.score(framework.task.truth(first.target), first.target, first.cost_map)
        trial = Trial(framework, *deciding_metric(self.quality, known), [first])
        candidates = weights_of(find(folder), folder / "checkpoints" / "last.ckpt")
        views, decoding = self._free(view_settings(framework)), self._free(decoding_settings(framework))
        predictions = len(candidates) + sum(1 + len(value) for one in views for value in one.values if value != one.of(framework))
        decodings = len(candidates) + sum(len(one.values) for one in (*views, *decoding))
        count, why = affordable(trial, entries, predictions, decodings, SHARE * framework.trained_seconds())
        if why:
            log.info("nothing is chosen after training: %s", why)
        if why or predictions + decodings == 2:
            return []
        trial.samples = [first, *(_sample(data, entry) for entry in entries[1:count])]
        weights, choices = trial.choose_weights(candidates)
        choices += [trial.choose(setting, predict=True, factor=2) for setting in views]
        choices += [trial.choose(setting) for setting in decoding]
        self._keep(framework, folder, weights, choices, trial)
        return choices

    def _free(self, settings: Iterable[Setting]) -> list[Setting]:
        return [one for one in settings if not any(one.key == key or one.key.startswith(f"{key}.") for key in self.fixed)]

    def _keep(self, framework: Framework, folder: Path, weights: Weights, choices: list[Choice], trial: Trial) -> None:
        """Write what was chosen into the run, and say it; selection.json comes first, by which the rest can be undone."""
        selection, chosen = (folder / name for name in FILES)
        told = {"metric": trial.metric, "images": len(trial.samples), "choices": [asdict(one) for one in choices]}
        with replacing(selection) as path:
            path.write_text(json.dumps(told, indent=2, allow_nan=False) + "\n")
        changed = [one for one in choices if one.chosen != one.before]
        if changed:
            framework.record["config"] = self.write({one.key: one.chosen for one in changed if one.key != "weights"})
            content = weights.content()
            content["im2im"]["config"] = framework.record["config"]
            with replacing(chosen) as path:
                torch.save(content, path)
        images = f"{len(trial.samples)} validation image{'s' * (len(trial.samples) > 1)}"
        gains = ", ".join(
            f"{' '.join(setting_label(one.key, one.chosen))} ({metric_label(trial.metric)} better by {one.gain:.3g})" for one in changed
        )
        log.info("chosen on %s: %s", images, gains or "everything stays as it is")
        if changed and (same := [" ".join(setting_label(one.key, one.chosen)) for one in choices if one.chosen == one.before]):
            log.info("stays as it is: %s", ", ".join(same))


def forget(folder: Path) -> None:
    """Remove what a selection has written beside the checkpoints of the training, which goes on from those."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)


def affordable(trial: Trial, entries: Sequence[Entry], predictions: int, decodings: int, seconds: float) -> tuple[int, str]:
    """Tell for how many images there is time and memory, and why for none; the first one is predicted and scored for that.

    Args:
        trial: Predicts and scores its only sample, the first image.
        entries: The images.
        predictions: How often each is predicted.
        decodings: How often each output is scored.
        seconds: That all of it may take.
    """
    start = time.perf_counter()
    outputs = trial.predict()
    if (first := time.perf_counter() - start) < seconds:  # the first one takes longer than the others
        start, seconds = time.perf_counter(), seconds - first
        outputs = trial.predict()
    predicting, middle = time.perf_counter() - start, time.perf_counter()
    trial.measure(outputs)
    each = predictions * predicting + decodings * (time.perf_counter() - middle)
    seconds -= time.perf_counter() - start
    if each > seconds:
        return 0, f"one validation image would take {each:.3g} s, but only {max(seconds, 0):.3g} s are allowed"
    if outputs[0].size > LARGEST:
        return 0, f"the outputs of a validation image of {outputs[0].shape[1:]} are too many to keep"
    sizes = np.cumsum([math.prod(entry.source.shape[2:]) for entry in entries]) / outputs[0][0].size
    return max(1, int(np.sum((sizes * each <= seconds) & (sizes * outputs[0].size <= LARGEST)))), ""


def _sample(data: ImageData, entry: Entry) -> Sample:
    source, target = data.cutter.normalized(entry)
    return Sample(torch.from_numpy(source), target, data.cutter.given_cost_map(entry))
