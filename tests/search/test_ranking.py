from types import SimpleNamespace

import pytest

from im2im.search import ranking
from im2im.search.ranking import SweepTimeLeft, show_ranking


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(ranking.time, "monotonic", lambda: now.seconds)
    return now


def test_the_time_left_follows_from_what_is_done(clock):
    left = SweepTimeLeft(total=4)
    clock.seconds += 60
    assert left.add(1) == ", about 0:03:00 left"
    clock.seconds += 20
    assert left.add(1) == ", about 0:01:20 left"
    assert left.add(2) == ""


def test_no_more_time_is_left_than_is_allowed(clock):
    left = SweepTimeLeft(total=10, end=150.0)
    clock.seconds += 40
    assert left.add(1) == ", about 0:00:10 left"


def test_a_ranking_counts_from_1_in_the_order_given(capsys):
    show_ranking("2 of 2 trials", ["val/pearson"], [["0.9"], ["0.5"]])
    rows = [line.strip("│ ").split("│") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [["1", "0.9"], ["2", "0.5"]]
