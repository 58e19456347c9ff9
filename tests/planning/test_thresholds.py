"""Each threshold of docs/planning.md, from just below to just above; and what is chosen whatever the data are like."""

import pytest
from tests_planning import CELLS, EMBEDSEG, FACTS, STACK, alike, settings

from im2im.planning.plan import make_plan
from im2im.planning.situation import Situation

PLACES, FOREGROUND, BATCH_DICE = "data.places._target_", "data.foreground", "criterion.criteria.dice.whole_batch"
FLAT = {**STACK, **CELLS, "plane_distance": 9.0}
UNPAIRED = {"kind": "classes", "classes": 2, "facts": CELLS, "framework": "cyclegan", "network": "unet", "paired": False}


def classes(**facts):
    return {"kind": "classes", "facts": {**CELLS, **facts}, "network": "unet"}


def of_three(rarest):
    return {**classes(classes={0: 0.5, 1: 0.5 - rarest, 2: rarest}), "classes": 3}


def objects(dims=2, **facts):
    return {"kind": "objects", "facts": {**CELLS, **facts}, "dims": dims, **EMBEDSEG}


def of_size(**sizes):
    return objects(objects={**CELLS["objects"], **sizes})


def images(train, kind="classes", **facts):
    return {"kind": kind, "facts": {**CELLS, "images": {"train": train, "val": 2}, **facts}, "network": "unet"}


def against(train):
    return {**images(train, "intensities", **alike(0.5)), "framework": "pix2pix", "network": "fnet"}


def few(count, val=1, sizes=((512, 512),)):
    return {"facts": {"images": {"train": count - val, "val": val}, "drawn": True, "sizes": sizes}}


@pytest.mark.parametrize(
    ("key", "below", "of_below", "above", "of_above"),
    [
        (PLACES, objects(foreground=0.149), "im2im.data.objects.AroundObjects", objects(foreground=0.151), None),
        (FOREGROUND, classes(foreground=0.049), 0.5, classes(foreground=0.051), None),
        (FOREGROUND, of_three(0.051), None, of_three(0.049), 0.5),
        (FOREGROUND, classes(foreground=0.0), None, classes(foreground=0.001), 0.5),
        (BATCH_DICE, classes(foreground=0.049), True, classes(foreground=0.051), None),
        (BATCH_DICE, classes(foreground=0.949), None, classes(foreground=0.951), True),  # the background is rare
        ("augmentation", images(29), "strong", images(30), None),
        ("augmentation", images(29, "objects"), "rotations", images(30, "objects"), None),
        ("augmentation", images(9, "intensities"), "rotations", images(10, "intensities", size=[1024, 1024]), "contrast"),
        ("augmentation", images(20, "intensities"), "strong", images(21, "intensities"), "contrast"),  # 4,000 steps: 100 and 95 passes
        ("data.divide_each", few(5), True, few(6), None),
        ("data.divide_each", few(2), True, few(1, val=0), None),
        ("data.divide_each", few(4, sizes=[[383, 383], [383, 384]]), True, few(4, sizes=[[383, 383]] * 2 + [[384, 384]]), None),
        ("augmentation", images(9, "intensities", **alike(0.9)), "rotations", images(10, "intensities", **alike(0.9)), None),
        ("augmentation", against(29), "rotations", against(30), None),
        ("augmentation", images(9, channels=[2, 1]), "strong", images(9, channels=[3, 1]), "stains"),
        ("network", {**classes(**STACK, plane_distance=3.0), "dims": 3}, "unet", {**classes(**FLAT), "dims": 3}, "anisotropic_unet"),
        ("batch_size", {"facts": {"memory": 0.26}}, 7, {"facts": {"memory": 0.27}}, 8),  # GB
        ("batch_size", {"facts": {"memory": 0.01}}, 1, {"facts": {"memory": 0.07}}, 2),
        (FOREGROUND, classes(foreground=0.96), None, of_three(0.04), 0.5),  # though the background is rare
        ("network.residual", {"facts": alike(0.49)}, None, {"facts": alike(0.5)}, True),
        ("criterion", {"facts": alike(0.49)}, "mse_correlation", {"facts": alike(0.5)}, "mse"),
        ("learning_rate", {"facts": alike(0.49)}, 2e-3, {"facts": alike(0.5)}, 1e-3),
        ("learning_rate", {**classes(**STACK), "dims": 3}, 1e-3, {**classes(**FLAT), "dims": 3}, 2e-3),
        ("patch_size", {"framework": "pix2pix", "facts": {"smallest": [383, 512]}}, [128, 128], {"framework": "pix2pix"}, [256, 256]),
        ("framework.criterion.extent", of_size(length=20.0), 64, of_size(length=65.0), 128),
        ("framework.clustering.min_size", of_size(small=30.0), 16, of_size(small=60.0), 20),
        ("data.steps_per_epoch", {"settings": {"batch_size": 64}}, 100, {"settings": {"batch_size": 2}}, 107),
        ("data.steps_per_epoch", {"settings": {"batch_size": 1}, **objects(3, **STACK)}, 54, {"settings": {"batch_size": 1}}, 214),
    ],
)
def test_what_is_chosen_changes_at_its_threshold(key, below, of_below, above, of_above):
    chosen = [settings(**one, given=list(one.get("settings", {}))).get(key) for one in (below, above)]
    assert chosen == [of_below, of_above]


