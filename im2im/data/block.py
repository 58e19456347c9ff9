"""A single training image in two parts: a block at its end for validation, the rest for training."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from im2im.axes import AXES, Region
from im2im.data.index import Entry
from im2im.io.image import Image
from im2im.io.pair import Pair
from im2im.io.splits import group_key

ROLES = ("source", "target", "cost_map")


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
        try:
            entries = [entry for pair in train for entry in opened(pair)]
        except (OSError, ValueError):
            return pairs  # what is wrong is said where the images are used
        if not all(self._place(image) for entry in entries for image in _images(entry).values()):
            return pairs
        described = {split: self._describe(entries, split) for split in ("train", "val")}
        divided = [replace(pair, part=described["train"]) if pair.split == "train" else pair for pair in pairs]
        return [*divided, *(replace(pair, split="val", part=described["val"]) for pair in train)]

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

    def _place(self, image: Image) -> tuple[int, int] | None:
        """Give the axis of TCZYX that is divided, and where the block begins; None where the image is too small."""
        axis = 3 if image.shape[3] >= image.shape[4] else 4
        length = max(round(self.fraction * image.shape[axis]), self.patch_size[axis - 5])
        return (axis, image.shape[axis] - length) if 2 * length <= image.shape[axis] else None

    def _bounds(self, image: Image, split: str | None) -> tuple[int, int, int]:
        """Give the axis, and from where to where the part reaches."""
        place = self._place(image)
        if place is None:
            raise ValueError(f"{image.path} is too small for a block of its own, got {image.shape} (TCZYX); set data.validation_block=0")
        axis, start = place
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
