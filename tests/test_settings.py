import re

import pytest
from omegaconf import OmegaConf

from im2im.settings import UNLIMITED, check_places, check_short_keys, require_numbers, settle_length, settle_search_length

KEYS = {"batch_size": 1, "max_epochs": 1, "seed": 0, "learning_rate": 1e-3, "spatial_dims": 2, "max_time": None, "voxel_size": None}


def test_sensible_short_keys_pass():
    check_short_keys(OmegaConf.create({**KEYS, "max_time": "00:00:10:00", "learning_rate": 0}))


@pytest.mark.parametrize(("key", "value"), [("batch_size", 0), ("batch_size", 1.5), ("seed", True), ("spatial_dims", 4), ("max_time", 10)])
def test_short_keys_of_the_wrong_kind_are_refused(key, value):
    with pytest.raises(ValueError, match=f"{key}.*got {value}"):
        check_short_keys(OmegaConf.create({**KEYS, key: value}))


@pytest.mark.parametrize("lengths", [0.5, [1.0], [1.0, 1.0, 1.0], [0.0, 1.0]])
def test_a_voxel_has_a_positive_length_along_each_axis(lengths):
    check_short_keys(OmegaConf.create({**KEYS, "voxel_size": [0.5, 0.3]}))
    with pytest.raises(ValueError, match=r"voxel_size has 2 positive lengths, got .*; set voxel_size=\[1\.0, 1\.0\]"):
        check_short_keys(OmegaConf.create({**KEYS, "voxel_size": lengths}))


@pytest.mark.parametrize(
    ("kind", "value", "told"), [(int, 2.5, "a whole number"), (float | int, "night", "a number"), (int, True, "a whole")]
)
def test_what_is_no_number_of_its_kind_is_refused(kind, value, told):
    require_numbers(OmegaConf.create({"search": {"trials": 3, "hours": None}}), ("search.trials", int, 1), ("search.hours", int | None, 1))
    with pytest.raises(ValueError, match=rf"search\.trials must be {told}.* of at least 1, got {value}; set search\.trials=NUMBER"):
        require_numbers(OmegaConf.create({"search": {"trials": value}}), ("search.trials", kind, 1))


@pytest.mark.parametrize(
    ("epochs", "time", "given", "settled"),
    [
        (None, None, [], (100, "00:02:00:00")),
        (None, "00:00:15:00", ["max_time"], (UNLIMITED, "00:00:15:00")),
        (3, None, ["max_epochs"], (3, None)),
        (3, "00:00:15:00", ["max_epochs", "max_time"], (3, "00:00:15:00")),
        (10, "00:00:15:00", ["task", "max_time"], (UNLIMITED, "00:00:15:00")),  # the epochs are an experiment's
        (3, "00:00:15:00", ["max_epochs"], (3, None)),  # the time is that of the run that goes on
        (3, None, ["max_epochs", "max_time"], (3, None)),
        (UNLIMITED, "00:00:15:00", [], (UNLIMITED, "00:00:15:00")),  # a finished run is evaluated
    ],
)
def test_what_is_given_alone_ends_a_training(epochs, time, given, settled):
    cfg = OmegaConf.create({"max_epochs": epochs, "max_time": time, "data": {"max_epochs": 100, "max_time": "00:02:00:00"}})
    settle_length(cfg, given)
    assert (cfg.max_epochs, cfg.max_time) == settled


@pytest.mark.parametrize(
    ("epochs", "time", "settled"),
    [(None, None, (20, "00:02:00:00")), (None, "00:00:15:00", (20, "00:00:15:00")), (7, None, (7, None))],
)
def test_trainings_of_a_search_have_epochs_after_which_they_are_compared(epochs, time, settled):
    cfg = OmegaConf.create({"max_epochs": epochs, "max_time": time, "data": {"max_epochs": 20, "max_time": "00:02:00:00"}})
    settle_search_length(cfg)
    assert (cfg.max_epochs, cfg.max_time) == settled


@pytest.mark.parametrize("epochs", [0, -2, 1.5])
def test_epochs_are_whole_numbers_or_unlimited(epochs):
    check_short_keys(OmegaConf.create({**KEYS, "max_epochs": None}))
    check_short_keys(OmegaConf.create({**KEYS, "max_epochs": UNLIMITED}))
    with pytest.raises(ValueError, match=f"max_epochs must be a whole number of at least 1, got {epochs}"):
        check_short_keys(OmegaConf.create({**KEYS, "max_epochs": epochs}))


PLACES = {"run": None, "init": None, "data": {"root": None}, "mode": {"_target_": "im2im.stages.train.train"}}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"data": {"root": "nowhere"}}, "no folder or table at data.root=nowhere; correct data.root"),
        ({"init": "nowhere"}, "nothing at init=nowhere"),
        ({"run": ["nowhere", "else"]}, "nothing at run=nowhere"),
        ({"mode": {"_target_": "im2im.stages.predict.predict", "input": "a", "output": None}}, "mode=predict needs output="),
        ({"mode": {"_target_": "im2im.stages.predict.predict", "input": "a", "output": "b"}}, "got run=null; set run="),
    ],
)
def test_what_is_not_on_disk_is_told_with_its_key(settings, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=re.escape(told)):
        check_places(OmegaConf.create({**PLACES, **settings}))


def test_places_that_exist_pass(tmp_path):
    check_places(OmegaConf.create({**PLACES, "data": {"root": str(tmp_path)}}))
