import itertools
import math

import numpy as np
import pytest
import tifffile
from omegaconf import OmegaConf
from tests_tiny import composed

from im2im.building import build
from im2im.data.datamodule import ImageData
from im2im.planning.fingerprint import fingerprint
from im2im.search.proposals import propose, starts
from im2im.search.space import space_of

SHARED = {"augmentation": "flips", "framework": "fcn"}
CHOSEN = {
    "labelfree": {**SHARED, "network": "fnet", "criterion": "mse", "normalization": "center"},
    "semantic": {**SHARED, "network": "unet", "criterion": "generalized_dice_focal", "normalization": "percentile"},
    "instance": {**SHARED, "network": "branched_erfnet", "criterion": "mse", "normalization": "percentile", "framework": "embedseg"},
}
FACTS = {"size": [256, 256], "channels": [1, 1]}


@pytest.mark.parametrize("task", CHOSEN)
@pytest.mark.parametrize("full", [False, True])
def test_the_first_trial_is_the_default_of_the_task(task, full):
    cfg = composed(f"task={task}")
    space = propose(cfg, FACTS, CHOSEN[task], (), full)
    start = starts(space, cfg)[0]
    assert start["learning_rate"] == cfg.learning_rate
    dimensions = {one.name: one for one in space_of(space)}
    assert start.keys() == dimensions.keys()
    for name in start.keys() - {"learning_rate", "network", "patches"}:
        (setting,) = dimensions[name].overrides(start[name])
        key, _, value = setting.partition("=")
        assert value.replace(" ", "") == str(CHOSEN[task].get(key, cfg.get(key))).replace(" ", "")
    if "network" in start:
        assert dimensions["network"].overrides(start["network"]) == (
            [f"network={CHOSEN[task]['network']}"] if full and task != "instance" else []
        )
    assert dimensions["patches"].overrides(start["patches"]) == []


def test_a_task_without_a_criterion_is_not_searched_for_one():
    spaces = {task: propose(composed(f"task={task}"), FACTS, CHOSEN[task], (), full=True) for task in CHOSEN}
    assert {task: "criterion" in space for task, space in spaces.items()} == {"labelfree": True, "semantic": True, "instance": False}


def test_the_trials_that_follow_change_one_thing_each():
    cfg = composed("task=labelfree")
    default, *others = starts(propose(cfg, FACTS, CHOSEN["labelfree"], (), False), cfg)
    changed = [{name: value for name, value in one.items() if value != default[name]} for one in others]
    assert changed == [
        {"batch_size": "4"},
        {"criterion": "mse_correlation"},
        {"learning_rate": 0.002},
        {"network": "fnet, wide"},
        {"patches": "64 x 64"},
        {"normalization": "standard"},
        {"augmentation": "intensity"},
    ]


def test_what_somebody_gave_is_left_alone():
    cfg = composed("task=labelfree")
    space = propose(cfg, FACTS, CHOSEN["labelfree"], {"criterion", "network", "patch_size"}, full=True)
    assert not {"criterion", "patches"} & space.keys()
    assert space["network"] == {
        "fnet": [],
        "fnet, wide": ["network.channels=48"],
        "fnet, narrow": ["network.channels=16"],
        "fnet, shallow": ["network.depth=3"],
    }


def test_a_unet_of_planned_levels_varies_from_them():
    cfg = composed("task=semantic", "network.channels=[8,16,32,64,64]", "network.strides=[2,2,2,2]")
    space = propose(cfg, FACTS, CHOSEN["semantic"], {"criterion"}, full=False)
    assert space["network"] == {
        "unet": [],
        "unet, wide": ["network.channels=[12, 24, 48, 96, 96]"],
        "unet, narrow": ["network.channels=[4, 8, 16, 32, 32]"],
        "unet, shallow": ["network.channels=[8, 16, 32, 64]", "network.strides=[2, 2, 2]"],
    }


