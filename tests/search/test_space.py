import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from im2im.search.space import dimension, given, read_space, space_of, write_space


@pytest.mark.parametrize(
    ("sweep", "distribution"),
    [
        ("choice(fnet,unet)", CategoricalDistribution(("fnet", "unet"))),
        ("fnet,unet", CategoricalDistribution(("fnet", "unet"))),
        ("choice([64,64],[128,128])", CategoricalDistribution(("[64,64]", "[128,128]"))),
        ("interval(0.1,0.5)", FloatDistribution(0.1, 0.5)),
        ("tag(log,interval(1e-5,1e-2))", FloatDistribution(1e-5, 1e-2, log=True)),
        ("int(interval(2,8))", IntDistribution(2, 8)),
        ("range(1,5)", IntDistribution(1, 4)),
        ("range(0,10,4)", IntDistribution(0, 8, step=4)),
        ("range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
    ],
)
def test_a_sweep_of_the_command_line_is_a_distribution(sweep, distribution):
    assert dimension("key", sweep).distribution == distribution


def test_a_value_is_a_setting():
    assert dimension("learning_rate", "interval(0.1,0.5)").overrides(0.25) == ["learning_rate=0.25"]


def test_a_named_choice_makes_several_settings():
    size = dimension("size", {"small": ["network=fnet", "network.channels=16"], "none": []})
    assert size.distribution == CategoricalDistribution(("small", "none"))
    assert [size.overrides(name) for name in ("small", "none")] == [["network=fnet", "network.channels=16"], []]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ("5", "key: 5 leaves no choice; write choice"),
        ("interval(1", "key: interval\\(1 is no sweep; write choice"),
        ({}, "choices are lists of settings by name, got key"),
        ({"small": "network=fnet"}, "choices are lists of settings by name, got key"),
    ],
)
def test_what_leaves_no_choice_is_refused(values, told):
    with pytest.raises(ValueError, match=told):
        dimension("key", values)


def test_settings_and_dimensions_of_a_command_line_are_told_apart():
    settings, swept = given(["task=labelfree", "network=fnet,unet", "learning_rate=tag(log,interval(1e-5,1e-2))", "patch_size=[64,64]"])
    assert settings == ["task=labelfree", "patch_size=[64,64]"]
    assert swept == {"network": "fnet,unet", "learning_rate": "tag(log,interval(1e-5,1e-2))"}


def test_a_space_is_read_as_it_was_written(tmp_path):
    space = {"learning_rate": "tag(log, interval(1e-05, 0.01))", "size": {"small": ["network.channels=16"]}}
    write_space(tmp_path / "space.yaml", space, {"images": {"train": 3}})
    assert read_space(tmp_path / "space.yaml") == space
    assert [one.name for one in space_of(space)] == ["learning_rate", "size"]


@pytest.mark.parametrize(
    ("text", "told"), [(None, "there is no file"), ("a: 1", "has no dimensions below space:"), ("space: []", "has no dim")]
)
def test_a_file_without_a_space_is_refused(text, told, tmp_path):
    if text is not None:
        (tmp_path / "space.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"{told}.*correct search.space"):
        read_space(tmp_path / "space.yaml")


def test_choices_may_be_named_by_numbers():
    found = dimension("size", {16: ["network.channels=16"], 32: ["network.channels=32"]})
    assert found.overrides("32") == ["network.channels=32"]
    assert found.distribution.choices == ("16", "32")


def test_a_range_may_go_down():
    assert dimension("network.depth", "range(5,1,-1)").distribution == IntDistribution(2, 5)
