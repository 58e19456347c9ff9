import logging
from types import SimpleNamespace

import numpy as np
import pytest

from im2im.stages import baselines
from im2im.stages.baselines import allowed_seconds, compare, regions_within, score_part, seconds_per_pixel


@pytest.mark.parametrize(
    ("decides", "network", "told"),
    [
        (("pearson", True), {"pearson": 0.8, "nrmse": 0.9}, False),
        (("pearson", True), {"pearson": 0.6, "nrmse": 0.1}, True),
        (("pearson", True), {"pearson": 0.7, "nrmse": 0.1}, True),
        (("nrmse", False), {"pearson": 0.6, "nrmse": 0.1}, False),
        (("nrmse", False), {"pearson": 0.8, "nrmse": 0.9}, True),
    ],
)
def test_the_metric_that_decides_does_so_in_its_own_direction(decides, network, told, caplog):
    others = {"identity": {"pearson": 0.7, "nrmse": 0.5}, "gaussian": {"pearson": 0.5, "nrmse": 0.3}}
    with caplog.at_level(logging.WARNING):
        found = compare(decides, [network], [others], "test", "train longer")
    assert next(iter(found)) == ("gaussian" if decides[0] == "nrmse" else "identity")
    assert bool(caplog.records) == told


NAN = float("nan")


@pytest.mark.parametrize(
    ("network", "baseline", "told"),
    [
        ([NAN], [0.0], ""),  # right about an image without objects
        ([NAN, 0.6], [0.9, 0.5], ""),
        ([0.1, 0.4, NAN], [NAN, 0.5, 0.1], "Dice 0.400 against 0.500 on 1 test image; "),
        ([0.1, 0.4], [0.2, 0.5], "Dice 0.250 against 0.350 on 2 test images; "),
        ([0.1], [NAN], ""),
    ],
)
def test_only_images_where_both_have_a_figure_are_compared(network, baseline, told, caplog):
    with caplog.at_level(logging.WARNING):
        compare(("dice", True), [{"dice": one} for one in network], [{"otsu": {"dice": one}} for one in baseline], "test", "train longer")
    assert told in caplog.text
    assert bool(caplog.records) == bool(told)


def test_a_share_of_the_training_is_spent_on_baselines():
    assert allowed_seconds({"seconds": 3600.0}, spent=10.0) == 170.0
    assert allowed_seconds({"seconds": 1.0}, spent=10.0) == baselines.LEAST
    assert allowed_seconds(None, spent=10.0) == baselines.ALONE


@pytest.mark.parametrize(
    ("pixels", "numbers"),
    [(1e9, [0, 1, 2, 3, 4, 5, 6, 7, 8]), (900, [0, 1, 2, 3, 4, 5, 6, 7, 8]), (300, [0, 4, 8]), (299, [0, 8]), (100, [0]), (1, [0])],
)
def test_as_many_images_as_there_is_time_for_are_scored_spread_evenly(pixels, numbers):
    assert regions_within([(10, 10)] * 9, pixels) == dict.fromkeys(numbers, ())


def test_images_of_different_sizes_stay_within_the_pixels():
    shapes = [(10, 10), (100, 100), (10, 10)]
    assert regions_within(shapes, 5000) == {0: (), 2: ()}


@pytest.mark.parametrize(
    ("shape", "region"),
    [((400, 1000), (slice(0, 400), slice(375, 625))), ((4, 200, 300), (slice(0, 4), slice(50, 150), slice(75, 225)))],
)
def test_of_a_single_image_that_takes_too_long_the_middle_is_scored(shape, region, monkeypatch):
    monkeypatch.setattr(baselines, "SMALLEST", 1)
    assert regions_within([shape], 100_000) == {0: region}


def test_a_small_image_is_scored_however_long_it_takes():
    assert regions_within([(256, 256)], 1) == {0: ()}


def test_the_time_of_a_pixel_is_measured_on_the_middle_of_an_image_with_all_its_channels(monkeypatch):
    monkeypatch.setattr(baselines, "TIMED", 4 * 600)
    calls, times = [], iter([0.0, 100.0, 100.0, 106.0])
    entry = SimpleNamespace(source=SimpleNamespace(shape=(1, 3, 1, 40, 30)), target=SimpleNamespace(shape=(1, 1, 1, 40, 30)))
    cutter = SimpleNamespace(
        normalized=lambda entry, region: (np.zeros((3, 40, 30))[(slice(None), *region)], np.zeros((1, 40, 30))[(slice(None), *region)]),
        given_cost_map=lambda entry, region: None,
    )
    data = SimpleNamespace(cutter=cutter, source=SimpleNamespace(spatial_shape=lambda image: (40, 30)))
    task = SimpleNamespace(cost_map=lambda batch: None, score=lambda *_: {})

    def baseline(source, included):
        calls.append(source.shape)

    assert seconds_per_pixel(task, data, entry, {"mine": baseline}, clock=lambda: next(times)) == 6.0 / 600  # the second call
    assert calls == [(3, 20, 30)] * 2


def test_baselines_see_which_pixels_are_scored_on_the_region_alone():
    seen = {}
    task = SimpleNamespace(
        cost_map=lambda batch: batch["cost_map"], score=lambda found, target, cost_map: {"sum": float((found * cost_map).sum())}
    )

    def baseline(source, included):
        seen["included"] = included
        return source

    source, cost_map = np.arange(16.0).reshape(1, 4, 4), np.ones((1, 4, 4))
    source[0, 1, 1], cost_map[0, 2, 2] = np.nan, 0
    found = score_part(task, {"mine": baseline}, (slice(1, 4), slice(2, 4)), source, np.zeros((1, 4, 4)), cost_map)
    np.testing.assert_array_equal(seen["included"], [[True, True], [False, True], [True, True]])
    assert found == {"mine": {"sum": 6.0 + 7 + 11 + 14 + 15}}