@pytest.mark.parametrize(
    ("task", "group", "option", "second"),
    [
        ("labelfree", "augmentation", "rotations", "intensity"),
        ("semantic", "augmentation", "stains", "intensity"),
        ("labelfree", "criterion", "ssim", "mse_correlation"),
        ("semantic", "criterion", "dice", "generalized_dice_focal"),
        ("semantic", "normalization", "minmax", "standard"),
    ],
)
def test_an_option_that_is_not_proposed_otherwise_comes_first_where_it_is_planned(task, group, option, second):
    space = propose(composed(f"task={task}"), FACTS, {**CHOSEN[task], group: option}, (), full=False)
    assert space[group].startswith(f"choice({option},{second},")


def test_frameworks_without_pairs_are_not_mixed_with_those_that_need_them():
    space = propose(composed("task=labelfree"), FACTS, {**CHOSEN["labelfree"], "framework": "cyclegan"}, (), full=True)
    assert "framework" not in space


@pytest.mark.parametrize(
    ("key", "dimension"), [("normalization.low", "normalization"), ("criterion.weight", "criterion"), ("framework.generator", "framework")]
)
def test_what_somebody_gave_within_a_part_keeps_that_part(key, dimension):
    proposed = [propose(composed("task=labelfree"), FACTS, CHOSEN["labelfree"], fixed, full=True) for fixed in ((), (key,))]
    assert [dimension in space for space in proposed] == [True, False]


@pytest.mark.parametrize("full", [False, True])
def test_the_network_of_weights_that_trainings_start_from_is_not_searched(full):
    spaces = [propose(composed("task=labelfree", *start), FACTS, CHOSEN["labelfree"], (), full) for start in ((), ("init=elsewhere",))]
    assert ["network" in space for space in spaces] == [True, False]


def test_a_whole_search_tries_other_networks_and_frameworks():
    space = propose(composed("task=labelfree"), FACTS, CHOSEN["labelfree"], (), full=True)
    assert space["framework"] == "choice(fcn,pix2pix)"
    assert {"unet", "segresnet"} <= space["network"].keys()
    assert "framework" not in propose(composed("task=labelfree"), FACTS, CHOSEN["labelfree"], (), full=False)


def guesses(facts):
    cfg = composed("task=labelfree")
    default, *others = starts(propose(cfg, {**FACTS, **facts}, CHOSEN["labelfree"], (), False), cfg)
    return {name: value for one in others for name, value in one.items() if value != default[name]}


def test_the_best_guesses_follow_from_the_data():
    many = {"images": {"train": 40}, "source": {"percentiles": {"0.1": 90.0, "50": 100.0, "99.9": 150.0}}}
    few = {"images": {"train": 5}, "source": {"percentiles": {"0.1": 90.0, "50": 100.0, "99.9": 5000.0}}}
    names = ("network", "normalization", "augmentation")
    assert [guesses(many)[name] for name in names] == ["fnet, wide", "standard", "intensity"]
    assert [guesses(few)[name] for name in names] == ["fnet, narrow", "percentile", "strong"]


@pytest.mark.parametrize(("distance", "tried"), [(3.0, False), (3.1, True)])
def test_stacks_with_distant_planes_are_tried_with_a_network_for_them(distance, tried):
    cfg = composed("task=labelfree", "spatial_dims=3")
    facts = {"size": [32, 256, 256], "channels": [1, 1], "plane_distance": distance}
    space = propose(cfg, facts, CHOSEN["labelfree"], (), True)
    assert ("anisotropic_unet" in space["network"]) == tried


HALVED, DOUBLED = ["patch_size=[64,64]", "data.patches_per_image=16"], ["patch_size=[256,256]", "data.patches_per_image=1"]