@pytest.mark.parametrize(
    ("situation", "chosen"),
    [
        ({}, {"network.upsampling": "linear", "network.channels": 16, "scheduler.warm_up": 0.05, "optimizer.weight_decay": 0.01}),
        (objects(), {"network.upsampling": "linear", "scheduler.warm_up": 0.05, "learning_rate": 1e-3}),
        ({**objects(**FLAT), "dims": 3}, {"network": "anisotropic_unet", "network.upsampling": "linear", "batch_size": 2}),
        ({"facts": STACK, "dims": 3}, {"patch_size": [16, 64, 64], "batch_size": 4, "network.depth": 3, "augmentation": None}),
        (objects(3, **STACK), {"patch_size": [32, 64, 64], "network.depth": 3}),
        ({"facts": {**STACK, "smallest": [3, 40, 70]}, "dims": 3}, {"patch_size": [8, 32, 64]}),
        ({**images(8), "dims": 3, "facts": {**images(8)["facts"], **STACK, "images": {"train": 8}}}, {"augmentation": None}),
        (UNPAIRED, {"batch_size": 4, "patch_size": [128, 128], "augmentation": None, "learning_rate": 5e-4}),
        (UNPAIRED, {"task.single": True}),
        ({**UNPAIRED, "classes": 3}, {"task.single": None}),
        ({**UNPAIRED, "facts": {**CELLS, "foreground": 0.01, "channels": [3, 1]}}, {FOREGROUND: None, "augmentation": None}),
        ({**objects(foreground=0.01), "paired": False}, {PLACES: None}),
        ({**objects(foreground=0.01), "given": ["data.foreground"]}, {PLACES: None}),  # which excludes it
        (
            {**objects(foreground=0.01), "given": ["data.patches_per_image"], "settings": {"data.patches_per_image": 9}},
            {PLACES: None},
        ),
        ({**classes(foreground=0.01), "given": ["data.places._target_"]}, {FOREGROUND: None}),
        ({**objects(), "given": ["network.dropout"]}, {"network": None, "network.upsampling": None}),  # which fnet has not
        ({**of_size(length=20.0), "settings": {"framework.criterion.extent": 1024}}, {"framework.start_sigma": 0.85}),
        (of_size(length=20.0), {"framework.start_sigma": 0.3}),
        (classes(objects={"in each image": 0}), {"patch_size": [128, 128], "network.strides": [2, 2, 2]}),
        (classes(), {"patch_size": [224, 224], "batch_size": 5}),
        (
            {**classes(**STACK, objects={**CELLS["objects"], "length": 300.0}), "dims": 3},
            {"network.strides": [2, 2, 2], "network.channels": [16, 32, 64, 128]},
        ),
        (images(8, "intensities") | {"framework": "pix2pix", "network": "fnet"}, {"augmentation": None}),
        ({"facts": FLAT, "dims": 3, "framework": "pix2pix"}, {"network": "fnet"}),
        ({}, {"network.depth": None}),
        ({"framework": "pix2pix"}, {"data.steps_per_epoch": 107, "data.max_epochs": 57}),  # 6,000 steps
        (objects(), {"patch_size": [224, 224], "batch_size": 5}),
        (objects(3, **{**STACK, "voxel_size": [1.0, 0.4, 0.4]}), {"patch_size": [16, 64, 64]}),
        ({**few(4), "facts": {**few(4, sizes=[[900, 160, 160]] * 4)["facts"], **STACK}, "dims": 3}, {"data.divide_each": None}),
        ({**few(4), "facts": {**few(4, sizes=[[8, 192, 160]] * 4)["facts"], **STACK}, "dims": 3}, {"data.divide_each": True}),
        ({"facts": STACK, "dims": 3}, {"data.steps_per_epoch": 25, "data.validation_limit": 16}),
        (objects(3, **{**STACK, "voxel_size": [0.25, 0.5, 0.5]}), {"patch_size": [32, 64, 64]}),
        ({**classes(**{**FLAT, "smallest": [5, 256, 256]}), "dims": 3}, {"patch_size": [5, 160, 160]}),
        ({"facts": {"images": {"train": 40, "val": 40}}}, {"data.validation_patches": 4}),
        ({"has_weights": True}, {"network.channels": None, "network.upsampling": None}),
        ({**objects(), "has_weights": True}, {"framework.criterion.extent": None, "network": None}),
    ],
)
def test_what_is_chosen(situation, chosen):
    found = settings(**situation)
    assert {key: found.get(key) for key in chosen} == chosen


