"""What the data and the machine are like, as far as that says how to train."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from im2im.data.datamodule import ImageData
from im2im.data.objects import measure_objects
from im2im.io.image import Image
from im2im.memory import free_memory

LOOKED_AT = 8  # images whose pixels are looked at
RANKS = (0.1, 50.0, 99.9)
MOST_CLASSES = 32  # different values of a target that are taken for classes
CROP, FARTHEST = 256, 32  # pixels of a stack that are compared, and largest shift
SMALL = 5.0  # percentile of the objects' areas that is called small


def fingerprint(data: ImageData, numbered: bool = False) -> dict[str, Any]:
    """Describe the training images and the machine, in plain containers.

    Args:
        data: Looked at.
        numbered: Whether labels tell objects apart; else they are connected components.

    Returns:
        "images" of each split, "axes" of their files, "size" (median, (Z)YX in pixels) and "smallest" size, "channels", "voxel_size"
        (micrometre), "source" and "target" with type and percentiles; "similarity" of matched intensities (median Pearson correlation of
        the channel means); "plane_distance" of stacks (estimated, in lateral pixels); of labels "foreground" (share of the pixels),
        "classes" (share of each value) and "objects"; "device" and "memory" (GB).
    """
    entries = [entry for pair in data.pairs if pair.split == "train" for entry in data.open(pair)]
    if not entries:
        raise ValueError("no training image; give data.root at least one pair for training, or lower data.fractions")
    looked = [entries[place] for place in np.unique(np.linspace(0, len(entries) - 1, min(len(entries), LOOKED_AT)).round().astype(int))]
    sizes = np.array([data.source.spatial_shape(entry.source) for entry in entries])
    sources = [data.source.array(entry.source, time=entry.time) for entry in looked]
    targets = [data.target.array(entry.target, time=entry.time) for entry in looked]
    facts: dict[str, Any] = {
        "images": dict(Counter(str(pair.split) for pair in data.pairs)),
        "axes": entries[0].source.axes,
        "size": np.median(sizes, axis=0).astype(int).tolist(),
        "smallest": sizes.min(axis=0).tolist(),
        "channels": list(data.channels()),
        "voxel_size": data.voxel_size(),
        "source": _intensities(looked[0].source, sources),
        "target": _intensities(looked[0].target, targets),
    }
    if data.target.labels:
        facts |= _labels([target[0] for target in targets], numbered)
    elif all(entry.matched for entry in looked):
        facts["similarity"] = _similarity(sources, targets)
    if data.source.spatial_dims == 3:
        facts["plane_distance"] = _plane_distance(sources)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return {**facts, "device": device, "memory": round(free_memory(device) / 1e9, 1)}


def _intensities(image: Image, arrays: Sequence[np.ndarray]) -> dict[str, Any]:
    found = [np.percentile(array.astype(np.float32), RANKS) for array in arrays]
    low, middle, high = np.median(found, axis=0).round(4).tolist()
    return {"type": image.dtype.name, "percentiles": {"0.1": low, "50": middle, "99.9": high}}


def _similarity(sources: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> float:
    found = []
    for source, target in zip(sources, targets, strict=True):
        one, other = source.mean(axis=0).ravel(), target.mean(axis=0).ravel()
        if one.std() > 0 and other.std() > 0:
            found.append(float(np.corrcoef(one, other)[0, 1]))
    return round(float(np.median(found)), 3) if found else 0.0


def _labels(arrays: Sequence[np.ndarray], numbered: bool) -> dict[str, Any]:
    """Foreground, classes, how many objects there are and how large."""
    pixels = [np.bincount(array.ravel().astype(np.int64)) if not numbered and _is_class(array) else None for array in arrays]
    found = [measure_objects(array if numbered else ndimage.label(array > 0)[0]) for array in arrays]
    areas = np.concatenate([areas for areas, _ in found])
    diagonals = np.concatenate([np.hypot(*lengths[:, -2:].T) for _, lengths in found])
    facts: dict[str, Any] = {"foreground": round(float(np.mean([np.count_nonzero(array > 0) / array.size for array in arrays])), 4)}
    facts["objects"] = {"in each image": int(np.median([len(areas) for areas, _ in found]))}
    if len(areas):
        facts["objects"] |= {
            "width": round(float(np.median(areas)) ** (1 / arrays[0].ndim), 1),
            "length": round(float(np.median(diagonals)), 1),
            "area": round(float(np.median(areas)), 1),
            "small": round(float(np.percentile(areas, SMALL)), 1),
        }
    if counted := [counts / counts.sum() for counts in pixels if counts is not None]:
        shares = np.mean([np.pad(share, (0, MOST_CLASSES - len(share))) for share in counted], axis=0)
        facts["classes"] = {int(value): round(float(shares[value]), 4) for value in np.flatnonzero(shares)}
    return facts


def _is_class(array: np.ndarray) -> bool:
    return bool(array.min() >= 0 and array.max() < MOST_CLASSES)


def _plane_distance(arrays: Sequence[np.ndarray]) -> float:
    """Estimate how far planes lie apart, in pixels: the lateral shift at which an image resembles itself as little as the next plane."""
    found = []
    for array in arrays:
        stack = array[0, :, :CROP, :CROP].astype(np.float32)
        if len(stack) < 2 or stack.std() == 0:
            continue
        between = _correlation(stack[1:], stack[:-1])
        shifts = range(1, min(FARTHEST, stack.shape[-1] // 2))
        found.append(next((shift for shift in shifts if _correlation(stack[..., shift:], stack[..., :-shift]) <= between), FARTHEST))
    return float(np.median(found)) if found else 1.0


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
