import logging

import pytest
from omegaconf import OmegaConf
from tests_searching import trials_in

from im2im.search.conduct import pace, require_images

BUILT_IN = {"counts": {"train": 2}}
ON_DISK = {"fractions": {"val": 0.1}}


@pytest.mark.parametrize(
    ("data", "splits", "told"),
    [
        (BUILT_IN, {"train": 2, "test": 1}, "chooses by validation images, got {'train': 2, 'test': 1}; raise data.counts.val"),
        (BUILT_IN, {"train": 2, "val": 1}, "scored on test images, got {'train': 2, 'val': 1}; raise data.counts.test"),
        (ON_DISK, {"train": 1, "test": 1}, "; give some to val by a folder, .* data.fractions.val with an image or group for each split$"),
        (ON_DISK, {"train": 2, "test": 1}, "; give some to val by a folder, .* each split, or set search.folds$"),
        (ON_DISK, {"train": 2, "val": 1}, "; give some to test by a folder, .* data.fractions.test with an image or group for each split$"),
    ],
)
def test_images_that_are_missing_are_named_with_what_gives_them(data, splits, told):
    with pytest.raises(ValueError, match=told):
        require_images(OmegaConf.create({"data": data, "search": {"folds": None}}), splits)


def test_folds_validate_training_images():
    require_images(OmegaConf.create({"data": ON_DISK, "search": {"folds": 3}}), {"train": 2, "test": 1})


def settings(hours):
    search = {"hours": hours, "share_hours": True, "rungs": 2, "reduction": 4, "parallel": 1, "folds": None, "pruner": "halving"}
    return OmegaConf.create({"max_epochs": 20, "search": search})


def test_hours_are_shared_anew_until_a_trial_has_reached_something(url, caplog):
    found = trials_in(url, 12)
    assert pace(settings(8), found) == pytest.approx(400 * pace(settings(0.02), found))
    before = pace(settings(1), found)
    (trial,) = found.ask(1)
    trial.set_user_attr("reached", {"5": [0.5]})
    found.prune(trial)
    with caplog.at_level(logging.INFO):
        assert pace(settings(1), found) == before
        assert not caplog.text
        assert pace(settings(8), found) == before
    assert "choose another search.name" in caplog.text


def test_a_trial_that_another_worker_trains_keeps_the_hours_as_well(url):
    found = trials_in(url, 12)
    before = pace(settings(1), found)
    found.ask(1)
    assert pace(settings(8), found) == before
