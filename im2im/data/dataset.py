"""Patches of entries as samples: read only the patch, normalize, augment."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from torch.utils.data import Dataset, Sampler

from im2im.data.augment import Augmentation
from im2im.data.epochs import ByArea, shuffled
from im2im.data.index import Entry
from im2im.data.keeping import Keeping
from im2im.data.patches import Plan, Region, Sampling, fill_up, grid_regions, random_region
from im2im.data.side import Side

Sample = dict[str, Any]


class Cutter:
    """Cuts and normalizes one region of an entry.

    Args:
        source: How sources are read.
        target: How targets are read.
        patch_size: Every sample has this size, (Z)YX; smaller images are mirrored at their end, labels are filled up with background.
        with_cost_map: Every sample gets a cost map, ones where the entry has none.
    """

    def __init__(self, source: Side, target: Side, patch_size: tuple[int, ...], with_cost_map: bool) -> None:
        self.source, self.target, self.patch_size, self.with_cost_map = source, target, patch_size, with_cost_map

    def __call__(self, entry: Entry, region: Region, target_region: Region | None = None) -> dict[str, np.ndarray]:
        """Give "source", "target" and, where used, "cost_map" as C(Z)YX float32; the target's region is the source's unless given."""
        source, target = self.normalized(entry, region, target_region)
        target = fill_up(target, self.patch_size, mode="constant" if self.target.labels else "symmetric")
        sample = {"source": fill_up(source, self.patch_size), "target": target}
        if self.with_cost_map:
            sample["cost_map"] = fill_up(self.cost_map(entry, target_region or region), self.patch_size, mode="constant")
        return sample

    def normalized(self, entry: Entry, region: Region | None = None, target_region: Region | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Give source and target of a whole entry, or of a region, C(Z)YX float32, by the statistics of the whole."""
        if entry.source_scale is None or entry.target_scale is None:
            raise ValueError(f"{entry.name} has no statistics yet; fit the normalization first")
        source = entry.source_scale.apply(self.source.array(entry.source, region, entry.time))
        return source, entry.target_scale.apply(self.target.array(entry.target, target_region or region, entry.time))

    def cost_map(self, entry: Entry, region: Region | None = None) -> np.ndarray:
        """Read the cost map as 1(Z)YX float32; ones where the entry has none."""
        if entry.cost_map is not None:
            return self.target.array(entry.cost_map, region, entry.time)[:1].astype(np.float32)
        shape = self.source.spatial_shape(entry.source)
        sizes = shape if region is None else [part.stop - part.start for part in region]
        return np.ones((1, *sizes), np.float32)

    def given_cost_map(self, entry: Entry, region: Region | None = None) -> np.ndarray | None:
        """Read the cost map that an entry was given, likewise; None where it has none."""
        return self.cost_map(entry, region) if entry.cost_map is not None else None


def facts(entry: Entry) -> Sample:
    """Give what a sample says beside its images: "name", and of unpaired data whether source and target are "matched"."""
    return {"name": entry.name} if entry.paired else {"name": entry.name, "matched": entry.matched}


