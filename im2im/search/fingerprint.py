"""What the data are like, as far as that says which configurations are worth a try."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.data.objects import object_middles
from im2im.data.side import Side
from im2im.io.image import Image
from im2im.memory import free_memory

LOOKED_AT = 8  # images whose pixels are looked at
RANKS = (0.1, 50.0, 99.9)


def fingerprint(data: ImageData, numbered: bool = False) -> dict[str, Any]:
    """Describe the training images and the machine, in plain containers.

    Args:
        data: Looked at.
        numbered: Whether labels tell objects apart; else they are what hangs together.

    Returns:
        "images" of each split, "axes" of their files, "size" (median, (Z)YX in pixels), "channels", "voxel_size" (micrometre), "source" and
        "target" with type and percentiles, "foreground" (share of the target's pixels) and "objects" of labels, "device" and "memory" (GB).
    """
    entries = data.entries("train")
    looked = [entries[place] for place in np.unique(np.linspace(0, len(entries) - 1, min(len(entries), LOOKED_AT)).round().astype(int))]
    sizes = np.array([data.source.spatial_shape(entry.source) for entry in entries])
    facts: dict[str, Any] = {
        "images": dict(Counter(str(pair.split) for pair in data.pairs)),
        "axes": entries[0].source.axes,
        "size": np.median(sizes, axis=0).astype(int).tolist(),
        "channels": list(data.channels()),
        "voxel_size": data.voxel_size(),
        "source": _intensities(data.source, [(entry.source, entry.time) for entry in looked]),
        "target": _intensities(data.target, [(entry.target, entry.time) for entry in looked]),
    }
    if data.target.labels:
        facts |= _labels(data.target, looked, numbered)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return {**facts, "device": device, "memory": round(free_memory(device) / 1e9, 1)}


def _intensities(side: Side, images: Sequence[tuple[Image, int]]) -> dict[str, Any]:
    found = [np.percentile(side.array(image, time=time).astype(np.float32), RANKS) for image, time in images]
    low, middle, high = np.median(found, axis=0).round(4).tolist()
    return {"type": images[0][0].dtype.name, "percentiles": {"0.1": low, "50": middle, "99.9": high}}


def _labels(side: Side, entries: Sequence[Entry], numbered: bool) -> dict[str, Any]:
    """Foreground, how many objects there are and how wide."""
    arrays = [side.array(entry.target, time=entry.time)[0] for entry in entries]
    foreground = float(np.mean([(array > 0).mean() for array in arrays]))
    counts = [len(object_middles(array)) if numbered else ndimage.label(array > 0)[1] for array in arrays]
    areas = [np.count_nonzero(array) / count for array, count in zip(arrays, counts, strict=True) if count]
    width = float(np.median(areas)) ** (1 / arrays[0].ndim) if areas else 0.0
    return {"foreground": round(foreground, 4), "objects": {"in each image": int(np.median(counts)), "width": round(width, 1)}}
