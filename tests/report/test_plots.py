import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from im2im.report.plots import bar_chart, dots_chart, history_chart, parallel_chart

TRIALS = pd.DataFrame(
    {
        "trial": [0, 1, 2, 3],
        "state": ["complete", "pruned", "complete", "fail"],
        "value": [0.5, 0.3, 0.7, None],
        "learning_rate": [1e-4, 1e-2, 1e-3, 1e-1],
        "network": ["fnet", "unet", "fnet <b>", "unet"],
    }
)


def parsed(svg):
    return ElementTree.fromstring(svg)


def points(svg, kind):
    lines = re.findall(rf'class="{kind}[^"]*" points="([^"]+)"', svg)
    return [[tuple(map(float, one.split(","))) for one in line.split()] for line in lines]


@pytest.mark.parametrize("maximize", [True, False])
def test_the_history_shows_each_value_and_the_best_so_far(maximize):
    svg = history_chart("history", TRIALS, maximize)
    assert len(parsed(svg).findall("circle")) == 3
    (line,) = points(svg, "line s0")
    assert (line[-1][1] < line[0][1]) == maximize or not maximize
    assert line[-1][1] == (min if maximize else max)(y for _, y in line)


def test_bars_are_as_long_as_their_share_and_ordered():
    svg = bar_chart("importance", {"a": 0.25, "b": 0.75})
    widths = [float(one.get("width")) for one in parsed(svg).findall("rect")]
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.01)
    assert svg.index(">b<") < svg.index(">a<")


def test_each_trial_is_a_way_through_all_choices():
    svg = parallel_chart("ways", TRIALS, ["learning_rate", "network"], maximize=True)
    ways = points(svg, "way")
    assert len(ways) == 3
    assert all(len(way) == 3 for way in ways)
    assert "fnet &lt;b&gt;" in svg
    assert 'class="way best"' in svg
    parsed(svg)


def test_dots_of_each_group_have_a_row_and_a_mean():
    svg = dots_chart("values", {"a": [0.1, 0.3], "b": [0.5, float("nan")]})
    assert len(parsed(svg).findall("circle")) == 3
    assert svg.count('class="median"') == 2


def test_nothing_is_drawn_of_nothing():
    empty = TRIALS.assign(value=None)
    assert (
        history_chart("a", empty, True) == parallel_chart("a", empty, ["network"], True) == bar_chart("a", {}) == dots_chart("a", {}) == ""
    )