class TrainingPatches(Dataset):
    """Random patches, drawn anew each epoch; patch ``(epoch, index)`` is the same on every machine and worker.

    Where source and target are not matched, each round through the images gives every source another target, and goes on where
    the last one stopped in the shorter list of the two, so that in the end all its images were seen equally often; region and
    augmentation of the two have nothing to do with each other. With ``by_area`` both are drawn in proportion to their area instead.

    Args:
        entries: The images.
        cutter: Cuts patches.
        plan: Where they lie.
        augmentation: Changes them.
        seed: Of all that is random.
        keeping: Reads entries into memory for the epoch in which they are used; None reads patch by patch.
        by_area: Share of the unmatched images that an epoch draws from in proportion to their area; None takes all in turn.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        cutter: Cutter,
        plan: Plan,
        augmentation: Augmentation,
        seed: int,
        keeping: Keeping | None = None,
        by_area: float | None = None,
    ) -> None:
        self.entries, self.cutter, self.plan = entries, cutter, plan
        self.augmentation, self.seed, self.keeping, self.by_area = augmentation, seed, keeping, by_area

    def __len__(self) -> int:
        """Count the patches of one epoch."""
        return len(self.plan)

    def __getitem__(self, place: tuple[int, int]) -> Sample:
        """Draw patch ``index`` of ``epoch``."""
        epoch, index = place
        rng = np.random.default_rng([self.seed, epoch, index])
        entry, region = self.plan(epoch, index, rng)
        entry = entry if entry.matched else self._side_by_side(epoch, index)
        if self.keeping is not None:
            entry = self.keeping(epoch, entry)
        if not entry.matched:
            return self._unmatched(entry, rng)
        return {**self.augmentation(self.cutter(entry, region), int(rng.integers(2**31))), **facts(entry)}

    def _side_by_side(self, epoch: int, index: int) -> Entry:
        """Put a source and a target beside each other."""
        sources, targets = self._lists
        left, right = self._in_turn(epoch, index) if self.by_area is None else self._by_area(epoch, index)
        entry, partner = sources[left % len(sources)], targets[right % len(targets)]
        name = f"{entry.source.path.name} with {partner.target.path.name}"
        return replace(entry, name=name, target=partner.target, target_scale=partner.target_scale)

    def _in_turn(self, epoch: int, index: int) -> tuple[int, int]:
        """Number source and target: every round through the entries has each image at least once."""
        count = len(self.entries)
        number, place = divmod(epoch * len(self) + index, count)
        before = number * count  # patches of all earlier rounds
        return before + place, before + int(shuffled(count, self.seed, number, 1)[place])

    def _by_area(self, epoch: int, index: int) -> tuple[int, int]:
        """Number source and target by their areas, in orders that have nothing to do with each other."""
        of_sources, of_targets = self._areas
        return of_sources(epoch, index), of_targets(epoch, int(shuffled(len(self), self.seed, epoch, 1)[index]))

    @cached_property
    def _areas(self) -> tuple[ByArea, ByArea]:
        sources, targets = self._lists
        areas = (
            [math.prod(self.cutter.source.spatial_shape(entry.source)) for entry in sources],
            [math.prod(self.cutter.target.spatial_shape(entry.target)) for entry in targets],
        )
        left, right = (ByArea(of_role, len(self), self.by_area or 1.0) for of_role in areas)
        return left, right

    @cached_property
    def _lists(self) -> tuple[list[Entry], list[Entry]]:
        """One entry for each source, and one for each target, in their order."""
        sources, targets = ({id(getattr(entry, role)): entry for entry in reversed(self.entries)} for role in ("source", "target"))
        return [*reversed(sources.values())], [*reversed(targets.values())]

    def _unmatched(self, entry: Entry, rng: np.random.Generator) -> Sample:
        """Cut and change source and target independently."""
        shapes = self.cutter.source.spatial_shape(entry.source), self.cutter.target.spatial_shape(entry.target)
        sample = self.cutter(entry, *(random_region(shape, self.cutter.patch_size, rng) for shape in shapes))
        of_source, of_target = (self.augmentation(sample, int(rng.integers(2**31))) for _ in range(2))
        return {**of_target, "source": of_source["source"], **facts(entry)}


class ValidationPatches(Dataset):
    """The same patches every time, evenly spread over each image, and over all images where their number is limited; never augmented."""

    def __init__(self, entries: Sequence[Entry], cutter: Cutter, sampling: Sampling) -> None:
        self.cutter = cutter
        places = [(entry, *regions) for entry in entries for regions in self._regions(entry, sampling)]
        limit = min(sampling.validation_limit or len(places), len(places))
        self.places = [places[(2 * number + 1) * len(places) // (2 * limit)] for number in range(limit)]  # the middles of equal parts

    def _regions(self, entry: Entry, sampling: Sampling) -> list[tuple[Region, Region]]:
        """Spread patches over source and target, over each by its own size where they are not matched."""
        shapes = self.cutter.source.spatial_shape(entry.source), self.cutter.target.spatial_shape(entry.target)
        of_source, of_target = (grid_regions(shape, sampling.patch_size, sampling.validation_patches) for shape in shapes)
        count = max(len(of_source), len(of_target))
        return [(of_source[index % len(of_source)], of_target[index % len(of_target)]) for index in range(count)]

    def __len__(self) -> int:
        """Count the patches."""
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        """Give one patch."""
        entry, region, target_region = self.places[index]
        return {**self.cutter(entry, region, target_region), **facts(entry)}


class EpochSampler(Sampler[tuple[int, int]]):
    """Orders the patches of an epoch at random and tells each its epoch, so that a resumed training sees what it would have seen.

    Processes take turns: together their batches are those of one process with larger batches. Each has the same number of patches,
    for which some of the epoch's first are seen twice where they do not share out evenly.

    Args:
        length: Patches of one epoch.
        seed: Of their order.
        rank: Number of this process.
        processes: How many share an epoch.
    """

    def __init__(self, length: int, seed: int, rank: int = 0, processes: int = 1) -> None:
        self.length, self.seed, self.rank, self.processes, self.epoch = length, seed, rank, processes, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that comes next; the trainer calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Count this process's patches of one epoch."""
        return (self.length + self.processes - 1) // self.processes

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Give ``(epoch, index)`` in this epoch's order."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        shared = np.resize(order, len(self) * self.processes)[self.rank :: self.processes]
        return iter([(self.epoch, int(index)) for index in shared])
