import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_iou, compute_panoptic_quality
from scipy.optimize import linear_sum_assignment
from skimage.metrics import contingency_table

from im2im.overlap import class_scores, object_scores, objects_table, overlaps

NAMES = {"ap_50", "ap_75", "map", "f1_50", "pq", "aji", "mean_iou"}
SHAPES = [(60, 50), (9, 30, 28)]
by_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
by_seed = pytest.mark.parametrize("seed", range(4))


def objects(shape, seed, shift=1):
    """Make label images of boxes, some of them missed, shifted, split, merged or invented."""
    rng = np.random.default_rng(seed)
    prediction, target = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for number in range(1, 16):
        start = [rng.integers(0, length - 4) for length in shape]
        box = tuple(slice(at, at + rng.integers(3, 10)) for at in start)
        moved = tuple(slice(part.start + rng.integers(0, shift + 1), part.stop) for part in box)
        if number % 5:
            target[box] = number
        if number % 7:
            prediction[moved] = 40 - number
    prediction[prediction == 38] = 37
    return prediction, target


def naive(prediction, target):
    """Score by comparing all pairs of masks."""
    wanted, found = ([labels == number for number in np.unique(labels) if number] for labels in (target, prediction))
    iou = np.array([[(a & b).sum() / (a | b).sum() for b in found] for a in wanted])

    def hits(least):
        rows, columns = linear_sum_assignment(-np.where(iou >= least, 1 + iou, 0))
        return (iou[rows, columns] >= least).sum()

    precisions = [hits(k / 100) / (len(wanted) + len(found) - hits(k / 100)) for k in range(50, 100, 5)]
    rows, columns = linear_sum_assignment(-iou)
    shared, union, used = 0, 0, set()
    for a, row in zip(wanted, iou, strict=True):
        best = int(row.argmax())
        if row[best] > 0:
            used.add(best)
            shared += (a & found[best]).sum()
            union += (a | found[best]).sum()
        else:
            union += a.sum()
    union += sum(b.sum() for place, b in enumerate(found) if place not in used)
    return {
        "ap_50": precisions[0],
        "ap_75": precisions[5],
        "map": np.mean(precisions),
        "f1_50": 2 * hits(0.5) / (len(wanted) + len(found)),
        "pq": 2 * iou[iou > 0.5].sum() / (len(wanted) + len(found)),
        "aji": shared / union,
        "mean_iou": iou[rows, columns].sum() / len(wanted),
    }


def test_a_worked_example():
    target = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 0, 3, 3]])
    prediction = np.array([[5, 5, 5, 0, 0, 0, 6, 6, 6, 0, 0]])  # IoU 3/4 and 2/4, the third missed
    hits = np.array([2] + 5 * [1] + 4 * [0])
    assert object_scores(prediction, target) == pytest.approx(
        {
            "ap_50": 2 / 3,
            "ap_75": 1 / 4,
            "map": (hits / (5 - hits)).mean(),
            "f1_50": 2 * 2 / 5,
            "pq": 0.75 / (1 + 1 / 2 + 2 / 2),
            "aji": (3 + 2) / (4 + 4 + 2),
            "mean_iou": (0.75 + 0.5) / 3,
        }
    )


@by_shape
@by_seed
def test_scores_are_those_of_comparing_all_pairs(shape, seed):
    prediction, target = objects(shape, seed)
    assert object_scores(prediction, target) == pytest.approx(naive(prediction, target))


@by_seed
def test_the_panoptic_quality_is_that_of_monai(seed):
    prediction, target = objects((60, 50), seed)
    peer = compute_panoptic_quality(torch.from_numpy(prediction), torch.from_numpy(target), smooth_numerator=0)
    assert object_scores(prediction, target)["pq"] == pytest.approx(float(peer))


