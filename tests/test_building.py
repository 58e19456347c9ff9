from omegaconf import OmegaConf

from im2im.building import build
from im2im.normalization import Percentile


def test_a_node_becomes_the_object_that_it_names_with_the_settings_added():
    node = OmegaConf.create({"_target_": "im2im.normalization.Percentile", "low": 1.0})
    assert build(node, high=99.0) == Percentile(low=1.0, high=99.0)


def test_what_is_nested_arrives_as_plain_containers():
    node = OmegaConf.create({"_target_": "builtins.dict", "sizes": [1, 2], "of": {"a": 1}})
    built = build(node)
    assert type(built["sizes"]) is list
    assert type(built["of"]) is dict


def test_what_a_node_points_to_still_follows_other_keys_afterwards():
    config = OmegaConf.create({"rate": 1.0, "part": {"low": "${rate}"}, "made": {"_target_": "builtins.dict", "part": "${part}"}})
    assert build(config.made) == {"part": {"low": 1.0}}
    config.rate = 2.0
    assert build(config.made) == {"part": {"low": 2.0}}
