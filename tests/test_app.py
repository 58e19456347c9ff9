import pytest
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from im2im.app import check_short_keys, one_line, root_of

KEYS = {"batch_size": 1, "max_epochs": 1, "seed": 0, "learning_rate": 1e-3, "spatial_dims": 2, "max_time": None}


def test_the_message_meant_for_the_user_is_told_not_the_one_of_the_builder():
    error = InstantiationException("Error in call to target")
    error.__cause__ = ValueError("first line\nsecond line")
    assert one_line(error) == "first line second line"


def test_an_error_that_nobody_foresaw_says_its_kind_and_how_to_see_more():
    assert one_line(KeyError("x")) == "KeyError: 'x' (HYDRA_FULL_ERROR=1 shows where)"


def test_sensible_short_keys_pass():
    check_short_keys(OmegaConf.create({**KEYS, "max_time": "00:00:10:00", "learning_rate": 0}))


@pytest.mark.parametrize(("key", "value"), [("batch_size", 0), ("batch_size", 1.5), ("seed", True), ("spatial_dims", 4), ("max_time", 10)])
def test_short_keys_of_the_wrong_kind_are_refused(key, value):
    with pytest.raises(ValueError, match=f"{key}.*got {value}"):
        check_short_keys(OmegaConf.create({**KEYS, key: value}))


def test_a_data_folder_is_the_same_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = [OmegaConf.create({"data": {"root": root}}) for root in ("images", "images/", "./images", str(tmp_path / "images"))]
    assert len({root_of(cfg) for cfg in written}) == 1
    assert root_of(OmegaConf.create({"data": {"root": None}})) is None