@by_shape
def test_the_table_is_that_of_scikit_image(shape):
    prediction, target = objects(shape, 0)
    expected = contingency_table(target, prediction).toarray()
    table = overlaps(prediction, target)
    np.testing.assert_array_equal(table.targets, np.flatnonzero(expected[1:].any(axis=1)) + 1)
    np.testing.assert_array_equal(table.predictions, np.flatnonzero(expected[:, 1:].any(axis=0)) + 1)
    np.testing.assert_array_equal(table.target_sizes, expected.sum(axis=1)[table.targets])
    np.testing.assert_array_equal(table.predicted_sizes, expected.sum(axis=0)[table.predictions])
    dense = np.zeros_like(expected)
    dense[table.targets[table.rows], table.predictions[table.columns]] = table.shared
    np.testing.assert_array_equal(dense[1:, 1:], expected[1:, 1:])


def test_two_of_three_objects_missed_score_a_third():
    target = np.array([[1, 1, 0, 2, 2, 0, 3, 3]])
    scores = object_scores(np.where(target == 2, 1, 0), target)
    assert scores == pytest.approx({name: 0.5 if name in {"f1_50", "pq"} else 1 / 3 for name in NAMES})


def test_one_prediction_serves_one_object():
    target = np.array([[1, 1, 1, 2, 2]])
    scores = object_scores(np.full((1, 5), 9), target)
    assert scores["mean_iou"] == pytest.approx(3 / 5 / 2)
    assert scores["ap_50"] == 1 / 2
    assert scores["aji"] == pytest.approx(5 / 10)  # the paper's index lets it serve twice


def test_partners_are_chosen_together_and_not_one_after_the_other():
    target = np.repeat([[1, 2]], [15, 5], axis=1)
    prediction = np.repeat([[4, 5, 4]], [10, 5, 5], axis=1)  # the best pair alone, 10/20, would leave the second object without partner
    assert object_scores(prediction, target)["mean_iou"] == pytest.approx((5 / 15 + 5 / 15) / 2)


def test_an_iou_of_exactly_one_half_is_a_hit_of_one_object_only_but_not_of_panoptic_quality():
    scores = object_scores(np.array([[1, 1, 2, 2]]), np.array([[7, 7, 7, 7]]))
    assert scores["ap_50"] == 1 / 2
    assert scores["pq"] == 0


