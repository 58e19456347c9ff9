import pytest
from omegaconf import OmegaConf

from im2im.settings import check_short_keys, require_numbers

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
