"""Where patches lie within an image, and how an image that is smaller than a patch is filled up."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from im2im.data.epochs import ByArea, in_turn
from im2im.data.foreground import Density, densities
from im2im.data.index import Entry
from im2im.data.side import Side
from im2im.io.store import Store
from im2im.parallel import processes

Region = tuple[slice, ...]

READERS = 2  # threads that look at images


class Plan(Protocol):
    """Where the training patches of an epoch lie."""

    def __len__(self) -> int:
        """Count the patches of one epoch."""
        ...

    def __call__(self, epoch: int, index: int, rng: np.random.Generator) -> tuple[Entry, Region]:
        """Give the entry of one patch, and the (Z)YX region of its source."""
        ...


class Places(Protocol):
    """Chooses where training patches lie."""

    def __call__(self, entries: Sequence[Entry], target: Side, sampling: "Sampling", store: Store) -> Plan:
        """Plan all epochs; what has to be read for that is read once, and the store remembers what was found."""
        ...


@dataclass(frozen=True)
class Anywhere:
    """Random patches, as many from each image, some of them where there is foreground; none of them is excluded as a whole."""

    def __call__(self, entries: Sequence[Entry], target: Side, sampling: "Sampling", store: Store) -> Plan:
        """Plan all epochs.

        Raises:
            ValueError: If foreground is wanted of targets that do not match their source.
        """
        if sampling.foreground and any(not entry.matched for entry in entries):
            raise ValueError(f"only pairs have foreground, got data.foreground={sampling.foreground} for unpaired images; set it to 0")

        def look(entry: Entry) -> tuple[Density, Density] | None:
            weighed = entry.matched and (sampling.foreground or entry.cost_map is not None)
            return densities(entry, target, sampling.patch_size, store, sampling.ignore_index) if weighed else None

        with ThreadPoolExecutor(READERS) as pool:
            maps = list(pool.map(look, entries))
        store.write()
        return RandomPlan(entries, sampling, maps)


class RandomPlan:
    """Takes the images in turn, all of them or some in each epoch, and a random region of each.

    Where an epoch has a fixed number of steps, the images are drawn in proportion to their area instead.

    Args:
        entries: The images.
        sampling: How many patches of what size.
        maps: Where foreground and included pixels are, for each of the entries; None for those that are drawn from evenly.
    """

    def __init__(self, entries: Sequence[Entry], sampling: "Sampling", maps: Sequence[tuple[Density, Density] | None]) -> None:
        self.entries, self.sampling, self.maps = entries, sampling, maps
        self.per_epoch = math.ceil(sampling.fraction_per_epoch * len(entries))
        count, areas = sampling.patches_of_steps(), [self._area(entry, found) for entry, found in zip(entries, maps, strict=True)]
        self.by_area = ByArea(areas, count, sampling.fraction_per_epoch) if count else None

    def __len__(self) -> int:
        """Count the patches of one epoch."""
        return self.per_epoch * self.sampling.patches_per_image if self.by_area is None else self.by_area.patches

    def __call__(self, epoch: int, index: int, rng: np.random.Generator) -> tuple[Entry, Region]:
        """Draw a region of one entry."""
        number = self._number(epoch, index) if self.by_area is None else self.by_area(epoch, index)
        entry, found = self.entries[number], self.maps[number]
        shape = entry.source.shape[5 - len(self.sampling.patch_size) :]
        if found is not None:
            foreground, included = found
            density = foreground if foreground and rng.random() < self.sampling.foreground else included
            if density:
                return entry, density.draw(shape, self.sampling.patch_size, rng)
        return entry, random_region(shape, self.sampling.patch_size, rng)

    def _number(self, epoch: int, index: int) -> int:
        """Number the entries in turn; of a fraction each epoch has others, in ever another order, until all were seen."""
        count = len(self.entries)
        if self.per_epoch == count:
            return index % count
        return in_turn(count, epoch * self.per_epoch + index % self.per_epoch)

    def _area(self, entry: Entry, found: tuple[Density, Density] | None) -> float:
        """Count the pixels of an image that are not excluded."""
        pixels = math.prod(entry.source.shape[5 - len(self.sampling.patch_size) :])
        return pixels if found is None else pixels * float(found[1].shares.mean())


@dataclass(frozen=True)
class Sampling:
    """How many patches of what size.

    Args:
        patch_size: Pixels, (Z)YX.
        batch_size: Patches in a batch.
        patches_per_image: Random patches of each training image and epoch.
        validation_patches: Patches of each validation image, the same ones each time.
        places: Chooses where training patches lie.
        fraction_per_epoch: Share of the training images that an epoch takes, others in each until all were seen.
        foreground: Share of the patches that are drawn where the target has labels, each of them as often, or is bright.
        steps_per_epoch: Batches of an epoch, the same in every process; images are then drawn in proportion to their area. None: an epoch
            has ``patches_per_image`` of each image.
        validation_limit: Patches of one validation at most, spread evenly over its images; None for no limit.
        validation_block: Share of a single training image that is held out for validation; 0 holds none out.
        divide_each: Hold out such a block of each training image that is large enough, rather than whole images.
        ignore_index: The label of pixels that take part in nothing.
    """

    patch_size: tuple[int, ...]
    batch_size: int
    patches_per_image: int = 4
    validation_patches: int = 4
    places: Places = Anywhere()
    fraction_per_epoch: float = 1.0
    foreground: float = 0.0
    steps_per_epoch: int | None = None
    validation_limit: int | None = None
    validation_block: float = 0.0
    divide_each: bool = False
    ignore_index: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no size, and numbers below one."""
        if not isinstance(self.patch_size, Sequence) or not all(isinstance(pixels, int) for pixels in self.patch_size):
            raise ValueError(f"patch_size has a whole number for each axis, got {self.patch_size}; set patch_size=[128,128]")
        object.__setattr__(self, "patch_size", tuple(self.patch_size))
        for key in ("batch_size", "patches_per_image", "validation_patches", "steps_per_epoch", "validation_limit"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise ValueError(f"{key} must be at least 1, got {getattr(self, key)}; set {key}=1 or more")
        if not 0 < self.fraction_per_epoch <= 1:
            raise ValueError(f"an epoch takes a part of the images, got data.fraction_per_epoch={self.fraction_per_epoch}; set it to 1")
        if not 0 <= self.foreground <= 1:
            raise ValueError(f"data.foreground is a share of the patches from 0 to 1, got {self.foreground}; set data.foreground=0.5")
        if not 0 <= self.validation_block <= 0.5:
            raise ValueError(f"a block is at most half of an image, got data.validation_block={self.validation_block}; set it to 0.2")
        if min(self.patch_size, default=0) < 1:
            raise ValueError(f"patch_size must be positive, got {self.patch_size}; set patch_size=[128,128]")

    def patches_of_steps(self) -> int | None:
        """Count the patches of an epoch in all processes together, as ``steps_per_epoch`` says; None where it does not."""
        return None if self.steps_per_epoch is None else self.steps_per_epoch * self.batch_size * processes()


def random_region(shape: tuple[int, ...], patch_size: tuple[int, ...], rng: np.random.Generator) -> Region:
    """Draw a region of the patch size, or the whole of an axis that is shorter."""
    starts = [int(rng.integers(max(size - patch, 0) + 1)) for size, patch in zip(shape, patch_size, strict=True)]
    return tuple(slice(start, min(start + patch, size)) for start, patch, size in zip(starts, patch_size, shape, strict=True))


def middle_region(shape: tuple[int, ...], pixels: float) -> Region:
    """Halve the longest axis around its middle until at most so many pixels are left."""
    sizes = list(shape)
    while math.prod(sizes) > max(pixels, 1):
        longest = sizes.index(max(sizes))
        sizes[longest] = -(-sizes[longest] // 2)
    return tuple(slice((size - kept) // 2, (size - kept) // 2 + kept) for size, kept in zip(shape, sizes, strict=True))


def grid_regions(shape: tuple[int, ...], patch_size: tuple[int, ...], limit: int) -> list[Region]:
    """Cover an image evenly with patches and choose at most ``limit`` of them, evenly too; always the same ones."""
    counts = [-(-size // patch) for size, patch in zip(shape, patch_size, strict=True)]
    places = np.unravel_index(np.linspace(0, np.prod(counts) - 1, min(limit, int(np.prod(counts)))).round().astype(int), counts)
    regions = []
    for place in zip(*places, strict=True):
        starts = [
            round((size - patch) * int(index) / max(count - 1, 1)) if size > patch else 0
            for index, count, size, patch in zip(place, counts, shape, patch_size, strict=True)
        ]
        regions.append(tuple(slice(start, min(start + patch, size)) for start, patch, size in zip(starts, patch_size, shape, strict=True)))
    return regions


def fill_up(patch: np.ndarray, patch_size: tuple[int, ...], mode: str = "symmetric") -> np.ndarray:
    """Mirror a C(Z)YX array at its end until it has the patch size.

    Args:
        patch: Array of at most the patch size along each spatial axis.
        patch_size: Wanted size, (Z)YX.
        mode: Of numpy.pad; "constant" fills with zeros.
    """
    missing = [(0, 0), *((0, wanted - size) for size, wanted in zip(patch.shape[1:], patch_size, strict=True))]
    return np.pad(patch, missing, mode=mode) if any(after for _, after in missing) else patch  # type: ignore[call-overload]
