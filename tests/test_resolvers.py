import pytest
from omegaconf import OmegaConf
from tests_shared import SMALL

from im2im import resolvers  # noqa: F401
from im2im.app import one_line
from im2im.resolvers import steps_of

NODES = {
    "spatial_dims": 3,
    "in_channels": None,
    "out_channels": None,
    "network": {
        "_target_": "x.Net",
        "spatial_dims": "${spatial_dims}",
        "in_channels": "${in_channels}",
        "out_channels": "${out_channels}",
        "channels": [4, 8],
    },
    "framework": {"network": "${network}", "backward": "${swapped:network}"},
}


def test_the_way_back_is_the_same_network_with_its_channels_exchanged():
    config = OmegaConf.create(NODES)
    config.in_channels, config.out_channels = 1, 4  # as read from the data, long after composition
    framework = OmegaConf.to_container(config.framework, resolve=True)
    assert framework["backward"] == {"_target_": "x.Net", "spatial_dims": 3, "in_channels": 4, "out_channels": 1, "channels": [4, 8]}
    assert framework["network"] == {"_target_": "x.Net", "spatial_dims": 3, "in_channels": 1, "out_channels": 4, "channels": [4, 8]}
    assert config.network.in_channels == 1


def test_what_is_changed_in_the_network_reaches_the_way_back():
    config = OmegaConf.merge(OmegaConf.create(NODES), {"in_channels": 2, "out_channels": 3, "network": {"channels": [16]}})
    assert config.framework.backward.channels == [16]
    assert config.framework.backward.in_channels == 3


def test_a_network_without_channels_to_exchange_is_refused():
    config = OmegaConf.create({"network": {"_target_": "x.Net", "in_channels": 1}, "backward": "${swapped:network}"})
    with pytest.raises(ValueError, match=r"in_channels and out_channels, got x\.Net; choose another network=") as refused:
        OmegaConf.to_container(config, resolve=True)
    assert "\n" not in one_line(refused.value)
    assert "HYDRA_FULL_ERROR" not in one_line(refused.value)


@pytest.mark.parametrize(
    ("batch_size", "patch_size", "steps"), [(8, [128, 128], 100), (4, [128, 128], 200), (8, [256, 256], 25), (1024, [512, 512], 1)]
)
def test_steps_follow_from_the_pixels_of_an_epoch_and_those_of_a_batch(batch_size, patch_size, steps):
    assert steps_of(13_107_200, batch_size, patch_size) == steps


def test_a_run_whose_steps_follow_from_its_pixels_goes_on(im2im):
    steps = "data.steps_per_epoch='${steps_of:8192,${batch_size},${patch_size}}'"
    run = im2im(*SMALL, steps)
    assert OmegaConf.load(run / "config.yaml").data.steps_per_epoch == 4  # of two patches of 32 × 32 pixels
    im2im(f"run={run}", "mode=train", "max_epochs=2", "batch_size=1")
    assert OmegaConf.load(run / "config.yaml").data.steps_per_epoch == 8
