import pytest
from tests_tiny import composed

from im2im.building import build
from im2im.data.datamodule import ImageData
from im2im.search.fingerprint import fingerprint
from im2im.search.proposals import defaults, propose
from im2im.search.space import space_of

SHARED = {"augmentation": "flips", "framework": "fcn"}
CHOSEN = {
    "labelfree": {**SHARED, "network": "fnet", "criterion": "mse", "normalization": "center"},
    "semantic": {**SHARED, "network": "unet", "criterion": "generalized_dice_focal", "normalization": "percentile"},
    "instance": {**SHARED, "network": "branched_erfnet", "normalization": "percentile", "framework": "embedseg"},
}
FACTS = {"size": [256, 256], "channels": [1, 1]}


@pytest.mark.parametrize("task", CHOSEN)
@pytest.mark.parametrize("full", [False, True])
def test_the_first_trial_is_the_default_of_the_task(task, full):
    cfg = composed(f"task={task}")
    space = propose(cfg, FACTS, CHOSEN[task], (), full)
    start = defaults(space, cfg)
    assert start["learning_rate"] == cfg.learning_rate
    dimensions = {one.name: one for one in space_of(space)}
    assert start.keys() == dimensions.keys()
    for name in start.keys() - {"learning_rate", "network"}:
        (setting,) = dimensions[name].overrides(start[name])
        key, _, value = setting.partition("=")
        assert value.replace(" ", "") == str(CHOSEN[task].get(key, cfg.get(key))).replace(" ", "")
    if "network" in start:
        assert dimensions["network"].overrides(start["network"]) == [f"network={CHOSEN[task]['network']}"]


def test_what_somebody_gave_is_left_alone():
    cfg = composed("task=labelfree")
    space = propose(cfg, FACTS, CHOSEN["labelfree"], {"criterion", "network", "patch_size"}, full=True)
    assert not {"criterion", "patch_size"} & space.keys()
    assert space["network"] == {"fnet": [], "fnet, narrow": ["network.channels=16"], "fnet, wide": ["network.channels=48"]}


def test_a_whole_search_tries_other_networks_and_frameworks():
    space = propose(composed("task=labelfree"), FACTS, CHOSEN["labelfree"], (), full=True)
    assert space["framework"] == "choice(fcn,pix2pix)"
    assert {"unet", "segresnet"} <= space["network"].keys()
    assert "framework" not in propose(composed("task=labelfree"), FACTS, CHOSEN["labelfree"], (), full=False)


@pytest.mark.parametrize(
    ("size", "expected"), [([256, 256], "choice([128,128],[64,64],[256,256])"), ([200, 200], "choice([128,128],[64,64])")]
)
def test_patches_are_no_larger_than_images(size, expected):
    assert propose(composed("task=labelfree"), {**FACTS, "size": size}, CHOSEN["labelfree"], (), False)["patch_size"] == expected


def test_the_fingerprint_says_what_images_are_like():
    cfg = composed("task=instance")
    cfg.data.counts, cfg.data.size, cfg.patch_size = {"train": 2, "val": 1, "test": 1}, [96, 112], [32, 32]
    data: ImageData = build(cfg.data.module)
    facts = fingerprint(data)
    assert facts["images"] == {"train": 2, "val": 1, "test": 1}
    assert facts["size"] == [96, 112]
    assert facts["channels"] == [1, 1]
    assert facts["voxel_size"] == pytest.approx([0.3, 0.3])
    assert facts["source"]["percentiles"]["0.1"] < facts["source"]["percentiles"]["99.9"]
    assert 0 < facts["foreground"] < 1
    assert facts["objects"]["in each image"] > 0
    assert facts["memory"] > 0
