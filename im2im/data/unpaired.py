"""Sources and targets of which nobody knows what belongs together."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from im2im.axes import Region
from im2im.data.index import Entry, open_pair
from im2im.data.shortcuts import Shortcuts
from im2im.data.side import Side
from im2im.io.image import Image
from im2im.io.pair import Pair
from im2im.io.splits import keep_splits
from im2im.io.unpaired import share_out, side_by_side, to_evaluate


@dataclass(frozen=True)
class UnpairedFiles:
    """Files of two kinds. In training none are matched; in validation and test those of one stem are, and are scored.

    Args:
        layout: Lists the sources and the targets.
        fractions: Share of "val" and "test" where the data do not come split; see ``share_out`` for what serves what.
        seed: Of the split.
        splits: A ``splits.csv`` whose assignment is kept instead of drawing one; images that it does not list are left out.
        match: False: one stem means nothing, and nothing is scored.
        shortcuts: Spare a second look into images that were read before.
    """

    layout: Callable[[], tuple[list[Pair], list[Pair]]]
    fractions: dict[str, float] = field(default_factory=lambda: {"val": 0.1, "test": 0.2})
    seed: int = 0
    splits: str | None = None
    match: bool = True
    shortcuts: Shortcuts = field(default_factory=Shortcuts)
    _opened: dict[tuple[str, Path], list[Image]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def pairs(self, evaluating: bool = False) -> list[Pair]:
        """Put sources and targets side by side, each with its split; every file is there at least once.

        When evaluating, what matches is test, or everything where nothing matches.
        """
        sources, targets = self.layout()
        if evaluating:
            return to_evaluate(sources, targets, self.match)
        if self.splits is None:
            return side_by_side(*share_out(sources, targets, self.seed, self.fractions, self.match), self.match)
        kept = keep_splits([*sources, *targets], self.splits, ("source", "target"))
        split = {file.source: file.split for file in kept}
        sources, targets = ([replace(one, split=split[one.source]) for one in role if one.source in split] for role in (sources, targets))
        return side_by_side(sources, targets, self.match)

    def draws_validation(self) -> bool:
        """Tell whether images for validation are drawn from those for training: those that match are, and are never divided."""
        return False

    def open(self, pair: Pair, source: Side, target: Side) -> Iterator[Entry]:
        """Open one pair; scenes and time points of unmatched files stand beside each other, the fewer ones repeated.

        Raises:
            ValueError: If matched files differ in scenes, time points or spatial shape.
        """
        source, target = self.shortcuts.side(source), self.shortcuts.side(target)
        if pair.matched:
            yield from (replace(entry, paired=False) for entry in open_pair(pair, source, target))
            return
        left, right = self._frames("source", pair.source, source), self._frames("target", Path(str(pair.target)), target)
        count = max(len(left), len(right))
        for index in range(count):
            name = f"{pair.name}_{index}" if count > 1 else pair.name
            yield Entry(name, left[index % len(left)], right[index % len(right)], matched=False, paired=False)

    def _frames(self, role: str, path: Path, side: Side) -> list[Image]:
        """Open every scene and time point of a file on its own; a file in several pairs gives the same images."""
        if (role, path) not in self._opened:
            self._opened[role, path] = [frame(image, time) for image in side.open(path) for time in range(image.shape[0])]
        return self._opened[role, path]


def frame(image: Image, time: int) -> Image:
    """Give one time point of an image, of which nothing is read here."""
    return replace(image, shape=(1, *image.shape[1:]), load=Frame(image.load, time), part=f"{image.part} at {time}")


@dataclass(frozen=True)
class Frame:
    """Reads one time point of a movie.

    Args:
        load: Reads a region of the movie.
        time: Index of the time point.
    """

    load: Callable[[Region], np.ndarray]
    time: int

    def __call__(self, region: Region) -> np.ndarray:
        """Region (TCZYX) → TCZYX."""
        first, *others = region
        return self.load((slice(first.start + self.time, first.stop + self.time), *others))
