"""Opened images as plain containers and back, without a look into their files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from im2im.io.formats import ZARR, kind
from im2im.io.image import Image, SlicedArray
from im2im.io.pages import EncodedPages, Segments, StoredPages
from im2im.io.store import Store

Record = dict[str, Any]
KEPT = ("axes", "scene", "pixel_size", "channel_names")


@dataclass(frozen=True)
class RecordedReader:
    """Opens a file by what is known of it: where its pixels lie, shape, type and axes.

    Args:
        reader: Opens a path as one image per scene.
        store: Knows files.
    """

    reader: Any
    store: Store = field(repr=False)  # which says nothing about what is read

    def __call__(self, path: Path) -> list[Image]:
        """Open a file (or ``.zarr`` folder)."""
        if kind(path.name) in ZARR:
            return self.reader(path)
        opened: list[Image] = []

        def find() -> list[Record] | None:
            opened.extend(self.reader(path))
            records = [to_record(image) for image in opened]
            return None if any(record is None for record in records) else records  # type: ignore[return-value]

        records = self.store.remember([path], f"opened by {self.reader}", find)
        return opened or [from_record(record, path) for record in records or []]


def to_record(image: Image) -> Record | None:
    """Turn an image into plain containers; None where its pixels are not simply somewhere in its own file."""
    array = image.load.array if isinstance(image.load, SlicedArray) and not image.others else None
    if not isinstance(array, StoredPages | EncodedPages):
        return None
    pages = _stored(array) if isinstance(array, StoredPages) else _encoded(array)
    return {**{name: getattr(image, name) for name in KEPT}, "pages": pages}


def from_record(record: Mapping[str, Any], path: Path) -> Image:
    """Open the image of a file that :func:`to_record` wrote."""
    pages = dict(record["pages"])
    pages |= {"shape": tuple(pages["shape"]), "dtype": np.dtype(pages["dtype"])}
    if "offsets" in pages:
        array: Any = StoredPages(path, _from_steps(pages.pop("offsets")), **pages)
    else:
        keyframe = pages.pop("keyframe")
        segments = tuple(Segments(str(path), _from_steps(offsets).tolist(), counts) for offsets, counts in pages.pop("pages"))
        array = EncodedPages(path, keyframe if isinstance(keyframe, int) else tuple(keyframe), segments, **pages)
    names, size = tuple(record["channel_names"]), tuple(record["pixel_size"])
    image = Image.from_array(array, record["axes"], pixel_size=size, channel_names=names)
    return replace(image, path=path, scene=record["scene"])


def _stored(pages: StoredPages) -> Record:
    plain = {"shape": pages.shape, "dtype": pages.dtype.str, "plane_axes": pages.plane_axes}
    return {**plain, "offsets": _to_steps(pages.offsets)}


def _encoded(pages: EncodedPages) -> Record:
    plain = {"shape": pages.shape, "dtype": pages.dtype.str, "page_axes": pages.page_axes, "keyframe": pages.keyframe}
    return {**plain, "pages": [[_to_steps(page.offsets), list(map(int, page.bytecounts))] for page in pages.pages]}


def _to_steps(offsets: Sequence[int] | np.ndarray) -> list[int]:
    """Write numbers as the distance of each from the one before: these are small and often equal, and pack well."""
    return np.diff(np.asarray(offsets, np.int64), prepend=0).tolist()


def _from_steps(steps: Sequence[int]) -> np.ndarray:
    return np.cumsum(np.asarray(steps, np.int64))