@pytest.mark.parametrize(
    ("facts", "others"),
    [
        ({"size": [256, 256]}, [HALVED, DOUBLED]),
        ({"size": [200, 200]}, [HALVED]),
        ({"size": [256, 256], "objects": {"width": 40.0}}, [DOUBLED]),
        ({"size": [256, 256], "memory": 1.0}, [HALVED]),
    ],
)
def test_patches_fit_images_objects_and_memory_and_an_epoch_sees_as_many_pixels(facts, others):
    space = propose(composed("task=labelfree"), {**FACTS, **facts}, CHOSEN["labelfree"], (), False)
    assert list(space["patches"].values()) == [[], *others]


@pytest.mark.parametrize("dims", [2, 3])
def test_epochs_of_a_planned_length_see_as_many_pixels_with_every_patch_and_batch(dims):
    given = ("task=labelfree", f"spatial_dims={dims}", "data.steps_per_epoch=128")
    facts = {"size": [64, 512, 512][-dims:], "channels": [1, 1], "voxel_size": [1.0] * dims}
    cfg = composed(*given)
    dimensions = {one.name: one for one in space_of(propose(cfg, facts, CHOSEN["labelfree"], (), True))}
    batches, patches = dimensions["batch_size"], dimensions["patches"]
    seen = {}
    for batch, patch in itertools.product(batches.choices, patches.choices):
        trial = composed(*given, *batches.overrides(batch), *patches.overrides(patch))
        seen[batch, patch] = trial.data.module.sampling.steps_per_epoch * trial.batch_size * math.prod(trial.patch_size)
        assert trial.batch_size == int(batch)
    assert len(seen) >= 9
    assert set(seen.values()) == {128 * cfg.batch_size * math.prod(cfg.patch_size)}


@pytest.mark.parametrize("length", ["data.steps_per_epoch=100", "data.patches_per_image=4"])
def test_what_an_epoch_sees_is_left_alone_where_somebody_gave_it(length):
    space = propose(composed("task=labelfree", length), FACTS, CHOSEN["labelfree"], {length.partition("=")[0]}, False)
    assert "patches" not in space
    assert ("batch_size" in space) == ("patches_per_image" in length)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_patches_are_left_alone_where_trials_are_compared_while_they_train(pruner):
    cfg = composed("task=labelfree")
    OmegaConf.update(cfg, "search", {"pruner": pruner}, force_add=True)
    assert "patches" not in propose(cfg, FACTS, CHOSEN["labelfree"], (), False)


def test_the_fingerprint_says_what_images_are_like():
    cfg = composed("task=instance")
    cfg.data.counts, cfg.data.size, cfg.patch_size = {"train": 2, "val": 1, "test": 1}, [96, 112], [32, 32]
    data: ImageData = build(cfg.data.module)
    facts = fingerprint(data, numbered=True)
    assert facts["images"] == {"train": 2, "val": 1, "test": 1}
    assert facts["axes"] == "YX"
    assert facts["size"] == [96, 112]
    assert facts["channels"] == [1, 1]
    assert facts["voxel_size"] == pytest.approx([0.3, 0.3])
    assert facts["source"]["percentiles"]["0.1"] < facts["source"]["percentiles"]["99.9"]
    assert 0 < facts["foreground"] < 1
    assert facts["objects"]["in each image"] > 0
    assert facts["memory"] > 0


@pytest.mark.parametrize(("numbered", "count", "width"), [(True, 1, 14.1), (False, 2, 10.0)])
def test_objects_of_a_mask_are_what_hangs_together(numbered, count, width, tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[5:15, 5:15] = mask[40:50, 30:40] = 255
    for side, image in (("source", mask), ("target", mask)):
        for split in ("train", "test"):
            (tmp_path / split / side).mkdir(parents=True)
            for number in range(2):
                tifffile.imwrite(tmp_path / split / side / f"{number}.tif", image)
    data = build(composed("task=semantic", "data=folders", f"data.root={tmp_path}", "patch_size=[32,32]").data.module)
    found = fingerprint(data, numbered)["objects"]
    assert (found["in each image"], found["width"]) == (count, width)
