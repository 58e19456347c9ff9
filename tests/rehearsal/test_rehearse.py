import copy

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from tests_rehearsed import FRAMEWORKS, learner, trainer

from im2im.randomness import random_state
from im2im.rehearsal.rehearse import rehearse


class Changes(pl.Callback):
    """Tells which of the copy's parameters and buffers differ from the first ones."""

    def __init__(self, framework) -> None:
        self.before = copy.deepcopy(framework.state_dict())
        self.changed: set[str] = set()

    def on_fit_end(self, trainer, pl_module) -> None:
        after = pl_module.state_dict()
        self.changed = {name for name, value in self.before.items() if not torch.equal(value, after[name])}
        self.pools = [len(judge.pool.images) for judge in getattr(pl_module, "judges", {}).values()]
        torch.rand(3), np.random.rand(3)


def same(one, other) -> bool:
    """Compare nested containers of tensors and numbers."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return len(one) == len(other) and all(map(same, one, other)) if isinstance(one, list) else one == other


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_rehearsal_trains_a_copy_and_leaves_everything_as_it_was(name):
    framework, _, batch = learner(name)
    watch, state = Changes(framework), random_state()
    mode = [module.training for module in framework.modules()]
    rehearse(trainer(), framework, [batch] * 2, watch)
    assert all(any(part in changed for changed in watch.changed) for part in ("weight", "running_mean"))
    assert all(watch.pools)
    assert same(framework.state_dict(), watch.before)
    assert same(random_state(), state)
    assert [module.training for module in framework.modules()] == mode
    assert not any(judge.pool.images for judge in getattr(framework, "judges", {}).values())
    assert all(parameter.grad is None for parameter in framework.parameters())
    assert framework.means["train"].take() == {}


def test_random_numbers_go_on_as_before_after_a_rehearsal_that_failed():
    framework, _, batch = learner("fcn")
    state = random_state()
    with pytest.raises(RuntimeError, match="out of order"):
        rehearse(trainer(), framework, [batch], Failing())
    assert same(random_state(), state)


class Failing(pl.Callback):
    def on_train_batch_end(self, *_):
        torch.rand(3)
        raise RuntimeError("out of order")


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_rehearsal_validates_the_copy(name):
    framework, _, batch = learner(name)
    watch = Validated()
    rehearse(trainer(), framework, [batch], watch, validation=[batch])
    assert "val/loss" in watch.metrics
    assert len(watch.metrics) > 1  # what the task makes of the prediction
    assert framework.means["val"].take() == {}


class Validated(pl.Callback):
    """Remembers the metrics."""

    def on_validation_end(self, trainer, pl_module) -> None:
        self.metrics = {name for name in trainer.callback_metrics if name.startswith("val/")}