@pytest.mark.parametrize("percent", range(50, 100, 5))
def test_an_iou_that_equals_a_threshold_reaches_it(percent):
    target = np.ones((1, 100), int)
    prediction = (np.arange(100) < percent)[None]
    assert object_scores(prediction, target)["map"] == pytest.approx((percent // 5 - 9) / 10)


@by_shape
def test_a_perfect_prediction_has_scores_of_1_whatever_its_numbers(shape):
    _, target = objects(shape, 0)
    renumbered = np.where(target > 0, 2_000_000_000 - 7919 * target.astype(np.int64), 0)
    assert object_scores(renumbered, target) == pytest.approx(dict.fromkeys(NAMES, 1.0))


def test_without_any_object_nothing_is_scored():
    empty = np.zeros((5, 6), int)
    scores = object_scores(empty, empty)
    assert scores.keys() == NAMES
    assert all(map(math.isnan, scores.values()))
    assert objects_table(empty, empty) == []


@pytest.mark.parametrize("turned", [False, True])
def test_objects_in_one_image_only_score_0(turned):
    images = [np.zeros((5, 6), int), np.eye(5, 6, dtype=int)]
    assert object_scores(*images[:: -1 if turned else 1]) == dict.fromkeys(NAMES, 0.0)


@by_shape
def test_excluded_pixels_are_background_in_both_images(shape):
    prediction, target = (image.astype(np.float32) for image in objects(shape, 1))
    cost_map = (np.random.default_rng(0).random(shape) > 0.3).astype(np.float32)
    expected = object_scores(prediction * cost_map, target * cost_map)
    target[cost_map == 0], prediction[cost_map == 0] = np.nan, -5
    assert object_scores(prediction[None], target[None], cost_map[None]) == expected
    assert object_scores(prediction, target[None], cost_map) == expected


def test_each_object_of_the_target_has_a_row():
    target = np.array([[2, 2, 2, 0, 9, 9, 9, 9, 0, 4]])
    prediction = np.array([[1, 1, 0, 0, 0, 0, 0, 3, 3, 0]])
    assert objects_table(prediction, target) == [
        {"object": 2, "iou": pytest.approx(2 / 3), "matched": True},
        {"object": 4, "iou": 0.0, "matched": False},
        {"object": 9, "iou": pytest.approx(1 / 5), "matched": False},
    ]


@pytest.mark.parametrize("function", [object_scores, objects_table, lambda *images: class_scores(*images[:2], 3, *images[2:])])
@pytest.mark.parametrize("value", [-1.0, 0.5, math.nan, math.inf])
def test_what_is_no_label_image_is_refused(function, value):
    image = np.array([[0, 1, value]])
    with pytest.raises(ValueError, match=f"holds whole numbers from 0, got {value:g} in the target; check data.root"):
        function(np.zeros((1, 3), int), image)
    function(np.zeros((1, 3), int), image, np.array([[1, 1, 0]]))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"must have one shape, got .*\(4, 5\).*\(4, 6\).*; check the pairing"):
        object_scores(np.zeros((1, 4, 5)), np.zeros((4, 6)))
    with pytest.raises(ValueError, match=r"'cost map': \(5, 4\)"):
        object_scores(np.zeros((4, 5)), np.zeros((4, 5)), np.zeros((5, 4)))


def test_class_scores_of_a_worked_example():
    target = np.array([[0, 0, 1, 1, 1, 2]])
    prediction = np.array([[0, 1, 1, 1, 2, 2]])
    scores = class_scores(prediction, target, ["background", "nucleus", "membrane"])
    assert scores == pytest.approx(
        {
            "dice": (4 / 6 + 2 / 3) / 2,
            "iou": (2 / 4 + 1 / 2) / 2,
            "f1": (4 / 6 + 2 / 3) / 2,
            "dice/nucleus": 4 / 6,
            "dice/membrane": 2 / 3,
            "iou/nucleus": 2 / 4,
            "iou/membrane": 1 / 2,
            "f1/nucleus": 4 / 6,
            "f1/membrane": 2 / 3,
        }
    )


@by_shape
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_the_iou_of_each_class_is_that_of_monai(shape, dtype):
    prediction, target = np.random.default_rng(0).integers(0, 5, (2, *shape)).astype(dtype)
    one_hot = (torch.tensor(np.stack([image == index for index in range(5)])[None]) for image in (prediction, target))
    expected = compute_iou(*one_hot, include_background=False)[0].tolist()
    scores = class_scores(prediction, target, 5)
    assert [scores[f"iou/{index}"] for index in range(1, 5)] == pytest.approx(expected)
    assert scores["iou"] == pytest.approx(np.mean(expected))


def test_a_class_that_neither_image_has_is_left_out_of_the_mean():
    image = np.array([[0, 1, 1, 3]])
    scores = class_scores(np.where(image == 3, 0, image), image, 4)
    assert math.isnan(scores["dice/2"])
    assert scores["dice/3"] == 0
    assert scores["dice"] == 1 / 2


def test_without_any_class_nothing_is_scored():
    empty = np.zeros((1, 4, 5))
    assert all(map(math.isnan, class_scores(empty, empty, 2).values()))


def test_class_scores_of_a_cost_map_are_those_of_the_pixels_it_leaves():
    prediction, target = np.random.default_rng(0).integers(0, 3, (2, 20, 20)).astype(float)
    expected = class_scores(prediction[:, :8], target[:, :8], 3)
    cost_map = np.ones((20, 20))
    cost_map[:, 8:] = 0
    target[:, 8:] = 77
    assert class_scores(prediction, target, 3, cost_map) == expected


def test_an_index_beyond_the_classes_is_refused():
    good, bad = np.array([[0, 1]], np.uint8), np.array([[0, 255]], np.uint8)
    with pytest.raises(ValueError, match=r"of the target must be a class index from 0 to 1, got 255; change task\.classes"):
        class_scores(good, bad, 2)
    with pytest.raises(ValueError, match=r"of the prediction must be a class index from 0 to 1, got 255"):
        class_scores(bad, good, 2)
