"""Training patches that are centred on objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from im2im.data.epochs import in_turn
from im2im.data.index import Entry
from im2im.data.known import known
from im2im.data.patches import Plan, Region, Sampling, random_region
from im2im.data.side import Side
from im2im.io.store import Store


@dataclass(frozen=True)
class AroundObjects:
    """One patch around every object of every image, in every epoch; an image without objects gives one random patch.

    Where an epoch has a fixed number of steps, it goes on where the last one stopped, until there was a patch around every object.

    Objects are the numbers above 0 in the first channel of the target; excluded pixels belong to none.
    """

    def __call__(self, entries: Sequence[Entry], target: Side, sampling: Sampling, store: Store) -> Plan:
        """Plan all epochs.

        Raises:
            ValueError: If source and target are not matched, or only a part of the images or of the patches is wanted.
        """
        if sampling.foreground:
            raise ValueError(f"patches around objects are all foreground, got data.foreground={sampling.foreground}; set it to 0")
        if sampling.fraction_per_epoch < 1:
            raise ValueError(
                f"an epoch has a patch around every object, got data.fraction_per_epoch={sampling.fraction_per_epoch}; set it to 1"
            )
        if any(not entry.matched for entry in entries):
            raise ValueError(
                "patches around objects need a target that matches its source; set data.places._target_=im2im.data.patches.Anywhere"
            )
        return ObjectPlan(entries, target, sampling, store)


def measure_objects(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure all objects of an image.

    Args:
        labels: (Z)YX, a number above 0 for each object; numbers may have gaps of any size, NaN is background.

    Returns:
        The pixels of each object, and the lengths of its bounding box along (Z)YX as (objects, axes).
    """
    numbered = np.maximum(np.nan_to_num(labels), 0)
    if numbered.max(initial=0) > numbered.size:  # numbers with large gaps
        numbered = np.searchsorted(np.unique(np.append(numbered, 0)), numbered)
    numbered = numbered.astype(np.int32, copy=False)
    counts = np.bincount(numbered.ravel())[1:]
    lengths = [[part.stop - part.start for part in box] for box in ndimage.find_objects(numbered) if box]
    return counts[counts > 0], np.array(lengths, int).reshape(-1, labels.ndim)


class ObjectPlan:
    """Takes the objects in turn, in another order each time where an epoch has a fixed number of steps.

    Targets are read once, when the plan is first used, unless the store knows where their objects are.
    """

    def __init__(self, entries: Sequence[Entry], target: Side, sampling: Sampling, store: Store) -> None:
        self.entries, self.target, self.patch_size, self.store = entries, target, sampling.patch_size, store
        self.count = sampling.patches_of_steps()

    @cached_property
    def places(self) -> list[tuple[Entry, tuple[int, ...] | None]]:
        """Each entry with the middle of each of its objects, or with none."""
        places = [(entry, middle) for entry in self.entries for middle in self._middles(entry)]
        self.store.write()
        return places

    def _middles(self, entry: Entry) -> Sequence[tuple[int, ...] | None]:
        what = f"middles of objects in {self.target.spatial_dims}D, by {self.target.reader}"
        found = known(self.store, what, entry.target, entry.time, entry.cost_map, lambda: self._find(entry))
        return [tuple(middle) for middle in found] or [None]

    def _find(self, entry: Entry) -> list[tuple[int, ...]]:
        labels = self.target.array(entry.target, time=entry.time)[0]
        if entry.cost_map is not None:
            labels = np.where(self.target.array(entry.cost_map, time=entry.time)[0] > 0, labels, 0)
        return object_middles(labels)

    def __len__(self) -> int:
        """Count the patches of one epoch."""
        return self.count or len(self.places)

    def __call__(self, epoch: int, index: int, rng: np.random.Generator) -> tuple[Entry, Region]:
        """Give one entry, and the region around one of its objects."""
        entry, middle = self.places[in_turn(len(self.places), epoch * self.count + index) if self.count else index]
        shape = self.target.spatial_shape(entry.target)
        if middle is None:
            return entry, random_region(shape, self.patch_size, rng)
        return entry, region_around(middle, shape, self.patch_size)


def object_middles(labels: np.ndarray) -> list[tuple[int, ...]]:
    """Give the middle of the bounding box of each object, (Z)YX, in the order of their numbers.

    Args:
        labels: (Z)YX, 0 where there is no object; numbers may be large and have gaps.
    """
    inside = labels > 0
    numbered = np.zeros(labels.shape, np.int32)
    numbered[inside] = np.unique(labels[inside], return_inverse=True)[1] + 1
    return [tuple((part.start + part.stop) // 2 for part in box) for box in ndimage.find_objects(numbered)]


def region_around(middle: tuple[int, ...], shape: tuple[int, ...], patch_size: tuple[int, ...]) -> Region:
    """Centre a region of the patch size on a place, moved into the image at its borders; the whole of an axis that is shorter."""
    starts = [min(max(at - patch // 2, 0), max(size - patch, 0)) for at, patch, size in zip(middle, patch_size, shape, strict=True)]
    return tuple(slice(start, min(start + patch, size)) for start, patch, size in zip(starts, patch_size, shape, strict=True))
