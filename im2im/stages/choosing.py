"""Trying values on validation images, and keeping the one that scores best."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from im2im.frameworks.base import Framework
from im2im.report.notation import LABELS
from im2im.stages.candidates import Setting, Weights

MARGIN = 0.004  # gain from which a choice is changed, relative to what is missing to 1, of metrics whose best value that is
RELATIVE_MARGIN = 0.01  # the same of all other metrics, relative to the score
ALONE = 5  # times the margin, where a single image has a score and its noise is not known
CHANCE = 0.05  # score of a metric whose best value is 1 that does not differ from chance
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
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))  # of each image

    def predict(self) -> list[np.ndarray]:
        """Predict all images."""
        return [self.framework.predict(sample.source).numpy() for sample in self.samples]

    def measure(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Give the score of each output; NaN where an image has none, such as one without objects."""
        pairs = zip(outputs, self.samples, strict=True)
        rows = [self.framework.task.score(self.framework.interpret(output), one.target, one.cost_map) for output, one in pairs]
        return np.array([row[self.metric] for row in rows], float)

    def gain(self, scores: np.ndarray, factor: float = 1.0) -> float:
        """Give the mean gain over the scores so far, of the images where both are numbers; 0 where it is too little for a change.

        It must exceed the margin and the standard error of the gains of several images; of a single image five times the margin.
        Scores at chance gain nothing.

        Args:
            scores: One for each image.
            factor: How many times the usual margin is asked for.
        """
        gains = scores - self.scores if self.maximize else self.scores - scores
        compared = np.isfinite(gains)
        bounded = self.metric.partition("/")[0] in LABELS.keys() - UNBOUNDED
        if not compared.any() or (bounded and scores[compared].mean() < CHANCE):
            return 0.0
        gains = gains[compared]
        before = self.scores[compared].mean()
        margin = factor * (MARGIN * (1 - before) if bounded else RELATIVE_MARGIN * abs(before))
        least = max(margin, gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else ALONE * margin
        return float(gains.mean()) if gains.mean() > least else 0.0

    def choose_weights(self, candidates: Sequence[Weights]) -> tuple[Weights, list[Choice]]:
        """Score all weights, the first of which are those so far, and leave the chosen ones in the framework."""
        self.outputs = self.predict()
        self.scores = self.measure(self.outputs)
        best, gain, found, tried = candidates[0], 0.0, (self.outputs, self.scores), [(candidates[0].name, _mean(self.scores))]
        for one in candidates[1:]:
            one.load(self.framework)
            scores = self.measure(outputs := self.predict())
            tried.append((one.name, _mean(scores)))
            if (more := self.gain(scores)) > gain:
                best, gain, found = one, more, (outputs, scores)
        best.load(self.framework)
        self.outputs, self.scores = found
        return best, [Choice("weights", candidates[0].name, best.name, gain, tried)] if len(candidates) > 1 else []

    def choose(self, setting: Setting, predict: bool = False, factor: float = 1.0) -> Choice:
        """Score all values of a setting and leave the chosen one in the framework.

        Args:
            setting: What is chosen.
            predict: Whether it changes what the network puts out.
            factor: How many times the usual margin it is changed for.
        """
        before = setting.of(self.framework)
        best, gain, found, tried = before, 0.0, (self.outputs, self.scores), [(before, _mean(self.scores))]
        for value in setting.values:
            if value == before:
                continue
            setting.put(self.framework, value)
            outputs = self.predict() if predict else self.outputs
            scores = self.measure(outputs)
            tried.append((value, _mean(scores)))
            if (more := self.gain(scores, factor)) > gain:
                best, gain, found = value, more, (outputs, scores)
        setting.put(self.framework, best)
        self.outputs, self.scores = found
        return Choice(setting.key, before, best, gain, tried)


def _mean(scores: np.ndarray) -> float | None:
    finite = scores[np.isfinite(scores)]
    return float(finite.mean()) if finite.size else None
