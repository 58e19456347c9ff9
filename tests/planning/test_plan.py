import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from tests_planning import CELLS, EMBEDSEG, FACTS, STACK, alike

from im2im.planning.plan import Plan, make_plan, overrides, read_plan, untouched
from im2im.planning.situation import Part, Situation

NETWORK = {"network": "fnet", "network.channels": 16, "patch_size": [128, 128]}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (["task", "framework", "data.root"], ["network", "network.channels", "patch_size"]),
        (["patch_size"], ["network", "network.channels"]),
        (["network"], ["patch_size"]),
        (["network.channels"], ["patch_size"]),  # which another network may not have
    ],
)
def test_what_somebody_gave_stays(given, left):
    assert list(untouched(NETWORK, given, {})) == left


def test_a_setting_that_was_given_leaves_the_others_of_its_group():
    settings = {"network.channels": 16, "network.upsampling": "linear"}
    assert untouched(settings, ["network.channels"], {}) == {"network.upsampling": "linear"}


def test_settings_are_written_as_hydra_reads_them():
    settings = {"a": [8, 16], "b.c": True, "d": {"_target_": "x.Y", "affine": True}, "e": 1e-3, "f": None}
    settings |= {"g": "it's {_target_: os.system}, \\'[", "h": "x,y", "i": "a b"}
    read = [OverridesParser.create().parse_override(one) for one in overrides(settings)]
    assert {one.key_or_group: one.value() for one in read} == settings


def test_a_plan_is_read_as_it_was_written(tmp_path):
    plan = Plan([Part("network", NETWORK, "fast"), Part("loss", {"criterion": "mse"}, "plain")], {"device": "cpu"})
    plan.write(tmp_path)
    assert read_plan(tmp_path / "plan.yaml") == Plan(plan.parts)
    assert plan.lines()[1] == "loss: criterion=mse (plain)"


@pytest.mark.parametrize(
    "situation",
    [
        {"facts": {"images": {"train": 3, "val": 1}, "drawn": True, "sizes": [[512, 512]]}},
        {"facts": alike(0.8, sigma=2.0), "framework": "pix2pix"},
        {"kind": "classes", "facts": {**CELLS, "foreground": 0.01}, "network": "unet"},
        {"kind": "classes", "classes": 2, "facts": CELLS, "framework": "cyclegan", "network": "unet", "paired": False},
        {"kind": "objects", "facts": {**CELLS, "foreground": 0.01}, **EMBEDSEG},
        {"kind": "classes", "facts": {**STACK, **CELLS, "plane_distance": 9.0}, "dims": 3, "network": "unet"},
    ],
)
def test_all_that_rules_choose_may_be_given_again(tmp_path, situation):
    plan = make_plan(Situation(**{"kind": "intensities", **situation, "facts": {**FACTS, **situation["facts"]}}), {})
    plan.write(tmp_path)
    assert read_plan(tmp_path / "plan.yaml").settings == plan.settings


@pytest.mark.parametrize("content", ["", "plan: 3", "plan: {loss: {reason: none}}", "a: [", "facts: {}"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "other.yaml").write_text(content)
    with pytest.raises(ValueError, match=r"other\.yaml is no plan .*; give a plan\.yaml of a run folder as plan=FILE"):
        read_plan(tmp_path / "other.yaml")


@pytest.mark.parametrize(
    "settings",
    [
        {"network._target_": "os.system"},
        {"network": {"_target_": "os.system"}},
        {"network.norm_layer": [{"_target_": "os.system"}]},
    ],
)
def test_a_plan_that_names_a_foreign_class_is_refused_unless_trusted(tmp_path, settings):
    Plan([Part("network", settings, "mine")]).write(tmp_path)
    with pytest.raises(ValueError, match="is not allowed; set trust=true"):
        read_plan(tmp_path / "plan.yaml")
    assert read_plan(tmp_path / "plan.yaml", trust=True).settings == settings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trust", True),
        ("hydra.searchpath", ["file:///elsewhere"]),
        ("callbacks.mine._target_", "im2im.callbacks.ema.EMA"),
        ("data.cache", "/tmp/elsewhere"),
        ("network.depth=3,x", 2),
        (1, 2),
        ("network.norm_layer", {"_target_:os.system,command:ls,z": 1}),
        ("network.norm_layer", [["${oc.create:{_target_:os.system}}"]]),
        ("network.norm_layer", "${oc.select:nothing,{_target_:os.system}}"),
        ("learning_rate", "${oc.env:HOME}"),
        ("network", "../../../elsewhere"),
        ("augmentation", ["flips", "../elsewhere"]),
    ],
)
def test_a_plan_sets_only_plain_values_of_what_plans_choose(tmp_path, key, value):
    Plan([Part("network", {key: value}, "mine")]).write(tmp_path)
    with pytest.raises(ValueError, match="which no plan chooses; give|which is no plain value; give"):
        read_plan(tmp_path / "plan.yaml", trust=True)


@pytest.mark.parametrize("given", [["network"], ["network.depth"], ["network", "network.depth"]])
def test_an_option_that_is_given_as_it_would_be_planned_keeps_what_is_planned_within_it(given):
    settings = {"network": "fnet", "network.depth": 3, "network.channels": 8}
    kept = {key: value for key, value in settings.items() if key not in given or key == "network"}
    assert untouched(settings, given, {"network": "fnet"}) == kept
    assert "network.channels" not in untouched(settings, ["network"], {"network": "unet"})
