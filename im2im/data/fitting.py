"""Statistics of opened images, and which of them stay in memory."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from im2im.data.index import Entry
from im2im.data.side import Side
from im2im.io.image import Image

GIGABYTE = 2**30


def gigabytes(entries: list[Entry]) -> float:
    """Give the size of all images of entries."""
    return sum(_bytes(entry) for entry in entries) / GIGABYTE


def fitted(entries: list[Entry], source: Side, target: Side, keep: bool, workers: int) -> list[Entry]:
    """Fit the normalization of every entry, each file read once.

    Args:
        entries: Opened pairs.
        source: How sources are normalized.
        target: How targets are normalized.
        keep: Read the images into memory once and for all.
        workers: Threads that read.
    """

    def fit(entry: Entry) -> Entry:
        if keep:
            entry = _in_memory(entry)
        target_scale = target.fit(entry.target, entry.time, entry.cost_map)
        return replace(entry, source_scale=source.fit(entry.source, entry.time), target_scale=target_scale)

    with ThreadPoolExecutor(max(workers, 2)) as pool:
        return list(pool.map(fit, entries))


def _images(entry: Entry) -> dict[str, Image]:
    """Give the images of an entry by role."""
    images = {"source": entry.source, "target": entry.target}
    return images if entry.cost_map is None else {**images, "cost_map": entry.cost_map}


def _bytes(entry: Entry) -> int:
    """Count the bytes of one time point of an entry."""
    return sum(int(np.prod(image.shape[1:])) * image.dtype.itemsize for image in _images(entry).values())


def _in_memory(entry: Entry) -> Entry:
    """Read one time point of an entry, once and for all."""
    now = (slice(entry.time, entry.time + 1), *[slice(None)] * 4)
    read = {
        role: Image.from_array(image.read(now), "TCZYX", str(image.path), image.pixel_size, image.channel_names)
        for role, image in _images(entry).items()
    }
    return replace(entry, time=0, source=read["source"], target=read["target"], cost_map=read.get("cost_map"))
