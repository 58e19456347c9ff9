"""Pieces of training images that baselines are fitted on."""

from dataclasses import dataclass

import numpy as np
import torch

from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.data.patches import Region, random_region
from im2im.tasks.base import Task

PIECES = 8  # of all training images together, a million pixels: fitting takes seconds, however many images there are
SIZES = {2: (360, 360), 3: (8, 128, 128)}  # of a piece, by the number of spatial axes


@dataclass(frozen=True)
class Sample:
    """A piece of a training image.

    Args:
        source: C(Z)YX, normalized.
        truth: C(Z)YX, what a prediction is compared with: normalized intensities, classes or object numbers.
        included: (Z)YX, which pixels take part.
    """

    source: np.ndarray
    truth: np.ndarray
    included: np.ndarray


def training_samples(data: ImageData, task: Task) -> list[Sample]:
    """Read pieces of training images that are spread evenly over all of them, at random places, the same ones each time.

    Args:
        data: Its training images that have a target of their own are taken.
        task: Gives targets their meaning.

    Returns:
        At most :data:`PIECES` samples; none where no training image has a target of its own.
    """
    entries, rng = [entry for entry in data.entries("train") if entry.matched], np.random.default_rng(0)
    places: dict[str, tuple[Entry, Region]] = {}
    for number in np.linspace(0, len(entries) - 1, PIECES).round().astype(int) if entries else ():  # several of an image of few
        entry = entries[number]
        region = random_region(data.source.spatial_shape(entry.source), SIZES[data.source.spatial_dims], rng)
        places[f"{number} {region}"] = (entry, region)  # a small image is a single piece
    return [_sample(data, task, entry, region) for entry, region in places.values()]


def _sample(data: ImageData, task: Task, entry: Entry, region: Region) -> Sample:
    source, target = data.cutter.normalized(entry, region)
    return Sample(source, task.truth(target), included(task, source, target, data.cutter.given_cost_map(entry, region)))


def included(task: Task, source: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None) -> np.ndarray:
    """Tell which pixels (Z)YX take part: those that are numbers in source and target, and that neither cost map nor task excludes."""
    batch = {"target": target} if cost_map is None else {"target": target, "cost_map": cost_map}
    counted = task.cost_map({name: torch.from_numpy(image)[None] for name, image in batch.items()})
    finite = np.isfinite(source).all(axis=0) & np.isfinite(target).all(axis=0)
    return finite if counted is None else finite & (counted[0, 0].numpy() > 0)
