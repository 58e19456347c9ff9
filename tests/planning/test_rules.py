import math
from dataclasses import replace

import pytest
from tests_planning import CELLS, FACTS, STACK, alike, settings

from im2im.planning.sampling import length
from im2im.planning.situation import Situation


def test_patches_of_intensities_are_about_as_large_as_the_receptive_field_and_a_batch_has_as_many_pixels_whatever_their_size():
    found = settings()
    assert (found["patch_size"], found["batch_size"]) == ([128, 128], 8)
    assert settings(given=["patch_size"], settings={"patch_size": [64, 64]})["batch_size"] == 16


def test_patches_fit_into_the_smallest_image():
    assert settings(facts={"smallest": [100, 512]})["patch_size"] == [96, 128]


@pytest.mark.parametrize(("length", "side"), [(10.0, 128), (42.0, 192), (300.0, 256)])
def test_patches_of_labels_hold_several_objects(length, side):
    objects = {**CELLS["objects"], "length": length}
    assert settings("classes", facts={**CELLS, "objects": objects}, network="unet")["patch_size"] == [side, side]


def test_a_discriminator_sees_larger_patches():
    found = settings(framework="pix2pix")
    assert (found["patch_size"], found["batch_size"]) == ([256, 256], 2)
    assert settings(framework="pix2pix", facts={"smallest": [300, 512]})["patch_size"] == [128, 128]


def test_sparse_objects_have_patches_around_them():
    sparse = settings("objects", facts={**CELLS, "foreground": 0.04}, framework="embedseg")
    assert sparse["data.places._target_"] == "im2im.data.objects.AroundObjects"
    assert "data.places._target_" not in settings("objects", facts=CELLS, framework="embedseg")


def test_a_rare_foreground_has_half_of_the_patches():
    assert settings("classes", facts={**CELLS, "foreground": 0.02}, classes=2)["data.foreground"] == 0.5
    assert "data.foreground" not in settings("classes", facts=CELLS, classes=2)


def test_stacks_of_distant_planes_have_thin_patches_and_a_network_that_keeps_the_planes():
    flat = {**STACK, **CELLS, "plane_distance": 3.1}
    found = settings("classes", facts=flat, dims=3, network="unet", classes=3)
    assert (found["patch_size"], found["network"], found["network.upsampling"]) == ([8, 160, 160], "anisotropic_unet", "linear")
    assert settings("classes", facts={**flat, "plane_distance": 3.0}, dims=3, network="unet")["network"] == "unet"


def test_other_stacks_have_patches_of_about_equal_lengths():
    found = settings("objects", facts={**STACK, **CELLS, "voxel_size": [0.5, 0.36, 0.36]}, dims=3, framework="embedseg")
    assert (found["patch_size"], found["batch_size"], found["network.depth"]) == ([32, 64, 64], 2, 3)


def test_objects_are_learnt_by_a_network_that_is_faster_than_the_published_one():
    found = settings("objects", facts=CELLS, framework="embedseg", network="branched_erfnet")
    assert (found["network"], found["network.upsampling"]) == ("fnet", "linear")


def test_what_is_like_its_target_is_corrected_rather_than_made_anew():
    assert settings(facts=alike(0.8))["network.residual"] is True
    assert "network.residual" not in settings(facts=alike(0.3))
    assert "network.residual" not in settings(facts={**alike(0.8), "channels": [1, 2]})
    assert "network.residual" not in settings(facts=alike(0.8), framework="cyclegan")


def test_a_source_that_is_more_like_its_target_after_a_gaussian_filter_is_corrected_after_it():
    assert settings(facts=alike(0.8, sigma=1.5))["network.residual"] == 1.5
    facts = {**STACK, "smoothing": {"sigma": [0.0, 2.0, 2.0], "similarity": 0.8}}
    assert settings(facts=facts, dims=3)["network.residual"] == [0.0, 2.0, 2.0]


@pytest.mark.parametrize(("seconds", "channels"), [(840, 16), (8400, 32), (84, 8)])
def test_the_network_is_as_wide_as_the_time_allows_enough_steps(seconds, channels):
    pace = {32: 0.6, 16: 0.2, 8: 0.1}
    assert settings(seconds=seconds, measure=lambda _: pace.get)["network.channels"] == channels


