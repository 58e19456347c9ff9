"""What there is to train on: pairs of opened images with the statistics that normalize them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from im2im.axes import Region
from im2im.data.shortcuts import Shortcuts
from im2im.data.side import Side
from im2im.data.synthetic import WRITTEN, SyntheticCells, write_folder
from im2im.io.image import Image
from im2im.io.pairing import Pair, as_test, keep_splits, split
from im2im.normalization import Fitted


@dataclass(frozen=True)
class Entry:
    """One time point of one pair, opened, with its normalization.

    Args:
        name: Of the image, unique within the data.
        source: Opened source image.
        target: Opened target image of the same spatial shape.
        cost_map: Opened cost map, 0 where pixels are excluded.
        time: Index of the time point within the images.
        source_scale: Normalization of the source, fitted on this time point.
        target_scale: Normalization of the target, likewise.
        matched: Whether source and target show the same; where not, they may differ in size.
        paired: Whether the data as a whole are pairs; of unpaired data some images may be matched all the same.
    """

    name: str
    source: Image
    target: Image
    cost_map: Image | None = None
    time: int = 0
    source_scale: Fitted | None = None
    target_scale: Fitted | None = None
    matched: bool = True
    paired: bool = True


class Images(Protocol):
    """Where pairs come from: files on disk, or the built-in simulation.

    Attributes:
        shortcuts: Spare a second look into images that were read before.
    """

    shortcuts: Shortcuts

    def pairs(self, evaluating: bool = False) -> list[Pair]:
        """List all pairs, each with its split; when evaluating, data without a test split are all test."""
        ...

    def draws_validation(self) -> bool:
        """Tell whether images for validation are drawn from those for training."""
        ...

    def open(self, pair: Pair, source: Side, target: Side) -> Iterator[Entry]:
        """Open one pair as one entry per scene and time point."""
        ...


class Layout(Protocol):
    """How images lie on disk."""

    def __call__(self) -> list[Pair]:
        """List the pairs."""
        ...


@dataclass(frozen=True)
class Files:
    """Pairs of files.

    Args:
        layout: Lists the pairs on disk.
        fractions: Share of "val" and "test" where the data do not come split.
        seed: Of the split.
        splits: A ``splits.csv`` whose assignment is kept instead of drawing one; images that it does not list are left out.
        exclusion: The files given as cost maps say the opposite: pixels that are not 0 are excluded.
        shortcuts: Spare a second look into images that were read before.
    """

    layout: Layout
    fractions: dict[str, float] = field(default_factory=lambda: {"val": 0.1, "test": 0.2})
    seed: int = 0
    splits: str | None = None
    exclusion: bool = False
    shortcuts: Shortcuts = field(default_factory=Shortcuts)

    def pairs(self, evaluating: bool = False) -> list[Pair]:
        """List all pairs, each with its split."""
        pairs = self.layout()
        if evaluating:
            return as_test(pairs)
        return split(pairs, self.seed, self.fractions) if self.splits is None else keep_splits(pairs, self.splits)

    def draws_validation(self) -> bool:
        """Tell whether images for validation are drawn from those for training."""
        return all(pair.split != "val" for pair in (self.layout() if self.splits is None else self.pairs()))

    def open(self, pair: Pair, source: Side, target: Side) -> Iterator[Entry]:
        """Open the files of one pair, see :func:`open_pair`."""
        return open_pair(pair, self.shortcuts.side(source), self.shortcuts.side(target), self.exclusion)


@dataclass(frozen=True)
class Synthetic:
    """Simulated cells, made in memory when they are asked for.

    Args:
        cells: The simulation.
        counts: How many images each split has: "train", "val", "test".
        source: Which of a cell's images is the source, such as "source" (transmitted light).
        target: What is predicted from it, such as "target" (fluorescence), "mask" or "instances".
        folder: Where to write them as files too, for data=folders or for looking at; nothing else may be in it.
        root: Not taken: simulated cells come from no folder.
        unpaired: Let training draw another cell's image as the target, as of data that are no pairs.
        shortcuts: None.
    """

    cells: SyntheticCells
    counts: dict[str, int]
    source: str = "source"
    target: str = "target"
    folder: str | None = None
    root: str | None = None
    unpaired: bool = False
    shortcuts: Shortcuts = field(default_factory=Shortcuts)

    def __post_init__(self) -> None:
        """Refuse a folder that would silently not be read."""
        if self.root is not None:
            raise ValueError(f"data=synthetic takes no data.root, got {self.root}; add data=folders")

    def pairs(self, evaluating: bool = False) -> list[Pair]:
        """List the images of every split; all differ."""
        if self.folder is not None:
            write_folder(self.cells, Path(self.folder), self.counts, tuple(dict.fromkeys((*WRITTEN, self.source, self.target))))
        splits = [name for name, count in self.counts.items() for _ in range(count)]
        names = [f"cells_{index:03d}" for index in range(len(splits))]
        return [
            Pair(name, Path(f"{name}.tif"), Path(f"{name}.tif"), split=part, matched=not (self.unpaired and part == "train"))
            for name, part in zip(names, splits, strict=True)
        ]

    def draws_validation(self) -> bool:
        """Tell whether images for validation are drawn from those for training; simulated ones are counted."""
        return False

    def open(self, pair: Pair, source: Side, target: Side) -> Iterator[Entry]:
        """Simulate one pair."""
        roles = (self.source, self.target)
        sample = self.cells(int(pair.name.removeprefix("cells_")), roles)
        axes = "ZYX"[-self.cells.spatial_dims :]
        images = [
            Image.from_array(image, axes if image.ndim == len(axes) else f"C{axes}", f"{pair.name}.tif", self.cells.pixel_size)
            for image in (sample[role] for role in roles)
        ]
        yield Entry(pair.name, images[0], images[1], matched=pair.matched, paired=not self.unpaired)


def open_pair(pair: Pair, source: Side, target: Side, exclusion: bool = False) -> Iterator[Entry]:
    """Open the files of one pair as one entry per scene and time point.

    Args:
        pair: Of source and target that show the same.
        source: How sources are opened.
        target: How targets and cost maps are opened.
        exclusion: Pixels of cost maps that are not 0 are the excluded ones.

    Raises:
        ValueError: If source and target differ in scenes, time points or spatial shape.
    """
    if pair.target is None:
        raise ValueError(f"{pair.source} has no target; add one of the same name to target/ in data.root")
    sources = source.open(pair.source, pair.scene, pair.channel)
    targets = target.open(pair.target, pair.scene)
    if len(sources) != len(targets):
        raise ValueError(f"{pair.source} has {len(sources)} scenes and {pair.target} {len(targets)}; choose with data.scenes")
    cost_maps = _cost_maps(pair, target, sources, exclusion)
    several = len(sources) > 1 or sources[0].shape[0] > 1
    for scene, (left, right, cost_map) in enumerate(zip(sources, targets, cost_maps, strict=True)):
        _check_shapes(left, right)
        for time in range(left.shape[0]):
            name = f"{pair.name}_scene{scene}_t{time}" if several else pair.name
            yield Entry(name, left, right, cost_map, time)


def _cost_maps(pair: Pair, target: Side, sources: list[Image], exclusion: bool) -> Sequence[Image | None]:
    """Open the cost maps of a pair, one per scene; they have one channel whatever the target has."""
    if pair.cost_map is None:
        return [None] * len(sources)
    opened = replace(target, selection=replace(target.selection, channels=None)).open(pair.cost_map, pair.scene)
    for left, cost_map in zip(sources, opened, strict=False):
        _check_shapes(left, cost_map)
    if len(opened) != len(sources):
        raise ValueError(f"{pair.cost_map} has {len(opened)} scenes, {pair.source} has {len(sources)}; choose with data.scenes")
    if not exclusion:
        return opened
    return [replace(one, load=Included(one.load), dtype=np.dtype(np.uint8), part=f"{one.part} reversed") for one in opened]


@dataclass(frozen=True)
class Included:
    """Reads an exclusion mask as a cost map: 0 where the mask is not 0, else 1.

    Args:
        load: Reads a region of the mask.
    """

    load: Callable[[Region], np.ndarray]

    def __call__(self, region: Region) -> np.ndarray:
        """Region (TCZYX) → TCZYX, uint8."""
        return (self.load(region) == 0).astype(np.uint8)


def _check_shapes(source: Image, other: Image) -> None:
    """Raise unless two images cover the same time points, planes and pixels."""
    here, there = (image.shape[:1] + image.shape[2:] for image in (source, other))
    if here != there:
        raise ValueError(
            f"shapes differ: {source.path} is {here} and {other.path} is {there} (TZYX); "
            "correct the pairing in data.root, or choose with data.planes and data.times"
        )
