import json
from dataclasses import asdict

import numpy as np
import pytest

from im2im.baselines.sample import Sample
from im2im.baselines.segmentation import Histogram, Otsu, OtsuComponents


def sample(source, truth, included=None):
    return Sample(source, truth, np.ones(source.shape[1:], bool) if included is None else included)


def squares():
    """Four squares of 8 × 8 pixels, numbered, 1YX."""
    labels = np.zeros((1, 40, 40), np.int32)
    for number, (y, x) in enumerate([(4, 4), (4, 25), (25, 4), (25, 25)], start=1):
        labels[0, y : y + 8, x : x + 8] = number
    return labels


def image(labels, foreground):
    """Foreground of a value on background of 0, 1YX."""
    return (foreground * (labels > 0)).astype(np.float32)


@pytest.mark.parametrize(("foreground", "bright"), [(1, True), (-1, False)])
def test_otsu_picks_the_side_of_the_foreground(foreground, bright):
    truth = squares()
    fitted = Otsu.fit([sample(image(truth, foreground), truth)])
    assert fitted == Otsu(channel=0, bright=bright)
    np.testing.assert_array_equal(fitted(image(truth, 5 * foreground)), truth > 0)


def test_otsu_picks_the_channel_that_shows_the_foreground():
    truth = squares()
    noise = np.random.default_rng(1).normal(scale=3, size=truth.shape).astype(np.float32)
    assert Otsu.fit([sample(np.concatenate([noise, image(truth, 1), noise]), truth)]).channel == 1
    halves = np.concatenate([image(truth, 1) + noise, image(truth, 1) - noise])
    assert Otsu.fit([sample(halves, truth)]).channel is None


def test_otsu_does_not_look_at_excluded_pixels():
    truth, included = squares(), np.zeros((40, 40), bool)
    included[:20] = True
    wrong = np.where(included, truth > 0, truth == 0)
    assert Otsu.fit([sample(image(truth, -1), wrong, included)]) == Otsu(channel=0, bright=False)


@pytest.mark.parametrize("kind", [Otsu, OtsuComponents])
@pytest.mark.parametrize("outside", [1000, np.nan], ids=["bright", "NaN"])
def test_otsu_takes_its_threshold_from_included_pixels(kind, outside):
    truth, included = squares(), np.zeros((40, 40), bool)
    included[:20] = True
    source = np.where(included, image(truth, 1), outside)  # far from both intensities
    fitted = kind.fit([sample(source, truth, included)])
    assert fitted.bright
    np.testing.assert_array_equal(fitted(source, included)[:, :20] > 0, truth[:, :20] > 0)


def test_an_image_of_which_nothing_is_included_has_no_foreground():
    fitted = Otsu(channel=0, bright=True)
    assert not fitted(image(squares(), 1), np.zeros((40, 40), bool)).any()


@pytest.mark.parametrize("kind", [Otsu, OtsuComponents])
def test_nothing_is_fitted_without_foreground(kind):
    assert kind.fit([sample(image(squares(), 1), 0 * squares())]) is None


def test_components_drop_what_is_smaller_than_objects():
    truth = squares()
    source = image(truth, 1)
    source[0, 18, 5:38:4] = 1  # dirt
    fitted = OtsuComponents.fit([sample(source, truth)])
    assert 1 < fitted.min_size <= 32
    assert len(np.unique(fitted(source))) == 1 + 4
    np.testing.assert_array_equal(fitted(source) > 0, truth > 0)
    assert fitted(source).dtype == np.int32


def test_components_of_a_stack_reach_through_its_planes():
    truth = np.stack([squares()] * 3, axis=1)
    fitted = OtsuComponents.fit([sample(image(truth, 1), truth)])
    np.testing.assert_array_equal(fitted(image(truth, 1)), truth)


def test_histogram_gives_the_most_frequent_class_of_an_intensity():
    truth = np.random.default_rng(0).integers(0, 3, (1, 60, 60)).astype(np.int32)
    values = np.array([2.0, -1.0, 7.0], np.float32)
    fitted = Histogram.fit([sample(values[truth], truth)])
    np.testing.assert_array_equal(fitted(values[truth[:, :9]]), truth[:, :9])
    np.testing.assert_array_equal(fitted(np.array([[[-50, 50]]], np.float32)), [[[1, 2]]])
    assert fitted(values[truth]).dtype == np.uint8


def test_histogram_takes_the_channel_that_tells_most_pixels_right():
    truth = np.random.default_rng(0).integers(0, 3, (1, 60, 60)).astype(np.int32)
    noise = np.random.default_rng(1).normal(size=(1, 60, 60)).astype(np.float32) * 50
    assert Histogram.fit([sample(np.concatenate([noise, truth.astype(np.float32)]), truth)]).channel == 1


def test_histogram_of_a_constant_image_gives_the_most_frequent_class():
    truth = np.array([[[0, 2, 2, 2]]], np.int32)
    fitted = Histogram.fit([sample(np.ones((1, 1, 4), np.float32), truth)])
    np.testing.assert_array_equal(fitted(np.ones((1, 1, 4), np.float32)), [[[2, 2, 2, 2]]])


@pytest.mark.parametrize("kind", [Otsu, OtsuComponents, Histogram])
def test_json_gives_the_same_baseline_back(kind):
    fitted = kind.fit([sample(image(squares(), 1), squares())])
    assert kind(**json.loads(json.dumps(asdict(fitted)))) == fitted