def levels(length, side=512, pace=None, **others):
    """The U-Net of a plan for objects of this length in images of this side: channels and strides."""
    facts = {**CELLS, "objects": {**CELLS["objects"], "length": length}, "smallest": [side, side]}
    measure = pace and (lambda _: lambda channels: pace[channels[0]])
    found = settings("classes", facts=facts, network="unet", measure=measure, **others)
    return found.get("network.channels"), found.get("network.strides")


@pytest.mark.parametrize(("length", "count"), [(8.0, 4), (64.0, 4), (65.0, 5), (128.0, 5), (129.0, 6), (900.0, 6)])
def test_the_coarsest_level_of_a_unet_sees_long_objects_as_a_few_pixels(length, count):
    assert levels(length) == ([16, 32, 64, 128, 256, 256][:count], [2] * (count - 1))


def test_a_unet_halves_no_side_that_is_odd():
    assert levels(900.0, side=90) == ([16, 32, 64, 128, 256], [2] * 4)  # patches of 80 pixels


def test_a_unet_is_as_wide_as_the_time_allows_enough_steps():
    pace = {8: 0.1, 16: 0.24, 32: 0.4}
    assert levels(182.0, pace=pace, seconds=840)[0] == [16, 32, 64, 128, 256, 256]
    assert levels(182.0, pace=pace, seconds=2000)[0] == [32, 64, 128, 256, 256, 256]
    assert levels(182.0, pace=pace, seconds=300)[0] == [8, 16, 32, 64, 128, 256]


@pytest.mark.parametrize("key", ["network.channels", "network.strides"])
def test_a_unet_of_given_levels_stays_as_it_is(key):
    assert levels(182.0, given=[key]) == (None, None)


def test_labels_are_learnt_better_by_a_wide_network_in_fewer_steps():
    pace = {32: 0.9, 16: 0.5, 8: 0.1}
    assert settings(seconds=600, measure=lambda _: pace.get)["network.channels"] == 8
    found = settings("objects", facts=CELLS, framework="embedseg", network="branched_erfnet", seconds=600, measure=lambda _: pace.get)
    assert found["network.channels"] == 16


def test_classes_in_stacks_are_learnt_in_fewer_steps_than_those_in_planes():
    pace = {8: 0.1, 16: 0.5, 32: 0.9}
    timed = {"network": "unet", "seconds": 600, "measure": lambda _: lambda widths: pace[widths[0]]}
    stacks = settings("classes", facts={**CELLS, **STACK}, dims=3, **timed)
    planes = settings("classes", facts=CELLS, **timed)
    assert (stacks["network.channels"][0], planes["network.channels"][0]) == (16, 8)


def test_a_step_against_discriminators_passes_more_networks_but_fewer_steps_are_enough():
    pace = {32: 0.9, 16: 0.4, 8: 0.1}
    assert settings(seconds=600, measure=lambda _: pace.get, framework="pix2pix")["network.channels"] == 16
    assert settings(seconds=600, measure=lambda _: pace.get, framework="cyclegan")["network.channels"] == 8
    generators = [settings(seconds=600, measure=lambda _: {8: 0.05, 16: 0.2, 32: 0.4}.get, framework=f) for f in ("pix2pixhd", "cyclegan")]
    assert [one["network.channels"] for one in generators] == [32, 8]  # .857 s for two and for six passes


def test_without_a_time_the_network_is_one_that_trains_in_twenty_minutes():
    pace = {32: 0.6, 16: 0.3, 8: 0.1}
    assert settings(measure=lambda _: pace.get)["network.channels"] == 16


def test_intensities_are_learnt_by_squared_error_and_those_unlike_the_source_by_correlation_too():
    assert settings()["criterion"] == "mse_correlation"
    assert settings(facts=alike(0.8))["criterion"] == "mse"  # whose scale is known
    assert "criterion" not in settings(framework="pix2pix")
    assert settings(facts=alike(0.8), framework="pix2pix")["criterion"] == "mse"


def test_dice_counts_a_rare_class_over_the_whole_batch():
    shares = {**CELLS, "classes": {0: 0.8, 1: 0.19, 2: 0.01}}
    found = settings("classes", facts=shares, classes=3, network="unet")
    assert (found["criterion"], found["criterion.criteria.dice.whole_batch"]) == ("dice_cross_entropy", True)
    assert "criterion.criteria.dice.whole_batch" not in settings("classes", facts=shares, classes=2, network="unet")


