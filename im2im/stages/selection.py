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
from im2im.files import replacing
from im2im.frameworks.base import Framework
from im2im.report.notation import better, metric_label
from im2im.stages.candidates import Setting, Weights, decoding_settings, view_settings, weights_of
from im2im.stages.choosing import Choice, Sample, Trial

log = logging.getLogger(__name__)

FILE = "selection.json"
SHARE = 0.1  # of the training's time that choosing may take
IMAGES = 8  # at most
LARGEST = 2**27  # voxels times channels of all outputs that are kept in memory


@dataclass(frozen=True)
class Selection:
    """Chooses weights, mirrored views and thresholds by a metric of whole validation images.

    Args:
        monitor: Metric that decides where no checkpoint callback monitors one of whole images, such as "val/dice".
        mode: "max" or "min".
        write: Puts chosen values by key into the run's config.yaml; gives the configuration that a checkpoint holds.
        fixed: Keys that were given and stay as they are; a key stands for all below it.
    """

    monitor: str
    mode: str
    write: Callable[[Mapping[str, Any]], str]
    fixed: Collection[str] = ()

    def __call__(self, trainer: pl.Trainer, framework: Framework, data: ImageData, folder: Path) -> list[Choice]:
        """Choose, and write selection.json, config.yaml and best.ckpt; last.ckpt stays as it is.

        Args:
            trainer: That trained; its device is used.
            framework: With the best weights; has the chosen weights and settings afterwards.
            data: Its matched validation images are scored.
            folder: The run folder.

        Returns:
            How each thing was chosen; empty where there was nothing to choose by, or no time.
        """
        entries = _spread([entry for entry in data.entries("val") if entry.matched])
        if not entries:
            log.info("nothing is chosen after training: no validation image has a target of its own")
            return []
        framework.to(trainer.strategy.root_device).eval()
        trial = Trial(framework, *self._metric(trainer, framework, data, entries[0]))
        candidates = weights_of(find(folder), folder / "checkpoints" / "last.ckpt")
        views, decoding = self._free(view_settings(framework)), self._free(decoding_settings(framework))
        predictions = len(candidates) + sum(1 + len(value) for one in views for value in one.values if value != one.of(framework))
        decodings = len(candidates) + sum(len(one.values) for one in (*views, *decoding))
        count = affordable(trial, data, entries, predictions, decodings, SHARE * framework.trained_seconds())
        if not count or predictions + decodings == 2:
            return []
        trial.samples = [_sample(data, entry) for entry in entries[:count]]
        weights, choices = trial.choose_weights(candidates)
        choices += [trial.choose(setting, predict=True, factor=2) for setting in views]
        choices += [trial.choose(setting) for setting in decoding]
        self._keep(framework, folder, weights, choices, trial)
        return choices

    def _metric(self, trainer: pl.Trainer, framework: Framework, data: ImageData, entry: Entry) -> tuple[str, bool]:
        """Give the metric that decides, the monitored one where it is one of whole images, and whether more of it is better."""
        target = data.cutter.normalized(entry)[1]
        known = framework.task.score(framework.task.truth(target), target)
        monitored = [(getattr(one, "monitor", None) or "", getattr(one, "mode", "min")) for one in trainer.checkpoint_callbacks]
        for monitor, mode in (*monitored, (self.monitor, self.mode)):
            if (name := monitor.removeprefix("val/")) in known:
                return name, mode == "max"
        first = next(iter(known))
        return first, better(first) != "lower"

    def _free(self, settings: Iterable[Setting]) -> list[Setting]:
        return [one for one in settings if not any(one.key == key or one.key.startswith(f"{key}.") for key in self.fixed)]

    def _keep(self, framework: Framework, folder: Path, weights: Weights, choices: list[Choice], trial: Trial) -> None:
        """Write what was chosen into the run, and say it."""
        changed = [one for one in choices if one.chosen != one.before]
        if changed:
            framework.record["config"] = self.write({one.key: one.chosen for one in changed if one.key != "weights"})
            content = weights.content()
            content["im2im"]["config"] = framework.record["config"]
            with replacing(find(folder)) as path:
                torch.save(content, path)
        told = {"metric": trial.metric, "images": len(trial.samples), "choices": [asdict(one) for one in choices]}
        with replacing(folder / FILE) as path:
            path.write_text(json.dumps(told, indent=2) + "\n")
        images = f"{len(trial.samples)} validation image{'s' * (len(trial.samples) > 1)}"
        gains = ", ".join(f"{name_of(one)} ({metric_label(trial.metric)} {one.gain:+.3g})" for one in changed)
        log.info("chosen on %s: %s", images, gains or "everything stays as it is")
        if changed and (same := [name_of(one) for one in choices if one.chosen == one.before]):
            log.info("stays as it is: %s", ", ".join(same))


def affordable(trial: Trial, data: ImageData, entries: Sequence[Entry], predictions: int, decodings: int, seconds: float) -> int:
    """Predict the first image and tell how many there is time and memory for, from the first on; 0 with a line that says why.

    Args:
        trial: Predicts and scores.
        data: Of the images.
        entries: The images.
        predictions: How often each is predicted.
        decodings: How often each output is scored.
        seconds: That all of it may take.
    """
    start = time.perf_counter()
    trial.samples = [_sample(data, entries[0])]
    outputs = trial.predict()
    if (first := time.perf_counter() - start) < seconds:  # the first one takes longer than the others
        start, seconds = time.perf_counter(), seconds - first
        outputs = trial.predict()
    predicting, middle = time.perf_counter() - start, time.perf_counter()
    trial.measure(outputs)
    each = predictions * predicting + decodings * (time.perf_counter() - middle)
    seconds -= time.perf_counter() - start
    sizes = np.cumsum([math.prod(entry.source.shape[2:]) for entry in entries]) / outputs[0][0].size
    if each > seconds:
        log.info("nothing is chosen after training: one validation image would take %.3g s, of which there are %.3g", each, max(seconds, 0))
        return 0
    if outputs[0].size > LARGEST:
        log.info("nothing is chosen after training: the outputs of a validation image of %s are too many to keep", outputs[0].shape[1:])
        return 0
    return max(1, int(np.sum((sizes * each <= seconds) & (sizes * outputs[0].size <= LARGEST))))


def name_of(choice: Choice) -> str:
    """Name a choice for people."""
    if choice.key == "inference.views":
        return f"mirrored views {'on' if choice.chosen else 'off'}"
    return f"{choice.key}={choice.chosen}"


def _spread(entries: list[Entry]) -> list[Entry]:
    """Take at most so many images, evenly from the first to the last."""
    places = np.unique(np.linspace(0, len(entries) - 1, min(len(entries), IMAGES)).round().astype(int))
    return [entries[place] for place in places]


def _sample(data: ImageData, entry: Entry) -> Sample:
    source, target = data.cutter.normalized(entry)
    return Sample(torch.from_numpy(source), target, data.cutter.cost_map(entry) if entry.cost_map is not None else None)