def test_generators_of_unpaired_images_are_normalized_image_by_image():
    norm = settings(**UNPAIRED)["network.norm_layer"]
    assert norm == {"_target_": "torch.nn.InstanceNorm2d", "_partial_": True, "affine": True}
    assert settings(**UNPAIRED)["framework.judges.target.discriminator.discriminator.channels"] == 32


@pytest.mark.parametrize(
    ("split", "divided", "block", "side"),
    [
        ({"train": 1}, False, 0.2, 192),
        ({"train": 1}, False, 0, 256),
        ({"train": 1, "val": 1}, True, 0.2, 240),
        ({"train": 1, "val": 1}, False, 0.2, 256),  # an image of its own
        ({"train": 2}, False, 0.2, 256),
    ],
)
def test_a_patch_leaves_a_block_of_a_single_image_for_validation(split, divided, block, side):
    objects = {**CELLS["objects"], "length": 100.0}
    facts = {**CELLS, "objects": objects, "images": split, "divided": divided, "smallest": [400, 400]}
    assert settings("classes", facts=facts, network="unet", settings={"data.validation_block": block})["patch_size"] == [side, side]


@pytest.mark.parametrize(("given", "told"), [((), True), (("batch_size", "data.foreground"), False)])
def test_reasons_tell_of_nothing_that_was_given(given, told):
    facts = {**FACTS, **CELLS, "foreground": 0.01, "memory": 0.1}
    situation = Situation(facts=facts, kind="classes", network="unet", given=given, settings={"batch_size": 9} if given else {})
    line = make_plan(situation, {}).lines()[0]
    assert ("around each class" in line, "GB hold" in line) == (told, told)


def test_a_batch_that_is_accumulated_counts_once():
    pace = {"seconds": 840, "measure": lambda _: {8: 0.1, 16: 0.2, 32: 1.0}.get}
    accumulated = settings(settings={"framework.optimization.accumulate": 2}, **pace)
    assert (settings(**pace)["network.channels"], accumulated["network.channels"]) == (16, 8)


def test_a_wider_network_is_measured_only_where_it_could_fit():
    measured = []

    def measure(_):
        return lambda width: measured.append(width) or {8: 0.15, 16: 0.23, 32: 1.0}[width]

    assert settings(seconds=840, measure=measure)["network.channels"] == 16  # .24 s are the longest step
    assert measured == [8, 16]  # 32 channels take at least 1.4 times as long


@pytest.mark.parametrize(("epochs", "chosen"), [(39, "contrast"), (40, "strong")])  # of 100 steps; 40 of them see each pixel once
def test_augmentation_follows_how_often_the_epochs_let_a_training_see_each_pixel(epochs, chosen):
    assert settings(**images(20, "intensities"), settings={"max_epochs": epochs})["augmentation"] == chosen


@pytest.mark.parametrize(("seconds", "chosen"), [(839, "contrast"), (841, "strong")])
def test_augmentation_follows_how_often_the_time_lets_a_training_see_each_pixel(seconds, chosen):
    found = settings(seconds=seconds, measure=lambda _: lambda width: {8: 0.1, 16: 0.105, 32: 1.0}[width])  # 8,000 steps: 100 times
    assert found["augmentation"] == chosen


def test_images_that_are_given_for_validation_are_not_replaced_by_blocks():
    assert "data.divide_each" not in settings(facts={**few(3)["facts"], "drawn": False})


@pytest.mark.parametrize("key", ["data.fractions.val", "data.group", "data.validation_block"])
def test_few_images_are_not_divided_where_the_user_says_what_is_held_out(key):
    assert "data.divide_each" not in settings(**few(3), given=[key])


def test_the_length_follows_what_was_given():
    found = settings(given=["data.steps_per_epoch"], settings={"data.steps_per_epoch": 10})
    assert found["data.max_epochs"] == 400
    found = settings(given=["data.patches_per_image"], settings={"data.patches_per_image": 2})  # of 40 images in batches of 8
    assert "data.steps_per_epoch" not in found
    assert found["data.max_epochs"] == 400
