import math
import time

import pytest
from omegaconf import OmegaConf

from im2im.search.budget import TRAINED, Budget, budget, lengths, share


def settings(**search):
    shared = {"hours": 1.0, "share_hours": True, "rungs": 2, "reduction": 4, "parallel": 1, "folds": None}
    return OmegaConf.create({"max_epochs": 20, "max_time": None, "search": shared | search})


def test_all_trials_have_their_share_of_the_hours():
    cfg = settings()
    found = budget(cfg, share(cfg, lengths(cfg), 12))
    assert found.left(5, 0.0) == pytest.approx(TRAINED * 3600 * 5 / 120)
    assert found.left(20, 100.0) == pytest.approx(TRAINED * 3600 * 20 / 120)  # the trainer counts what was spent before


@pytest.mark.parametrize(
    ("given", "shared", "epochs"),
    [(False, True, 80), (True, True, 20), (False, False, 20)],
)
def test_small_networks_may_train_for_more_epochs_in_their_time(given, shared, epochs):
    cfg = settings(share_hours=shared)
    assert budget(cfg, share(cfg, lengths(cfg), 12), given).stretched(20) == epochs


def test_a_training_ends_with_the_hours_and_no_later_than_the_task_says():
    found = Budget(end=time.monotonic() + 60, each=50.0)
    assert found.left(5, 30.0) == 50.0
    assert found.left(5, 5.0) == 50.0
    assert Budget(end=time.monotonic() + 20, each=50.0).left(5, 5.0) == pytest.approx(25, abs=1)
    assert Budget(end=time.monotonic() - 20).left(5, 5.0) == 6.0


def test_without_hours_there_is_no_end():
    cfg = settings(hours=None, share_hours=False)
    assert budget(cfg, share(cfg, lengths(cfg), 12)).left(5, 0.0) == math.inf
