"""Which baselines suit a task, fitted on its training images, and kept in the run folder."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from im2im.baselines.intensities import Gaussian, Identity, LinearFilter
from im2im.baselines.sample import training_samples
from im2im.baselines.segmentation import Histogram, Otsu, OtsuComponents
from im2im.data.datamodule import ImageData
from im2im.files import replacing
from im2im.tasks.base import Task
from im2im.tasks.instance import Instance
from im2im.tasks.regression import Regression
from im2im.tasks.semantic import Semantic

FILE = "baselines.json"
KINDS: dict[str, Any] = {
    "identity": Identity,
    "gaussian": Gaussian,
    "linear_filter": LinearFilter,
    "otsu": Otsu,
    "histogram": Histogram,
    "otsu_components": OtsuComponents,
}


class Baseline(Protocol):
    """A simple method that was fitted."""

    def __call__(self, source: np.ndarray, included: np.ndarray | None = None) -> np.ndarray:
        """Give an interpreted prediction of a normalized source, both C(Z)YX; included: (Z)YX, which pixels are scored, all if None."""
        ...


def suited(task: Task) -> tuple[str, ...]:
    """Name the baselines of a task; none for a task of another package."""
    if isinstance(task, Regression):
        return ("identity", "gaussian", "linear_filter")
    if isinstance(task, Semantic):
        return ("otsu",) if len(task.classes) == 2 else ("histogram",)
    return ("otsu_components",) if isinstance(task, Instance) else ()


def fit(data: ImageData, task: Task, folder: Path) -> dict[str, Baseline]:
    """Fit the baselines of a task on training images and write them to baselines.json.

    Args:
        data: Its training images that have a target of their own are taken.
        task: Says what suits.
        folder: The run folder.

    Returns:
        The baselines by name, without those that cannot be fitted; none where no training image has a target of its own.
    """
    samples = training_samples(data, task)
    fitted = {name: KINDS[name].fit(samples) for name in suited(task)} if samples else {}
    found = {name: one for name, one in fitted.items() if one is not None}
    if found:
        with replacing(folder / FILE) as path:
            path.write_text(json.dumps({name: asdict(one) for name, one in found.items()}) + "\n")
    return found


def read(folder: Path) -> dict[str, Baseline]:
    """Take up the baselines that a training has fitted; none where the run folder has no baselines.json."""
    path = folder / FILE
    facts = json.loads(path.read_text()) if path.is_file() else {}
    return {name: KINDS[name](**numbers) for name, numbers in facts.items()}
