"""What the data and the machine are like, as far as that says how to train."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.ndimage import gaussian_filter

from im2im.baselines.intensities import SIGMAS
from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.data.objects import measure_objects
from im2im.data.patches import middle_region
from im2im.evenly import evenly
from im2im.memory import free_memory

LOOKED_AT = 8  # images whose pixels are looked at
PIXELS = 2**22  # of an image that are looked at, in its middle
SMOOTHED = 2**18  # of these, from which a Gaussian filter is chosen
RANKS = (0.1, 50.0, 99.9)
MOST_CLASSES = 32  # different values of a target that are taken for classes
CROP, FARTHEST = 256, 32  # pixels of a stack that are compared, and largest shift
ALIKE = 0.1  # correlation of planes below which they tell nothing of their distance
SMALL = 5.0  # percentile of the objects' areas that is called small


def fingerprint(
    data: ImageData,
    numbered: bool = False,
    ignored: int | None = None,
    voxel_size: Sequence[float] | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Describe the training images and the machine, in plain containers.

    Of at most eight images the middle four million pixels are looked at, one image at a time.

    Args:
        data: Looked at.
        numbered: Whether labels tell objects apart; else they are connected components.
        ignored: The label of pixels that count as background; so do those that a cost map excludes.
        voxel_size: Micrometres, (Z)YX; from the files unless given.
        device: Whose free memory counts, "cpu" or "cuda".

    Returns:
        "images" of each split, those of training with each time point of a file; "drawn", whether those for validation are whole ones drawn
        from few that belong to no group; "divided", whether they are blocks of training images; "axes" of their files, "size" (median,
        (Z)YX in pixels), "smallest" size and "sizes" of those looked at, "channels", "voxel_size" (micrometre), "source" and "target" with
        type and percentiles; "similarity" of matched intensities (median Pearson correlation of the channel means), and "smoothing", the
        Gaussian filter of the source with which that is highest; "plane_distance" of stacks, in lateral pixels (by the size of a voxel, or
        estimated where that is not known); of labels "foreground" (share of the pixels), "classes" (share of each value) and "objects";
        "device" and "memory" (GB).
    """
    entries = [entry for pair in data.pairs if pair.split == "train" for entry in data.open(pair)]
    if not entries:
        raise ValueError("no training image; give data.root at least one pair for training, or lower data.fractions")
    looked = evenly(entries, LOOKED_AT)
    sizes = np.array([data.source.spatial_shape(entry.source) for entry in entries])
    others = [data.target.spatial_shape(entry.target) for entry in entries if not entry.matched]
    known = list(voxel_size or data.voxel_size())
    seen = [_look(entry, data, numbered, ignored) for entry in looked]
    facts: dict[str, Any] = {
        "images": {**Counter(str(pair.split) for pair in data.pairs), "train": len(entries)},
        "axes": entries[0].source.axes,
        "drawn": len(entries) <= LOOKED_AT and not any(pair.part or pair.group for pair in data.pairs) and data.images.draws_validation(),
        "divided": any(pair.part for pair in data.pairs),
        "sizes": [list(data.source.spatial_shape(entry.source)) for entry in looked],
        "size": np.median(sizes, axis=0).astype(int).tolist(),
        "smallest": np.min([*sizes, *others], axis=0).tolist(),
        "channels": list(data.channels()),
        "voxel_size": known,
    }
    for role in ("source", "target"):
        low, median, high = np.median([one[role] for one in seen], axis=0).round(4).tolist()
        percentiles = {"0.1": low, "50": median, "99.9": high}
        facts[role] = {"type": getattr(looked[0], role).dtype.name, "percentiles": percentiles}
    if data.target.labels:
        facts |= _labels(seen, data.target.spatial_dims)
    elif similarities := [one["similarity"] for one in seen if one["similarity"] is not None]:
        means = np.median(similarities, axis=0)
        facts["similarity"] = round(float(means[0]), 3)
        facts["smoothing"] = {
            "sigma": list(_filters(data.source.spatial_dims)[means.argmax()]),
            "similarity": round(float(means.max()), 3),
        }
    if data.source.spatial_dims == 3:
        told = voxel_size is not None or set(known) != {1.0}
        estimated = [1.0 if one["plane_distance"] is None else one["plane_distance"] for one in seen]
        facts["plane_distance"] = known[0] / known[-1] if told else float(np.median(estimated))
    return {**facts, "device": device, "memory": round(free_memory(device) / 1e9, 1)}


