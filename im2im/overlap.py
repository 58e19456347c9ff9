"""How well label images agree: scores of classes, and scores of objects from one table of overlaps.

All take a prediction and a target of whole numbers, (Z)YX or 1(Z)YX, 0 the background, and a cost map of the same shape, or none, which
excludes pixels where it is 0: those are background in both images, whatever stands there. Where neither image has anything, a score is NaN,
which :func:`im2im.metrics.summarize` leaves out, as there was nothing to find and nothing was found.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

Array = NDArray[Any]
THRESHOLDS = np.arange(50, 100, 5) / 100  # of the IoU, for the mean of the average precisions


class Overlaps(NamedTuple):
    """Every object of two label images, and every pair of a target object and a predicted one that share pixels.

    ``rows`` and ``columns`` say where a pair's objects stand in ``targets`` and ``predictions``.
    """

    targets: Array  # number of each object, ascending
    predictions: Array
    target_sizes: Array  # pixels of each object
    predicted_sizes: Array
    rows: Array
    columns: Array
    shared: Array  # pixels of each pair

    @property
    def unions(self) -> Array:
        """Pixels of either object of each pair."""
        return self.target_sizes[self.rows] + self.predicted_sizes[self.columns] - self.shared


def class_scores(prediction: Array, target: Array, classes: int | Sequence[str], cost_map: Array | None = None) -> dict[str, float]:
    """Return Dice's coefficient, the intersection over union and F1 of every class but the background.

    F1, of pixels, is Dice's coefficient by another name.

    Args:
        prediction: Class indices.
        target: Class indices.
        classes: Names of all classes, the background's first, or their number.
        cost_map: 0 excludes a pixel.

    Returns:
        ``{"dice", "iou", "f1"}``, the mean over the classes that occur, and each followed by ``/<name>`` for every class but the
        background; NaN for a class that neither image has.

    Raises:
        ValueError: The shapes differ, or a pixel is no class index.
    """
    names = [str(index) for index in range(classes)] if isinstance(classes, int) else list(classes)
    first, second = _labels(prediction, target, cost_map)
    for role, labels in {"prediction": first, "target": second}.items():
        if labels.max(initial=0) >= len(names):
            raise ValueError(
                f"a pixel of the {role} must be a class index from 0 to {len(names) - 1}, got {labels.max()}; change task.classes"
            )
    codes = second.astype(np.intp) * len(names) + first
    pairs = np.bincount(codes, minlength=len(names) ** 2).reshape(len(names), len(names))  # target, prediction
    both, sizes = np.diag(pairs)[1:], (pairs.sum(axis=0) + pairs.sum(axis=1))[1:]
    dice, iou = _ratio(2 * both, sizes), _ratio(both, sizes - both)
    scores = {"dice": dice, "iou": iou, "f1": dice}
    means = {key: float(np.mean(values[sizes > 0])) if sizes.any() else math.nan for key, values in scores.items()}
    of_classes = {f"{key}/{name}": float(value) for key, values in scores.items() for name, value in zip(names[1:], values, strict=True)}
    return means | of_classes


def object_scores(prediction: Array, target: Array, cost_map: Array | None = None) -> dict[str, float]:
    """Return how well the objects of two label images agree.

    Objects are matched one to one. ``ap_50``, ``ap_75``: TP / (TP + FP + FN) of the pairs whose IoU reaches the threshold, equality
    included (Schmidt et al., 2018, "StarDist"); ``map``: its mean over the thresholds .5 to .95 in steps of .05; ``f1_50``:
    2TP / (2TP + FP + FN); ``pq``: panoptic quality, of the pairs whose IoU exceeds .5 (Kirillov et al., 2019); ``aji``: aggregated Jaccard
    index (Kumar et al., 2017); ``mean_iou``: mean IoU of the target objects with their partners, so chosen that it is largest, 0 for a
    missed one.

    All are 0 where only one of the images has objects, NaN where neither has.

    Args:
        prediction: Object numbers, of any size and with gaps.
        target: Object numbers.
        cost_map: 0 excludes a pixel.

    Raises:
        ValueError: The shapes differ, or a number is negative or not whole.
    """
    table = overlaps(prediction, target, cost_map)
    wanted, found = len(table.targets), len(table.predictions)
    if not wanted + found:
        return dict.fromkeys(("ap_50", "ap_75", "map", "f1_50", "pq", "aji", "mean_iou"), math.nan)
    ious = _partner_ious(table, 0.5)
    hits = np.count_nonzero(ious[:, None] >= THRESHOLDS, axis=0)
    precisions = hits / (wanted + found - hits)
    above = ious[ious > 0.5]
    return {
        "ap_50": float(precisions[0]),
        "ap_75": float(precisions[5]),
        "map": float(precisions.mean()),
        "f1_50": float(2 * hits[0] / (wanted + found)),
        "pq": float(2 * above.sum() / (wanted + found)),
        "aji": _aggregated_jaccard(table),
        "mean_iou": float(_partner_ious(table).mean()) if wanted else 0.0,
    }


def objects_table(prediction: Array, target: Array, cost_map: Array | None = None) -> list[dict[str, Any]]:
    """Return ``{"object", "iou", "matched"}`` for each object of the target: its number, IoU with its partner, and whether it was found.

    Partners are those of ``mean_iou``, 0 without one; an object is found if it is one of the hits of ``ap_50``.

    Raises:
        ValueError: The shapes differ, or a number is negative or not whole.
    """
    table = overlaps(prediction, target, cost_map)
    columns = zip(table.targets.tolist(), _partner_ious(table).tolist(), (_partner_ious(table, 0.5) > 0).tolist(), strict=True)
    return [{"object": number, "iou": iou, "matched": matched} for number, iou, matched in columns]


def overlaps(prediction: Array, target: Array, cost_map: Array | None = None) -> Overlaps:
    """Return the table of overlaps of two label images, made by counting runs of equal pixels.

    Raises:
        ValueError: The shapes differ, or a number is negative or not whole.
    """
    first, second = _labels(prediction, target, cost_map)
    changes = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1)) if first.size else np.arange(0)
    lengths = np.diff(starts, append=first.size)
    predictions, columns = np.unique(first[starts], return_inverse=True)
    targets, rows = np.unique(second[starts], return_inverse=True)
    pairs, runs = np.unique(rows * len(predictions) + columns, return_inverse=True)
    shared = np.bincount(runs, lengths, len(pairs)).astype(np.int64)
    rows, columns = np.divmod(pairs, max(len(predictions), 1))
    sizes = [np.bincount(places, shared, len(numbers)).astype(np.int64) for places, numbers in ((rows, targets), (columns, predictions))]
    real = (targets[rows] > 0) & (predictions[columns] > 0)
    no_target, no_prediction = (int(len(numbers) > 0 and numbers[0] == 0) for numbers in (targets, predictions))  # background comes first
    return Overlaps(
        targets[no_target:].astype(np.int64),
        predictions[no_prediction:].astype(np.int64),
        sizes[0][no_target:],
        sizes[1][no_prediction:],
        rows[real] - no_target,
        columns[real] - no_prediction,
        shared[real],
    )


def _partner_ious(table: Overlaps, least: float = 0.0) -> Array:
    """Match one to one with the largest sum of IoU, pairs below ``least`` left out; return the IoU of each target object, 0 alone.

    Sparse, as few of all pairs overlap. Every target object may also stay alone, at the price of a pair without overlap.
    """
    ious = table.shared / table.unions
    rows, columns, ious = (part[ious >= least] for part in (table.rows, table.columns, ious))
    wanted, found = len(table.targets), len(table.predictions)
    alone = np.arange(wanted)
    costs = np.concatenate((2 - ious, np.full(wanted, 2.0)))  # a cost of 0 would be no pair
    ends = np.concatenate((rows, alone)), np.concatenate((columns, found + alone))
    matched, partners = min_weight_full_bipartite_matching(csr_array((costs, ends), shape=(wanted, found + wanted)))
    matched, partners = matched[partners < found], partners[partners < found]
    result = np.zeros(wanted)
    result[matched] = ious[np.searchsorted(rows * found + columns, matched * found + partners)]  # the table is sorted
    return result


def _aggregated_jaccard(table: Overlaps) -> float:
    """Divide the sum of intersections by the sum of unions, each target object with the prediction of largest IoU; the rest is below."""
    order = np.argsort(table.shared / table.unions, kind="stable")
    best = np.full(len(table.targets), -1)
    best[table.rows[order]] = order  # the largest comes last and stays
    pairs = best[best >= 0]
    missed = table.target_sizes[best < 0].sum()
    unused = np.delete(table.predicted_sizes, table.columns[pairs]).sum()
    return float(table.shared[pairs].sum() / (table.unions[pairs].sum() + missed + unused))


def _labels(prediction: Array, target: Array, cost_map: Array | None) -> tuple[Array, Array]:
    """Return both images flat and of integers, 0 where excluded."""
    images = {"prediction": np.asarray(prediction), "target": np.asarray(target)}
    if cost_map is not None:
        images["cost map"] = np.asarray(cost_map)
    shapes = {name: image.shape[1:] if image.shape[:1] == (1,) else image.shape for name, image in images.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"label images must have one shape, got {shapes}; check the pairing of data.root")
    included = None if cost_map is None else images["cost map"].ravel() > 0
    return _whole(images["prediction"], included, "prediction"), _whole(images["target"], included, "target")


def _whole(image: Array, included: Array | None, role: str) -> Array:
    values = image.ravel() if included is None else np.where(included, image.ravel(), 0)
    if values.dtype.kind == "f":
        values = np.nan_to_num(numbers := values, posinf=-1, neginf=-1).astype(np.int64)
        _require(values == numbers, numbers, role)
    if values.dtype.kind == "i" and values.min(initial=0) < 0:
        _require(values >= 0, values, role)
    return values


def _require(right: Array, values: Array, role: str) -> None:
    if not right.all():
        raise ValueError(f"a label image holds whole numbers from 0, got {values[~right][0]:g} in the {role}; check data.root")


def _ratio(above: Array, below: Array) -> Array:
    """Divide; NaN where there is nothing to divide by."""
    return np.divide(above, below, out=np.full(len(below), math.nan), where=below > 0)
