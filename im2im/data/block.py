"""Few training images in two parts each: a block at the end for validation, the rest for training."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from im2im.axes import AXES, Region
from im2im.data.index import Entry
from im2im.io.image import Image
from im2im.io.pair import Pair
from im2im.io.splits import group_key

ROLES = ("source", "target", "cost_map")
HALF, THIRD = 1 / 2, 1 / 3  # of the axis of a single image, and of one of several, that a block may take


class Block:
    """Cuts images into a block and the rest, along Y or X, whichever is longer.

    Args:
        fraction: Of the axis that the block takes; it has at least the length of a patch, and at most half of the axis.
        patch_size: Pixels, (Z)YX.
    """

    def __init__(self, fraction: float, patch_size: tuple[int, ...]) -> None:
        self.fraction, self.patch_size = fraction, patch_size
        self._cut: dict[tuple[int, str | None], Image] = {}

    def hold_out(self, pairs: list[Pair], opened: Callable[[Pair], Iterable[Entry]]) -> list[Pair]:
        """Let a block of the training image serve validation, where there is a single one, or one group, and no validation image.

        Args:
            pairs: With their splits.
            opened: Opens a pair as a whole.

        Returns:
            The pairs; with a pair more for each training pair that was divided, none where an image is too small.
        """
        train = [pair for pair in pairs if pair.split == "train"]
        if not self.fraction or not _single(train) or any(pair.split == "val" for pair in pairs):
            return pairs
        return self._divided(pairs, opened, HALF, fewest=len(train)) or pairs

    def hold_out_of_each(self, pairs: list[Pair], opened: Callable[[Pair], Iterable[Entry]]) -> list[Pair]:
        """Let a block of each training image that is large enough serve validation, instead of the whole images that were drawn.

        Args:
            pairs: With their splits.
            opened: Opens a pair as a whole.

        Returns:
            The pairs, of which none serves validation as a whole; as they are where more than half of them are shorter than three blocks.
        """
        whole = [replace(pair, split="train") if pair.split == "val" else pair for pair in pairs]
        count = sum(pair.split == "train" for pair in whole)
        return (self.fraction and self._divided(whole, opened, THIRD, fewest=(count + 1) // 2)) or pairs

    def _divided(self, pairs: Sequence[Pair], opened: Callable[[Pair], Iterable[Entry]], most: float, fewest: int) -> list[Pair] | None:
        """Divide the training images of which a block takes such a share at most; None where fewer images are that large."""
        try:
            entries = {pair: list(opened(pair)) for pair in pairs if pair.split == "train"}
        except (OSError, ValueError):
            return None  # what is wrong is said where the images are used
        large = {pair: found for pair, found in entries.items() if all(self._fits(one, most) for one in found)}
        if len(large) < fewest:
            return None
        rest = {pair: replace(pair, part=self._describe(found, "train")) for pair, found in large.items()}
        blocks = [replace(pair, split="val", part=self._describe(found, "val")) for pair, found in large.items()]
        return [*(rest.get(pair, pair) for pair in pairs), *blocks]

    def cut(self, entry: Entry, split: str | None) -> Entry:
        """Give the part of an entry that serves "train" or "val"; nothing is read."""
        return replace(entry, **{role: self._part(image, split) for role, image in _images(entry).items()})  # type: ignore[arg-type]

    def _part(self, image: Image, split: str | None) -> Image:
        """Cut an image; an image of several entries stays one."""
        key = id(image), split
        if key not in self._cut:
            axis, start, stop = self._bounds(image, split)
            t, c, z, y, x = (stop - start if at == axis else length for at, length in enumerate(image.shape))
            part = f"{image.part} {AXES[axis]} {start}:{stop}"
            self._cut[key] = replace(image, shape=(t, c, z, y, x), load=Shifted(image, axis, start), part=part)
        return self._cut[key]

    def _fits(self, entry: Entry, most: float) -> bool:
        """Tell whether the block takes such a share of the axis at most, in all images of an entry."""
        placed = [(image, *self._place(image)) for image in _images(entry).values()]
        return all(image.shape[axis] - start <= most * image.shape[axis] for image, axis, start in placed)

    def _place(self, image: Image) -> tuple[int, int]:
        """Give the axis of TCZYX that is divided, and where the block begins."""
        axis = 3 if image.shape[3] >= image.shape[4] else 4
        return axis, image.shape[axis] - max(round(self.fraction * image.shape[axis]), self.patch_size[axis - 5])

    def _bounds(self, image: Image, split: str | None) -> tuple[int, int, int]:
        """Give the axis, and from where to where the part reaches."""
        axis, start = self._place(image)
        if 2 * start < image.shape[axis]:
            raise ValueError(f"{image.path} is too small for a block of its own, got {image.shape} (TCZYX); set data.validation_block=0")
        return (axis, start, image.shape[axis]) if split == "val" else (axis, 0, start)

    def _describe(self, entries: Sequence[Entry], split: str) -> str:
        """Name the part of the sources, such as "Y 819:1024"."""
        bounds = [self._bounds(entry.source, split) for entry in entries]
        return ", ".join(dict.fromkeys(f"{AXES[axis]} {start}:{stop}" for axis, start, stop in bounds))


@dataclass(frozen=True)
class Shifted:
    """Reads regions of an image by places that are counted from within it.

    Args:
        image: The whole.
        axis: Of TCZYX.
        start: Place on that axis that counts as 0.
    """

    image: Image
    axis: int
    start: int

    def __call__(self, region: Region) -> np.ndarray:
        """Region (TCZYX) → TCZYX."""
        cut = region[self.axis]
        return self.image.load((*region[: self.axis], slice(cut.start + self.start, cut.stop + self.start), *region[self.axis + 1 :]))


def _single(pairs: Sequence[Pair]) -> bool:
    """Tell whether there is one image or group; of images that are not matched, of either side."""
    unmatched = [pair for pair in pairs if not pair.matched]
    return 1 in (
        len({group_key(pair) for pair in pairs}),
        len({pair.source for pair in unmatched}),
        len({pair.target for pair in unmatched}),
    )


def _images(entry: Entry) -> dict[str, Image]:
    return {role: getattr(entry, role) for role in ROLES if getattr(entry, role) is not None}
