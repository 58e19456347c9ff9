import json
from types import SimpleNamespace

import optuna
import pytest
import torch
from tests_searching import trials_in
from tests_shared import SMALL, SMALL_GAN, command

from im2im.search.pruning import Pruning
from im2im.search.storage import STORAGE


def trainer(score, epoch=0):
    alone = SimpleNamespace(broadcast=lambda decision: decision)
    metrics = {"val/pearson": torch.tensor(score)}
    return SimpleNamespace(callback_metrics=metrics, current_epoch=epoch, should_stop=False, is_global_zero=True, strategy=alone)


def callback(pruner="median", trial=0):
    return Pruning("search", trial, "val/pearson", pruner, first=1, last=4)


@pytest.fixture
def found(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/search.sqlite"
    monkeypatch.setenv(STORAGE, url)
    return trials_in(url, 8, {"x": "interval(-5,5)"})


def test_a_trial_that_is_worse_than_most_stops(found):
    for trial in found.ask(5):
        for epoch in range(3):
            trial.report(0.5 + 0.1 * trial.number, epoch + 1)
        found.study.tell(trial.number, [0.5 + 0.1 * trial.number])
    good, bad = found.ask(2)
    stopped = {}
    for trial, score in ((good, 0.9), (bad, 0.1)):
        one, running = callback(trial=trial.number), trainer(score, epoch=2)
        one.on_validation_end(running, None)
        stopped[trial.number] = (one.pruned, running.should_stop)
    assert stopped == {good.number: (False, False), bad.number: (True, True)}
    assert found.study.trials[bad.number].intermediate_values == {3: pytest.approx(0.1)}


@pytest.mark.parametrize("framework", [[], ["framework=pix2pix", *SMALL_GAN]])
def test_a_training_of_every_kind_stops(framework, found, tmp_path):
    for trial in found.ask(5):
        for epoch in (1, 2, 3):
            trial.report(1.0, epoch)
        found.study.tell(trial.number, [1.0])
    found.ask(1)
    told = {"_target_": "im2im.search.pruning.Pruning", "study": "search", "trial": 5, "monitor": "val/pearson", "pruner": "median"}
    settings = [f"+callbacks.pruning.{key}={value}" for key, value in {**told, "first": 2, "last": 9}.items()]
    run = command(tmp_path, *SMALL, *framework, *settings, "max_epochs=9")
    assert json.loads((run / "metrics.json").read_text())["train"]["epochs"] == 2


def test_nothing_is_reported_where_nothing_is_pruned(found):
    found.ask(1)
    callback("halving").on_validation_end(trainer(0.5), None)
    assert found.study.trials[0].intermediate_values == {}


@pytest.mark.parametrize("pruner", ["none", "median"])
def test_a_score_that_is_no_number_ends_the_training(pruner, found):
    found.ask(1)
    with pytest.raises(ValueError, match=r"val/pearson is NaN"):
        callback(pruner).on_validation_end(trainer(float("nan")), None)


def test_a_run_outside_of_its_search_trains_without_it(found, monkeypatch):
    monkeypatch.delenv(STORAGE)
    monkeypatch.setattr(optuna, "load_study", None)
    running = trainer(0.1)
    callback().on_validation_end(running, None)
    assert not running.should_stop


def test_one_of_several_processes_decides_for_all(found):
    found.ask(1)
    other = trainer(0.9)
    other.is_global_zero, other.strategy = False, SimpleNamespace(broadcast=lambda decision: True)
    one = callback()
    one.on_validation_end(other, None)
    assert one.pruned
    assert found.study.trials[0].intermediate_values == {}
