"""Trying values on validation images, and keeping the one that scores best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from im2im.frameworks.base import Framework
from im2im.metrics import summarize
from im2im.report.notation import LABELS
from im2im.stages.candidates import Setting, Weights

MARGIN = 0.002  # gain from which a choice is changed, of metrics whose best value is 1
RELATIVE_MARGIN = 0.01  # the same of all other metrics, relative to the score
UNBOUNDED = {"psnr", "ri_psnr", "nrmse", "ri_nrmse"}


@dataclass
class Choice:
    """How one thing was chosen.

    Args:
        key: Of the configuration, or "weights".
        before: Its value before.
        chosen: Its value afterwards, the same one where nothing gained enough.
        gain: How much better the score became; 0 where it stayed.
        tried: Pairs of a value and the mean score of the images; the first is the value before. None for a score that is no number.
    """

    key: str
    before: Any
    chosen: Any
    gain: float
    tried: list[tuple[Any, float | None]]


@dataclass(frozen=True)
class Sample:
    """A validation image in memory: source, target and cost map C(Z)YX."""

    source: torch.Tensor
    target: np.ndarray
    cost_map: np.ndarray | None


@dataclass
class Trial:
    """Scores a framework on validation images as it is set, and changes it where that helps.

    Args:
        framework: Trained.
        metric: Name of the metric that decides.
        maximize: Whether more of it is better.
        samples: The images.
    """

    framework: Framework
    metric: str
    maximize: bool
    samples: Sequence[Sample] = ()
    outputs: list[np.ndarray] = field(default_factory=list)  # activated, C(Z)YX each
    score: float = math.nan

    def predict(self) -> list[np.ndarray]:
        """Predict all images."""
        return [self.framework.predict(sample.source).numpy() for sample in self.samples]

    def measure(self, outputs: Sequence[np.ndarray]) -> float:
        """Give the mean score of outputs; NaN where no image has one."""
        pairs = zip(outputs, self.samples, strict=True)
        rows = [self.framework.task.score(self.framework.interpret(output), one.target, one.cost_map) for output, one in pairs]
        mean = summarize(rows)[self.metric]["mean"]
        return math.nan if mean is None else mean

    def gain(self, score: float) -> float:
        """Tell how much better a score is than the one so far; nothing gains where one of them is no number, such as without objects."""
        gain = score - self.score if self.maximize else self.score - score
        return gain if math.isfinite(gain) else -math.inf

    def margin(self) -> float:
        """Give the gain that a choice is changed for."""
        bounded = self.metric.partition("/")[0] in LABELS.keys() - UNBOUNDED
        return MARGIN if bounded else RELATIVE_MARGIN * abs(self.score)

    def choose_weights(self, candidates: Sequence[Weights]) -> tuple[Weights, list[Choice]]:
        """Score all weights, the first of which are those so far, and leave the chosen ones in the framework."""
        self.outputs = self.predict()
        self.score = before = self.measure(self.outputs)
        chosen, margin, tried = candidates[0], self.margin(), [(candidates[0].name, _finite(before))]
        for one in candidates[1:]:
            one.load(self.framework)
            score = self.measure(outputs := self.predict())
            tried.append((one.name, _finite(score)))
            if self.gain(score) > (margin if chosen is candidates[0] else 0):
                chosen, self.outputs, self.score = one, outputs, score
        chosen.load(self.framework)
        if len(candidates) == 1:
            return chosen, []
        return chosen, [Choice("weights", candidates[0].name, chosen.name, abs(self.score - before), tried)]

    def choose(self, setting: Setting, predict: bool = False, factor: float = 1.0) -> Choice:
        """Score all values of a setting and leave the chosen one in the framework.

        Args:
            setting: What is chosen.
            predict: Whether it changes what the network puts out.
            factor: How many times the usual gain it is changed for.
        """
        before, score_before, margin = setting.of(self.framework), self.score, factor * self.margin()
        best, tried = before, [(before, _finite(self.score))]
        for value in setting.values:
            if value == before:
                continue
            setting.put(self.framework, value)
            outputs = self.predict() if predict else self.outputs
            score = self.measure(outputs)
            tried.append((value, _finite(score)))
            if self.gain(score) > (margin if best == before else 0):
                best, self.outputs, self.score = value, outputs, score
        setting.put(self.framework, best)
        return Choice(setting.key, before, best, abs(self.score - score_before) if best != before else 0.0, tried)


def _finite(score: float) -> float | None:
    return score if math.isfinite(score) else None
