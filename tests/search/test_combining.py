import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from im2im.search.combining import combined

SPACE = {"loss": CategoricalDistribution(("mse", "l1", "huber")), "batch": CategoricalDistribution((8, 4)), "rate": FloatDistribution(0, 1)}
DEFAULT = {"loss": "mse", "batch": 8, "rate": 0.1}


def trial(number, value, default=False, **changes):
    attributes = {"reached": {} if value is None else {"5": [value]}, **({"default": True} if default else {})}
    made = optuna.create_trial(state=optuna.trial.TrialState.PRUNED, params=DEFAULT | changes, distributions=SPACE, user_attrs=attributes)
    made.number = number
    return made


def trials(*values):
    changes = ({"loss": "l1"}, {"batch": 4}, {"rate": 0.2}, {"loss": "huber"})
    singles = [trial(place + 1, value, **change) for place, (value, change) in enumerate(zip(values, changes, strict=True))]
    return [trial(0, 0.5, default=True), *singles, trial(9, 0.99, loss="l1", batch=4)]


def test_all_changes_that_helped_are_put_together_then_the_best_of_them():
    found = combined(trials(0.6, 0.8, 0.7, 0.9), 5, maximize=True)
    assert found == [
        {"loss": "huber", "batch": 4, "rate": 0.2},
        {"loss": "huber", "batch": 4, "rate": 0.1},
    ]


@pytest.mark.parametrize(("values", "count"), [((0.4, 0.8, 0.3, 0.1), 0), ((None, 0.8, 0.7, None), 1), ((0.4, 0.4, 0.4, 0.4), 0)])
def test_what_did_not_help_is_left_out(values, count):
    assert len(combined(trials(*values), 5, maximize=True)) == count


def test_less_may_be_better():
    assert combined(trials(0.4, 0.6, 0.3, 0.45), 5, maximize=False) == [{"loss": "l1", "batch": 8, "rate": 0.2}]


def test_without_a_default_nothing_is_known_to_help():
    assert combined(trials(0.6, 0.8, 0.7, 0.9)[1:], 5, maximize=True) == []
