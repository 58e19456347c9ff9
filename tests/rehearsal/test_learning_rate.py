import math
from dataclasses import replace

import numpy as np
import pytest
from tests_rehearsed import FRAMEWORKS, learner, trainer

from im2im.rehearsal import learning_rate
from im2im.rehearsal.learning_rate import BATCHES, FASTEST, SLOWEST, STEPS, Curve, diverged, range_test

RATES = np.geomspace(SLOWEST, FASTEST, STEPS)


def valley(falls: float, rises: float) -> np.ndarray:
    """A loss that falls at one rate, by half, and rises at another one."""
    return 1 - 0.5 / (1 + (falls / RATES) ** 2) + (RATES / rises) ** 2


def test_the_suggestion_lies_between_the_steepest_fall_and_the_lowest_loss():
    assert 1e-3 < Curve(RATES, valley(1e-3, 1.0)).suggestion() < 1e-1
    assert 1e-5 < Curve(RATES, valley(1e-5, 1e-2)).suggestion() < 1e-3


def test_batches_that_differ_do_not_move_it():
    losses = valley(1e-3, 1.0)
    noise = np.tile(np.random.default_rng(0).normal(0, 0.3, BATCHES), STEPS)[:STEPS]
    assert Curve(RATES, losses + noise).suggestion() == Curve(RATES, losses).suggestion()


@pytest.mark.parametrize("losses", [np.ones(STEPS), np.linspace(1, 2, STEPS), np.linspace(1, 0.99, STEPS), np.ones(BATCHES)])
def test_nothing_is_suggested_where_the_loss_falls_nowhere(losses):
    assert Curve(RATES[: len(losses)], losses).suggestion() is None


def test_a_loss_diverges_by_what_the_same_batch_had_at_first():
    first = [float(number) for number in range(1, BATCHES + 1)]
    assert diverged(first, 5.0)
    assert not diverged([*first, 1.0], 5.0)
    assert not diverged([], 1e9)
    assert diverged([], math.nan)
    assert diverged(first, math.inf)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_all_rates_rise_together_and_the_curve_is_that_of_the_network(name, monkeypatch):
    monkeypatch.setattr(learning_rate, "STEPS", 4)
    framework, data, _ = learner(name)
    seen = []
    step = type(framework).training_step

    def spied(self, batch, batch_idx):
        seen.append([group["lr"] for optimizer in self.trainer.optimizers for group in optimizer.param_groups])
        step(self, batch, batch_idx)

    monkeypatch.setattr(type(framework), "training_step", spied)
    framework.optimization = replace(framework.optimization, accumulate=2)
    configured = framework.optimization.optimizer.keywords["lr"]
    curve = range_test(trainer(), framework, data, configured)
    assert len(curve.losses) == 4
    assert np.isfinite(curve.losses).all()
    assert len(seen) == 8
    assert [rates[0] for rates in seen[::2]] == pytest.approx(curve.rates)
    assert all(rates == [rates[0]] * len(framework.parameters_by_optimizer()) for rates in seen)


def test_what_an_opponent_raises_does_not_count(monkeypatch):
    monkeypatch.setattr(learning_rate, "STEPS", 1)
    framework, data, _ = learner("pix2pix")
    framework.weights = replace(framework.weights, adversarial=0.0)
    alone = range_test(trainer(), framework, data, 2e-4)
    framework.weights = replace(framework.weights, adversarial=1000.0)
    assert range_test(trainer(), framework, data, 2e-4).losses == pytest.approx(alone.losses)


def test_a_loss_that_is_no_number_ends_the_sweep(monkeypatch):
    framework, data, _ = learner("fcn")
    loss, calls = type(framework).loss, []

    def failing(self, prediction, batch):
        calls.append(1)
        return loss(self, prediction, batch) * (math.nan if len(calls) > 5 else 1.0)

    monkeypatch.setattr(type(framework), "loss", failing)
    curve = range_test(trainer(), framework, data, 1e-3)
    assert (len(curve.losses), len(calls)) == (5, 6)
    assert curve.suggestion() is None


def test_the_curve_is_written_as_a_table(tmp_path):
    Curve(RATES[:2], np.array([1.0, 0.5])).write(tmp_path / "lr_finder.csv")
    assert (tmp_path / "lr_finder.csv").read_text() == "learning_rate,loss\n1e-06,1\n1.168e-06,0.5\n"
