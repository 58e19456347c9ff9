"""What the images say about a training before it starts: targets that are not labels, objects against the patch, images in two splits."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.data.known import known
from im2im.data.objects import measure_objects
from im2im.data.patches import Anywhere, middle_region
from im2im.evenly import evenly
from im2im.stages.findings import Finding
from im2im.tasks.base import Task

LOOKED_AT = 8  # images of a split
PIXELS = 2**22  # of an image that are looked at, in its middle
VALUES = 16  # more of them, and neighbours mostly differ: intensities
RARE, ALMOST_ALL = 0.01, 0.99  # of the pixels are foreground
LARGE = 95  # percentile of the extents of objects
WHITE = (255, 65535)  # the foreground of masks that are pictures


@dataclass(frozen=True)
class Labels:
    """What a target of labels holds.

    Args:
        name: Of the image.
        low: The smallest label.
        high: The largest label.
        values: How many labels above 0 there are.
        fraction: A label that is not whole; None where all are.
        finite: Whether all are numbers.
        foreground: Share of the pixels above 0.
        alike: Share of the neighbours in the foreground that have the same label.
        parts: Connected parts of the foreground, counted where it has one label only.
        extent: Of the objects along (Z)YX in pixels, the 95th percentile; empty without objects.
    """

    name: str
    low: float
    high: float
    values: int
    fraction: float | None
    finite: bool
    foreground: float
    alike: float
    parts: int
    extent: tuple[float, ...]


def describe_labels(labels: np.ndarray) -> dict[str, Any]:
    """Describe labels (Z)YX in plain containers, see :class:`Labels`."""
    finite = np.isfinite(labels)
    clean = np.where(finite, labels, 0)
    inside = clean > 0
    values = np.unique(clean[inside])
    fractional = clean[clean != np.round(clean)]
    pairs = inside[..., 1:] & inside[..., :-1]
    _, extents = measure_objects(clean)
    return {
        "low": float(clean.min(initial=0)),
        "high": float(clean.max(initial=0)),
        "values": len(values),
        "fraction": float(fractional.flat[0]) if fractional.size else None,
        "finite": bool(finite.all()),
        "foreground": float(inside.mean()),
        "alike": float((clean[..., 1:] == clean[..., :-1])[pairs].mean()) if pairs.any() else 1.0,
        "parts": int(ndimage.label(inside)[1]) if len(values) == 1 else 0,
        "extent": np.percentile(extents, LARGE, axis=0).tolist() if len(extents) else [],
    }


def some(entries: Sequence[Entry]) -> list[Entry]:
    """Choose at most eight entries, evenly."""
    return evenly(entries, LOOKED_AT)


def inspect_labels(entries: Sequence[Entry], data: ImageData, task: Task) -> list[Finding]:
    """Look at the targets of images of a segmentation; nothing where the target holds intensities.

    Args:
        entries: All of them are looked at, see :func:`some`; what is known of their files is not read again.
        data: Of the training.
        task: Says what labels mean.
    """
    if not data.target.labels or not entries:
        return []
    found = [_labels(entry, data, getattr(task, "ignore_index", None)) for entry in entries]
    data.images.shortcuts.store.write()
    findings = [*_no_labels(found, task), *_doubtful(found, task), *_proportions(found, data, task)]
    objects = f"{np.median([one.values for one in found]):g} objects in an image, " if task.objects else ""
    return [*findings, Finding("ok", "targets", f"{objects}{np.mean([one.foreground for one in found]):.1%} of the pixels are foreground")]


def _labels(entry: Entry, data: ImageData, ignored: int | None) -> Labels:
    def find() -> dict[str, Any]:
        region = middle_region(data.target.spatial_shape(entry.target), PIXELS)
        labels = data.target.array(entry.target, region, entry.time)[0]
        if entry.cost_map is not None:
            labels = np.where(data.target.array(entry.cost_map, region, entry.time)[0] > 0, labels, 0)
        return describe_labels(labels if ignored is None else np.where(labels == ignored, 0, labels))

    what = f"labels without {ignored} in the middle {PIXELS} pixels, {data.target.spatial_dims}D, by {data.target.reader}"
    fact = known(data.images.shortcuts.store, what, entry.target, entry.time, entry.cost_map, find)
    return Labels(entry.name, **{**fact, "extent": tuple(fact["extent"])})


def _no_labels(found: Sequence[Labels], task: Task) -> Iterator[Finding]:
    """What cannot be trained with; the first image of each kind is named."""
    count = len(getattr(task, "classes", ()))
    if broken := [one.name for one in found if not one.finite]:
        yield Finding("wrong", "labels", f"{broken[0]} has labels that are NaN or infinite; correct the target")
    if negative := [one for one in found if one.low < 0]:
        two = "; of two classes it counts as background" if count == 2 else ""
        ignore = f", or set task.ignore_index={negative[0].low:g}" if count else ""
        seen = f"a label is a whole number from 0, got {negative[0].low:g} in {negative[0].name}{two}; correct the target{ignore}"
        yield Finding("look" if two else "wrong", "labels", seen)
    if beyond := [one for one in found if one.high >= count > 2]:
        seen = f"task.classes has {count} classes, numbered 0 to {count - 1}, got {beyond[0].high:g} in {beyond[0].name}"
        yield Finding("wrong", "labels", f"{seen}; add classes, or set task.ignore_index={beyond[0].high:g}")


def _doubtful(found: Sequence[Labels], task: Task) -> Iterator[Finding]:
    """Labels that rather look like something else; the first image of each kind is named."""
    told: set[str] = set()
    for one in found:
        kind, seen = _kind(one, task)
        if kind and kind not in told:
            told.add(kind)
            yield Finding("look", "labels", seen)


def _kind(one: Labels, task: Task) -> tuple[str, str]:
    """Tell what labels look like, and what to do about it; nothing where they look like labels."""
    if one.values > VALUES and one.alike < 0.5:
        seen = f"{one.name} has {one.values} labels and neighbouring pixels mostly differ, as in an image of intensities"
        return "intensities", f"{seen}; correct data.root, or set task=labelfree to predict intensities"
    if one.fraction is not None:
        seen = f"labels are whole numbers, got {one.fraction:g} in {one.name}, as after interpolation"
        return "interpolated", f"{seen}; resample the targets by nearest neighbour"
    if task.objects and one.values == 1 and one.parts > 1:
        seen = f"the {one.parts} parts of {one.name} all have the label {one.high:g} and count as one object"
        return "mask", f"{seen}; number the objects, or set task=semantic"
    if _is_white(one, task):
        seen = f"{one.name} has labels between 0 and {one.high:g}, which all count as foreground; threshold masks that were interpolated or"
        return "white", f"{seen} compressed, or set task.ignore_index={one.high:g} if that marks pixels without a label"
    return "", ""


def _is_white(one: Labels, task: Task) -> bool:
    """Tell whether a mask of two classes has labels between black and white."""
    return len(getattr(task, "classes", ())) == 2 and one.high in WHITE and 1 < one.values <= one.high


def _proportions(found: Sequence[Labels], data: ImageData, task: Task) -> Iterator[Finding]:
    """Foreground and objects against the image and the patch."""
    share, patch = float(np.mean([one.foreground for one in found])), data.sampling.patch_size
    if share >= ALMOST_ALL:
        yield Finding("look", "foreground", f"{share:.1%} of the pixels have a label above 0; the background is 0: correct the targets")
    elif share == 0:
        yield Finding("look", "foreground", f"none of {len(found)} targets has a label above 0; correct data.root or data.target_channels")
    elif share < RARE and not data.sampling.foreground and isinstance(data.sampling.places, Anywhere):
        seen = f"{share:.2%} of the pixels are foreground, so that most patches have none; set data.foreground=0.5"
        yield Finding("look", "foreground", seen)
    extents = [one.extent for one in found if one.extent and _kind(one, task)[0] not in {"intensities", "mask"}]
    extent = np.median(extents, axis=0) if extents and task.objects else np.zeros(len(patch))
    if (extent > patch).any():
        size = " × ".join(f"{length:.0f}" for length in extent)
        yield Finding("look", "patch_size", f"objects of {size} pixels are larger than a patch of {list(patch)}; raise patch_size")


def inspect_splits(by_split: dict[str, list[Entry]], data: ImageData) -> list[Finding]:
    """Find source images that are in two splits, pixel by pixel; only those of the same size and statistics are compared."""
    alike: dict[str, list[tuple[str, Entry]]] = defaultdict(list)
    for split, entries in by_split.items():
        for entry in entries:
            alike[f"{entry.source.shape} {entry.source_scale!r}"].append((split, entry))
    contents: dict[str, dict[str, str]] = defaultdict(dict)
    for group in alike.values():
        for split, entry in group if len({split for split, _ in group}) > 1 else ():
            array = data.source.array(entry.source, time=entry.time)
            if array.min() != array.max():
                contents[hashlib.sha256(array.tobytes()).hexdigest()].setdefault(split, entry.name)
    if not (twice := [names for names in contents.values() if len(names) > 1]):
        return []
    where = " and ".join(f"{name} ({split})" for split, name in twice[0].items())
    several = "1 image is" if len(twice) == 1 else f"{len(twice)} images are"
    seen = f"{several} in two splits, such as {where}, which makes scores too good; remove them, or set data.group"
    return [Finding("look", "splits", seen)]
