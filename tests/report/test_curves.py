import re

import numpy as np
import pytest

from im2im.report.axis import Axis, linear_ticks, log_ticks, tick_label, whole_ticks
from im2im.report.curves import Series, line_chart, strip_chart


def series(name, *values):
    return Series(name, np.arange(len(values), dtype=float), np.array(values, dtype=float))


def positions(svg):
    return [tuple(map(float, point.split(","))) for point in re.search(r'points="([^"]*)"', svg)[1].split()]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1)), (0.31, 0.58, (0.3, 0.4, 0.5, 0.6)), (-3, 12, (-5, 0, 5, 10, 15)), (2, 2, (1.8, 1.9, 2, 2.1, 2.2))],
)
def test_linear_ticks_are_round_and_hold_the_values(low, high, expected):
    assert linear_ticks(low, high) == pytest.approx(expected)


def test_log_ticks_are_round_and_hold_the_values():
    assert log_ticks(0.03, 1.5) == pytest.approx((0.02, 0.05, 0.1, 0.2, 0.5, 1, 2))
    assert log_ticks(1.5e-6, 3e3) == pytest.approx((1e-6, 1e-5, 1e-3, 1e-1, 1e1, 1e3, 5e3))


def test_epochs_are_written_in_whole_numbers():
    assert whole_ticks(0, 39) == (0, 10, 20, 30, 39)
    assert all(tick == round(tick) for tick in whole_ticks(0, 3))


@pytest.mark.parametrize(("value", "label"), [(0.1 + 0.2, "0.3"), (-2.0, "−2"), (1e-7, "1e−7"), (20000, "20000")])
def test_tick_labels_are_short(value, label):
    assert tick_label(value) == label


def test_axis_lays_values_out_between_its_ends():
    axis = Axis.around(0, 10, 100, 0)
    assert (axis(0), axis(5), axis(10)) == (100, 50, 0)
    assert Axis.around(1, 100, 0, 10, log=True)(10) == pytest.approx(5)


def test_line_falls_when_values_fall():
    points = positions(line_chart("loss", [series("a", 3, 2, 1)]))
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)


@pytest.mark.parametrize(("values", "log"), [((100, 1, 2), True), ((3, 1, 2), False), ((100, 0, 1), False), ((100, -1, 2), False)])
def test_axis_is_logarithmic_for_a_wide_positive_range(values, log):
    assert ("log scale" in line_chart("loss", [series("a", *values)])) == log


def test_single_point_is_a_dot():
    svg = line_chart("loss", [series("a", 0.5)])
    assert "<polyline" not in svg
    assert svg.count("<circle") == 1
    assert "nan" not in svg


def test_lines_are_labelled_where_there_are_several():
    svg = line_chart("loss", [series("train", 1, 2), series("<val>", 1, 2)])
    assert ">train</text>" in svg
    assert ">&lt;val&gt;</text>" in svg
    assert ">train</text>" not in line_chart("loss", [series("train", 1, 2)])


def test_labels_of_lines_that_end_together_do_not_touch():
    svg = line_chart("loss", [series(name, 1, 2) for name in "abcd"])
    heights = sorted(float(y) for y in re.findall(r'class="label[^>]* y="([\d.]+)"', svg))
    assert len(heights) == 4
    assert (np.diff(heights) >= 14.9).all()
    assert heights[0] > 0


def test_nothing_to_plot_is_no_plot():
    assert line_chart("loss", [series("a")]) == ""
    assert strip_chart("pearson", [float("nan")], ["a"]) == ""


def test_every_image_is_a_dot_with_its_name():
    svg = strip_chart("pearson", [0.5, 0.5, float("nan"), 0.9], ["a", "<b>", "c", "d"])
    assert svg.count("<circle") == 3
    assert "<title>&lt;b&gt;: 0.500</title>" in svg
    assert "median 0.500" in svg


def test_dots_that_would_touch_stand_on_each_other():
    svg = strip_chart("pearson", [0.5] * 3 + [0.9], list("abcd"))
    places = re.findall(r'cx="([\d.]+)" cy="(\d+)"', svg)
    assert len(set(places)) == 4


def test_number_of_dots_is_limited():
    assert strip_chart("pearson", list(np.linspace(0, 1, 5000)), ["a"] * 5000).count("<circle") == 1000
