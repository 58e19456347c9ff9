import logging
from types import SimpleNamespace

import pytest

from im2im.stages import baselines
from im2im.stages.baselines import compare, within_limit


def trainer(monitor=None):
    return SimpleNamespace(checkpoint_callbacks=[SimpleNamespace(monitor=monitor)])


@pytest.mark.parametrize(
    ("monitor", "network", "told"),
    [
        ("val/pearson", {"pearson": 0.8, "nrmse": 0.9}, False),
        ("val/pearson", {"pearson": 0.6, "nrmse": 0.1}, True),
        ("val/pearson", {"pearson": 0.7, "nrmse": 0.1}, True),
        ("val/nrmse", {"pearson": 0.6, "nrmse": 0.1}, False),
        ("val/nrmse", {"pearson": 0.8, "nrmse": 0.9}, True),
        ("val/loss", {"pearson": 0.8, "nrmse": 0.9}, False),
    ],
)
def test_the_monitored_metric_decides_in_its_own_direction(monitor, network, told, caplog):
    others = {"identity": {"pearson": 0.7, "nrmse": 0.5}, "gaussian": {"pearson": 0.5, "nrmse": 0.3}}
    with caplog.at_level(logging.WARNING):
        found = compare(trainer(monitor), [network], [others])
    assert next(iter(found)) == ("gaussian" if monitor == "val/nrmse" else "identity")
    assert bool(caplog.records) == told


def test_a_network_without_any_finite_score_is_worse_than_a_baseline_that_has_one(caplog):
    with caplog.at_level(logging.WARNING):
        compare(trainer(), [{"dice": float("nan")}], [{"otsu": {"dice": 0.1}}])
    assert "Dice – against 0.100" in caplog.text


def test_of_too_many_pixels_some_images_that_are_spread_evenly_are_scored(monkeypatch):
    entries = [SimpleNamespace(target=SimpleNamespace(shape=(5, 1, 1, 10, 10)))] * 9
    assert within_limit(entries) == list(range(9))
    monkeypatch.setattr(baselines, "LIMIT", 300)
    assert within_limit(entries) == [0, 4, 8]
    monkeypatch.setattr(baselines, "LIMIT", 1)
    assert within_limit(entries) == [0]