@pytest.mark.parametrize(
    ("kind", "facts", "chosen"),
    [
        ("classes", {**CELLS, "channels": [3, 1]}, "stains"),
        ("classes", {**CELLS, "images": {"train": 8}}, "strong"),
        ("classes", CELLS, None),
        ("objects", {**CELLS, "images": {"train": 8}}, "rotations"),
        ("intensities", {}, "contrast"),
        ("intensities", alike(0.8), None),
        ("intensities", {**alike(0.8), "images": {"train": 4}}, "rotations"),
    ],
)
def test_augmentation_follows_the_number_and_kind_of_images(kind, facts, chosen):
    assert settings(kind, facts=facts, network="unet").get("augmentation") == chosen


def test_learning_rates_are_those_of_short_trainings():
    assert settings()["learning_rate"] == 2e-3
    assert settings(facts=alike(0.8))["learning_rate"] == 1e-3
    assert settings(framework="pix2pix")["learning_rate"] == 5e-4
    assert settings("objects", facts=CELLS, framework="embedseg")["optimizer"] == "adam"


def test_discriminators_are_as_narrow_as_the_generator():
    assert settings(framework="pix2pix")["framework.discriminator.discriminator.channels"] == 32
    found = settings("classes", facts=CELLS, classes=2, framework="cyclegan", network="unet", paired=False)
    assert found["framework.judges.target.discriminator.discriminator.layers"] == 2
    assert (found["task.single"], found["normalization.out_min"], found["network.depth"]) == (True, -1.0, 2)


def test_offsets_span_an_object_and_reach_from_its_ends_at_first():
    found = settings("objects", facts=CELLS, framework="embedseg")
    assert found["framework.criterion.extent"] == 64
    assert found["framework.start_sigma"] == round(math.log(math.log(2) * (64 / 12) ** 2) / 10, 2)  # a membership of 1/2 at .4 widths
    assert found["framework.clustering.min_size"] == 30
    worms = {**CELLS, "objects": {"width": 31.7, "length": 112.5, "small": 760.0}}
    found = settings("objects", facts=worms, framework="embedseg")
    assert (found["framework.criterion.extent"], found["framework.clustering.min_size"]) == (128, 253)


@pytest.mark.parametrize(("given", "steps"), [({"batch_size": 8}, 100), ({"batch_size": 1}, 214), ({"batch_size": 64}, 100)])
def test_an_epoch_is_long_enough_for_validation_to_take_a_tenth(given, steps):
    found = settings(given=list(given), settings=given)
    assert (found["data.steps_per_epoch"], found["data.validation_limit"]) == (steps, 64)
    assert found["data.max_epochs"] == math.ceil(4000 / steps)
    assert found["data.validation_patches"] == 16


def test_epochs_of_stacks_are_short_for_their_steps_are_slow():
    assert settings(facts=STACK, dims=3, given=["batch_size"], settings={"batch_size": 2})["data.steps_per_epoch"] == 27


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "4000 steps, in epochs of 100 steps"),
        ({"max_epochs": 10}, "1000 steps, in epochs of 100 steps"),
        ({"framework.optimization.accumulate": 4}, "4000 steps, in epochs of 25 steps"),
        ({"data.validation_limit": 640}, "4005 steps, in epochs of 267 steps"),
    ],
)
def test_the_length_is_told_in_optimizer_steps(given, told):
    situation = Situation(facts=FACTS, kind="intensities", settings={**given, "batch_size": 8})
    assert length(situation).reason == told
    steps, _, epochs = told.partition(",")
    ending = f"until max_time, {steps} at most" if "max_epochs" in given else "until max_time"
    assert length(replace(situation, seconds=60.0)).reason == f"{ending},{epochs}"


def test_adversarial_trainings_and_stacks_have_lengths_of_their_own():
    found = settings(framework="pix2pix")
    assert found["data.max_epochs"] * found["data.steps_per_epoch"] >= 6000
    found = settings(facts=STACK, dims=3)
    assert 3000 <= found["data.max_epochs"] * found["data.steps_per_epoch"] < 3100


def test_a_network_that_is_given_stays_and_is_planned_within_where_it_is_the_same():
    same = settings(network="fnet", given=["network"], facts=alike(0.8))
    assert (same["network.upsampling"], same["network.residual"]) == ("linear", True)
    others = {"framework": "embedseg", "network": "branched_erfnet"}
    other = settings("objects", facts=CELLS, given=["network"], **others)
    assert not [key for key in other if key.startswith("network")]
