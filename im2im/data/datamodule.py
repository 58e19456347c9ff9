"""Images as batches of patches for training and as whole images for evaluation."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import DataLoader, default_collate

from im2im.data.augment import Augmentation
from im2im.data.block import Block
from im2im.data.channels import check_alike, check_wanted
from im2im.data.dataset import Cutter, EpochSampler, TrainingPatches, ValidationPatches
from im2im.data.fitting import fitted
from im2im.data.index import Entry, Images
from im2im.data.keeping import Keeping, gigabytes
from im2im.data.known import EVERY
from im2im.data.loader import loader
from im2im.data.patches import Sampling
from im2im.data.side import Side
from im2im.data.voxels import check_ratios
from im2im.hardware import check_workers, choose_workers, usable_cores
from im2im.io.pair import SPLITS
from im2im.io.pairing import Pair, write_splits
from im2im.normalization import Affine, typical
from im2im.parallel import processes, rank

log = logging.getLogger(__name__)


class ImageData(pl.LightningDataModule):
    """Pairs of source and target images. Nothing on disk is touched before it is needed.

    Args:
        images: Lists and opens the pairs.
        source: How sources are opened and normalized.
        target: How targets are opened and normalized.
        sampling: Size and number of patches.
        augmentation: Changes training patches at random.
        seed: Of patches and their order.
        workers: Processes that prepare patches; "auto" chooses by where the images are and by the cores of the machine.
        memory: GB of images that may be kept in memory; a split is kept as a whole, or read patch by patch.

    Raises:
        ValueError: If the patches have another number of axes than the images.
    """

    def __init__(
        self,
        images: Images,
        source: Side,
        target: Side,
        sampling: Sampling,
        augmentation: Augmentation,
        seed: int,
        workers: int | str,
        memory: float,
    ) -> None:
        super().__init__()
        self.images, self.source, self.target, self.sampling = images, source, target, sampling
        self.augmentation, self.seed, self.workers, self.memory = augmentation, seed, workers, memory
        if len(sampling.patch_size) != target.spatial_dims:
            raise ValueError(
                f"patch_size has {len(sampling.patch_size)} lengths but spatial_dims={target.spatial_dims}, got {sampling.patch_size}; "
                f"set patch_size={'[128,128]' if target.spatial_dims == 2 else '[16,64,64]'}"
            )
        check_workers(workers)
        self.evaluating = False
        self.drop_last = False  # whether an epoch leaves out a last batch that is smaller than the others
        self.beside = 1  # processes that train together on this machine
        self._wanted: dict[str, int | None] = {}  # channels by role
        self._entries: dict[str, list[Entry]] = {}
        self._kept: dict[str, bool] = {}  # in memory, by split
        self._memory_left = memory
        self._block = Block(sampling.validation_block, sampling.patch_size)

    @cached_property
    def pairs(self) -> list[Pair]:
        """All pairs with their splits; the block of a training image that serves validation is a pair of its own."""
        pairs = self.images.pairs(self.evaluating)
        several = self.sampling.divide_each and not self.evaluating and self.images.draws_validation()
        divide = self._block.hold_out_of_each if several else self._block.hold_out
        return divide(pairs, lambda pair: self.images.open(pair, self.source, self.target))

    def entries(self, split: str) -> list[Entry]:
        """Open the images of a split and fit their normalization; done once.

        Raises:
            ValueError: If the split is empty, or images do not fit together.
        """
        if split not in self._entries:
            opened = [entry for pair in self.pairs if pair.split == split for entry in self.open(pair)]
            for entry in opened:
                check_wanted(entry, self._wanted)
                check_alike(entry, opened[0])
            if split == "val" and any(pair.part for pair in self.pairs):  # both parts of an image are normalized alike
                rest = {entry.name: entry for entry in self.entries("train")}
                opened = [replace(rest[one.name], source=one.source, target=one.target, cost_map=one.cost_map) for one in opened]
            if split == "train":
                check_ratios([entry.source for entry in opened], self.source.spatial_dims)
            keep = gigabytes(opened) <= self._memory_left and not (split == "train" and self._partial)
            self._memory_left -= gigabytes(opened) if keep else 0
            self._kept[split] = keep
            self._entries[split] = fitted(opened, self.source, self.target, keep, self._readers, self.images.shortcuts.store)
        return self._entries[split]

    def open(self, pair: Pair) -> Iterator[Entry]:
        """Open a pair, or its part, and let what was found out about its files be written down now and then."""
        for entry in self.images.open(pair, self.source, self.target):
            yield self._block.cut(entry, pair.split) if pair.part else entry
        self.images.shortcuts.store.write(EVERY)

    def require_channels(self, in_channels: int, target_channels: int | None = None) -> None:
        """Say what a trained network takes and was trained on, so that images of other channels are refused when they are opened.

        Args:
            in_channels: Channels of its sources.
            target_channels: Channels of its targets; None where that is not known.

        Raises:
            ValueError: If an image that is already open has other channels.
        """
        self._wanted = {"source": in_channels, "target": target_channels}
        for entries in self._entries.values():
            for entry in entries:
                check_wanted(entry, self._wanted)

    def channels(self) -> tuple[int, int]:
        """Look at the first pair that can be opened for the number of source and target channels."""
        return self._first.source.shape[1], self._first.target.shape[1]

    def voxel_size(self) -> list[float]:
        """Look at the same pair for the size of its voxels, (Z)YX in micrometre; all 1 where the file does not say each of them."""
        lengths = self._first.source.pixel_size[-self.source.spatial_dims :]
        if all(lengths):
            return [float(length) for length in lengths if length]
        if any(lengths):
            axes = ",".join("zyx"[-len(lengths) :])
            log.warning("%s says only part of its voxel size, %s: taken as 1; set voxel_size=[%s]", self._first.source.path, lengths, axes)
        return [1.0] * len(lengths)

    @cached_property
    def _first(self) -> Entry:
        """The first pair that can be opened."""
        failed: list[Exception] = []
        for pair in self.pairs:
            try:
                return next(self.images.open(pair, self.source, self.target))
            except (OSError, ValueError) as error:
                failed.append(error)
        raise failed[0]

    def scale(self, side: str) -> dict[str, Any] | None:
        """Give the typical normalization of one side's training images, in plain containers; None where it is no linear scale."""
        scales = [getattr(entry, f"{side}_scale") for entry in self.entries("train")]
        return typical(scales).to_dict() if all(isinstance(scale, Affine) for scale in scales) else None

    @property
    def paired(self) -> bool:
        """Whether training images are pairs."""
        return all(pair.matched for pair in self.pairs if pair.split == "train")

    def side(self, name: str) -> Side:
        """Give the side of that name, "source" or "target"."""
        return {"source": self.source, "target": self.target}[name]

    @property
    def cutter(self) -> Cutter:
        """Cuts patches out of entries."""
        return self._cutter([])

    def _cutter(self, entries: list[Entry]) -> Cutter:
        """Cut with cost maps where there are any, or where labels are filled up to a patch with what must not be learnt."""
        given = any(pair.cost_map is not None for pair in self.pairs)
        filled = self.target.labels and any(self._smaller(entry) for entry in entries)
        return Cutter(self.source, self.target, self.sampling.patch_size, with_cost_map=given or filled)

    def _smaller(self, entry: Entry) -> bool:
        """Tell whether a patch does not fit into the target."""
        shape = self.target.spatial_shape(entry.target)
        return any(pixels < patch for pixels, patch in zip(shape, self.sampling.patch_size, strict=True))

    def training_patches(self, entries: list[Entry]) -> TrainingPatches:
        """Give random, augmented patches of entries."""
        if self._partial:
            self.entries("val")  # takes its share of the memory first
        cutter, keeping = self._cutter(entries), Keeping(self._memory_left / max(self._readers, 1)) if self._partial else None
        plan = self.sampling.places(entries, self.target, self.sampling, self.images.shortcuts.store)
        by_area = None if self.sampling.steps_per_epoch is None else self.sampling.fraction_per_epoch
        return TrainingPatches(entries, cutter, plan, self.augmentation, self.seed, keeping, by_area)

    @property
    def _partial(self) -> bool:
        """Whether an epoch takes a part of the training images only."""
        return self.sampling.fraction_per_epoch < 1

    def batch(self, entries: list[Entry], size: int | None = None) -> dict[str, Any]:
        """Give one batch of training patches, of the configured size unless another is asked for."""
        patches = self.training_patches(entries)
        order = np.random.default_rng(0).permutation(len(patches))
        return default_collate([patches[(0, int(order[index % len(order)]))] for index in range(size or self.sampling.batch_size)])

    def batch_shape(self, in_channels: int) -> tuple[int, ...]:
        """Give the shape BC(Z)YX of a batch of sources."""
        return (self.sampling.batch_size, in_channels, *self.sampling.patch_size)

    @property
    def _readers(self) -> int:
        """Number of threads or processes that read images which are not in memory."""
        return choose_workers(self.workers, False, usable_cores() // self.beside)[0]

    def loaders(self, split: str) -> tuple[int, str]:
        """Give the number of processes that prepare patches of a split, and why."""
        self.entries(split)
        return choose_workers(self.workers, self._kept[split], usable_cores() // self.beside)

    def train_dataloader(self) -> DataLoader:
        """Give batches of random patches."""
        entries = self.entries("train")
        if not entries:
            raise ValueError("no training image; give data.root at least one pair for training, or lower data.fractions")
        patches = self.training_patches(entries)
        sampler = EpochSampler(len(patches), self.seed, rank(), processes())
        return loader(patches, sampler, self.sampling.batch_size, self.loaders("train")[0], self.drop_last)

    def val_dataloader(self) -> DataLoader:
        """Give batches of the same patches every time; of training images when there are too few to hold one out."""
        split = "val" if self.entries("val") else "train"
        if split == "train":
            log.warning("too few images to hold one out: validation looks at training images, so its figures say nothing about new ones")
        entries = self.entries(split)
        patches = ValidationPatches(entries, self._cutter(entries), self.sampling)
        enough = len(patches) >= processes()  # else each process looks at all of them, which gives the same means
        sampler = range(rank(), len(patches), processes()) if enough else range(len(patches))
        return loader(patches, sampler, self.sampling.batch_size, self.loaders(split)[0])

    def write_splits(self, folder: Path) -> None:
        """Write which file serves which stage to splits.csv, and say how many."""
        counts = Counter(str(pair.split) for pair in self.pairs)
        log.info("images: %s", ", ".join(f"{counts[name]} {name}" for name in SPLITS if counts[name]))
        if blocks := dict.fromkeys(f"{pair.part} of {pair.name}" for pair in self.pairs if pair.part and pair.split == "val"):
            log.info("validation looks at %s, which training never sees", ", ".join(blocks))
        write_splits(self.pairs, folder / "splits.csv")