def _look(entry: Entry, data: ImageData, numbered: bool, ignored: int | None) -> dict[str, Any]:
    """Describe the middle of one image and its target."""
    region = middle_region(data.source.spatial_shape(entry.source), PIXELS)
    other = region if entry.matched else middle_region(data.target.spatial_shape(entry.target), PIXELS)
    source = data.source.array(entry.source, region, entry.time)
    target = data.target.array(entry.target, other, entry.time)
    found: dict[str, Any] = {
        role: np.percentile(array.astype(np.float32), RANKS) for role, array in (("source", source), ("target", target))
    }
    if data.source.spatial_dims == 3:
        found["plane_distance"] = _plane_distance(source[0])
    included = np.ones(target.shape[1:], bool)
    if entry.cost_map is not None:
        included = data.target.array(entry.cost_map, other, entry.time)[0] > 0
    if not data.target.labels:
        return {**found, "similarity": _similarities(source, target, included) if entry.matched else None}
    labels = np.where(included if ignored is None else included & (target[0] != ignored), target[0], 0)
    areas, lengths = measure_objects(labels if numbered else ndimage.label(labels > 0)[0])
    classes = None
    if not numbered and labels.min() >= 0 and labels.max() < MOST_CLASSES:
        classes = np.bincount(labels.ravel().astype(np.int64), minlength=MOST_CLASSES) / labels.size
    foreground = np.count_nonzero(labels > 0) / labels.size
    return {**found, "foreground": foreground, "areas": areas, "diagonals": np.hypot(*lengths[:, -2:].T), "classes": classes}


def _similarities(source: np.ndarray, target: np.ndarray, included: np.ndarray) -> np.ndarray | None:
    """Correlate the middle of a target C(Z)YX with that of its source after each Gaussian filter; None where either is constant.

    Only the finite pixels that are included (Z)YX are compared.
    """
    crop = middle_region(included.shape, SMOOTHED)
    one, other = (image[:, *crop].mean(axis=0, dtype=np.float32) for image in (source, target))
    compared = included[crop] & np.isfinite(one) & np.isfinite(other)
    if not compared.any() or np.ptp(one[compared]) == 0 or np.ptp(other[compared]) == 0:
        return None
    one = np.where(np.isfinite(one), one, one[compared].mean())
    return np.array([_correlation(gaussian_filter(one, sigma)[compared], other[compared]) for sigma in _filters(one.ndim)])


def _filters(axes: int) -> list[tuple[float, ...]]:
    """Give the standard deviations of Gaussian filters, (Z)YX: none at all, then those of planes, then those of stacks."""
    planes = [(0.0,) * (axes - 2) + (sigma, sigma) for sigma in (0.0, *SIGMAS)]
    return planes + [(sigma,) * 3 for sigma in SIGMAS if axes == 3]


def _labels(seen: Sequence[dict[str, Any]], axes: int) -> dict[str, Any]:
    """Sum up foreground, classes, and the number and size of objects."""
    areas, diagonals = (np.concatenate([one[key] for one in seen]) for key in ("areas", "diagonals"))
    facts: dict[str, Any] = {"foreground": round(float(np.mean([one["foreground"] for one in seen])), 7)}
    facts["objects"] = {"in each image": int(np.median([len(one["areas"]) for one in seen]))}
    if len(areas):
        facts["objects"] |= {
            "width": round(float(np.median(areas)) ** (1 / axes), 1),
            "length": round(float(np.median(diagonals)), 1),
            "area": round(float(np.median(areas)), 1),
            "small": round(float(np.percentile(areas, SMALL)), 1),
        }
    if counted := [one["classes"] for one in seen if one["classes"] is not None]:
        shares = np.mean(counted, axis=0)
        facts["classes"] = {int(value): round(float(shares[value]), 7) for value in np.flatnonzero(shares)}
    return facts


def _plane_distance(stack: np.ndarray) -> float | None:
    """Estimate how far planes lie apart, in pixels: the lateral shift at which an image resembles itself as little as the next plane.

    Args:
        stack: ZYX.

    Returns:
        The distance; None where planes do not resemble each other, as of noise.
    """
    crop = stack[(slice(None), *middle_region(stack.shape[1:], CROP**2))].astype(np.float32)
    if len(crop) < 2 or crop.std() == 0 or (between := _correlation(crop[1:], crop[:-1])) < ALIKE:
        return None
    shifts = range(1, min(FARTHEST, crop.shape[-1] // 2))
    return float(next((shift for shift in shifts if _correlation(crop[..., shift:], crop[..., :-shift]) <= between), FARTHEST))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
