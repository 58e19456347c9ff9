"""The published applications: each has the settings of its publication, and runs at a small size on built-in data."""

import pytest
import torch
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from tests_shared import SMALL
from tests_tiny import built, composed, evaluate_once, folder, network_name, predict_once, tiny, train_once

from im2im import app
from im2im.__main__ import store_experiments
from im2im.settings import UNLIMITED

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*")  # of the trainer's own making
EXPERIMENTS = folder("experiments")
NAMES = sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))

FCN = {"framework": "fcn.FCN", "optimizer": "Adam", "scheduler": "ExponentialLR", "learning_rate": 1e-3, "data": "Folders"}
GAN = {"optimizer": "Adam", "learning_rate": 2e-4}
CONDITIONAL = {**GAN, "framework": "pix2pix.Pix2Pix", "data": "Folders"}
CYCLE = {**GAN, "framework": "cyclegan.CycleGAN", "data": "Unpaired"}
OBJECTS = {"framework": "embedseg.EmbedSeg", "optimizer": "Adam", "learning_rate": 5e-4, "data": "Folders", "targets": "Identity"}
CENTERED = {"sources": "Center", "targets": "Center"}
STANDARDIZED = {"sources": "Standard", "targets": "Standard"}
PERCENTILES = {"sources": "Percentile", "targets": "Percentile"}
MASKS = {"sources": "Mask", "targets": "Percentile"}

PUBLISHED = {
    "labelfree_2d": {**FCN, **STANDARDIZED, "network": "FNet", "patch_size": [512, 512], "criterion": "MSE"},
    "labelfree_3d": {**FCN, **CENTERED, "network": "FNet", "patch_size": [32, 128, 128], "criterion": "MSE"},
    "labelfree_3d_pix2pix": {**CONDITIONAL, **CENTERED, "network": "FNet", "patch_size": [32, 128, 128], "criterion": "MSE"},
    "labelfree_3d_cyclegan": {**CYCLE, **CENTERED, "network": "FNet", "patch_size": [32, 128, 128]},
    "glands_2d": {**FCN, "network": "AttentionUnet", "patch_size": [512, 512], "sources": "Macenko", "targets": "Identity"},
    "organelles_3d": {**FCN, "network": "DynUNet", "patch_size": [32, 512, 512], "sources": "Standard", "targets": "Identity"},
    "unsupervised_2d": {**CYCLE, "network": "AttentionUnet", "patch_size": [512, 512], "sources": "Percentile", "targets": "Identity"},
    "unsupervised_3d": {
        **CYCLE,
        "network": "AnisotropicUNet",
        "patch_size": [42, 192, 192],
        "sources": "Percentile",
        "targets": "Identity",
    },
    "instance_2d": {**OBJECTS, "network": "BranchedERFNet", "patch_size": [512, 512], "sources": "Percentile"},
    "instance_3d": {**OBJECTS, "network": "AnisotropicUNet", "patch_size": [32, 512, 512], "sources": "Standard"},
    "instance_3d_brightfield": {**OBJECTS, "network": "AnisotropicUNet", "patch_size": [32, 512, 512], "sources": "Center"},
    "synthesis_2d": {**CONDITIONAL, **MASKS, "network": "AttentionUnet", "patch_size": [512, 512]},
    "synthesis_2d_unpaired": {**CYCLE, **MASKS, "network": "AttentionUnet", "patch_size": [512, 512]},
    "synthesis_3d": {**CONDITIONAL, **MASKS, "network": "AnisotropicUNet", "patch_size": [32, 256, 256]},
    "synthesis_3d_unpaired": {**CYCLE, **MASKS, "network": "AnisotropicUNet", "patch_size": [32, 256, 256]},
    "denoising_3d": {**FCN, **PERCENTILES, "network": "UNet", "patch_size": [16, 64, 64], "criterion": "MSE"},
    "modality_3d": {**FCN, **PERCENTILES, "network": "AnisotropicUNet", "patch_size": [6, 512, 512], "criterion": "MSE"},
    "staining_2d": {
        **CONDITIONAL,
        "network": "UNet",
        "patch_size": [512, 512],
        "sources": "Standard",
        "targets": "Percentile",
        "criterion": "MSE",
    },
}
DECAY = {"optimizer.weight_decay": 5e-4, "scheduler.gamma": 0.98}
MOMENTA = {"optimizer.betas": [0.5, 0.999]}
DICE_FOCAL = {"task.criterion.weights": {"generalized_dice": 1.0, "focal": 1.0}}
MATCHING = {"framework.weights.feature_matching": 10.0}
NO_RECONSTRUCTION = {**MATCHING, "framework.weights.reconstruction": 0.0}
DETAILS = {
    **{name: DECAY for name in ("labelfree_2d", "labelfree_3d", "organelles_3d")},
    "labelfree_3d_pix2pix": MOMENTA,
    "glands_2d": {**DECAY, **DICE_FOCAL, "network.channels": [32, 64, 128, 256, 512, 1024]},
    "organelles_3d": {**DECAY, **DICE_FOCAL},
    "unsupervised_2d": {
        **MOMENTA,
        "normalization.low": 0.1,
        "normalization.high": 99.9,
        "normalization.out_min": -1.0,
        "task.single": True,
    },
    "unsupervised_3d": {
        "framework.weights.cycle": 10.0,
        "framework.weights.identity": 2.0,
        "normalization.out_min": -1.0,
        "task.single": True,
    },
    "instance_2d": {"normalization.low": 0.05, "normalization.high": 99.95, "normalization.out_min": 0.0},
    "instance_3d": {"framework.criterion.foreground_weight": 4.5},
    "instance_3d_brightfield": {"framework.criterion.foreground_weight": 4.5},
    "synthesis_2d": {**MOMENTA, **NO_RECONSTRUCTION, "normalization.out_min": -1.0, "normalization.out_max": 1.0},
    "synthesis_3d": NO_RECONSTRUCTION,
    "denoising_3d": {**DECAY, "normalization.low": 3.0, "normalization.high": 99.9, "task.normalization.low": 3.0},
    "modality_3d": {**DECAY, "normalization.low": 0.01, "normalization.high": 99.99, "task.normalization.out_min": -1.0},
    "staining_2d": {
        **MATCHING,
        "framework.weights.reconstruction": 100.0,
        "framework.discriminator.scales": 2,
        "task.normalization.out_min": -1.0,
    },
}
PARAMETERS = {  # by the channels of source and output
    "labelfree_2d": (1, 1, 8_116_225),
    "labelfree_3d": (1, 1, 23_280_769),
    "glands_2d": (3, 2, 31_805_446),
    "organelles_3d": (1, 2, 7_657_730),
    "instance_2d": (1, 5, 2_251_979),
    "instance_3d": (1, 7, 17_935_815),
    "denoising_3d": (1, 1, 28_349_744),
    "modality_3d": (1, 1, 17_935_425),
}
SETTINGS = {  # where each stands, by the last part of its class
    "network": "network._target_",
    "framework": "framework._target_",
    "optimizer": "optimizer._target_",
    "scheduler": "scheduler._target_",
    "data": "data.module.images.layout._target_",
    "sources": "normalization._target_",
    "targets": "task.normalization._target_",
    "criterion": "task.criterion._target_",
    "patch_size": "patch_size",
    "learning_rate": "learning_rate",
}
of_every_file = pytest.mark.parametrize("name", NAMES)


def published(name: str):
    """Compose an experiment as its command does."""
    return composed(f"experiment={name}", "data.root=DATA", "in_channels=1", "out_channels=1", "voxel_size=[1,1,1]")


@of_every_file
def test_an_experiment_has_the_settings_of_its_publication(name):
    config = published(name)
    for key, value in PUBLISHED[name].items():
        found = OmegaConf.select(config, SETTINGS[key])
        assert found == value or str(found).endswith(f".{value}"), key
    for key, value in DETAILS.get(name, {}).items():
        assert OmegaConf.select(config, key) == value, key
    assert len(config.patch_size) == config.spatial_dims == int(name.split("_")[1][0])


@pytest.mark.parametrize("name", PARAMETERS)
def test_its_network_has_as_many_parameters_as_published(name):
    source, output, parameters = PARAMETERS[name]
    config = OmegaConf.create(OmegaConf.to_container(published(name)))
    config.in_channels, config.out_channels = source, output
    with torch.device("meta"):
        network = app.build(config.network)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@of_every_file
def test_it_runs_at_a_small_size_on_built_in_data(name, tmp_path):
    unpaired = ["data.unpaired=true"] if published(name).data.module.images._target_.endswith(".UnpairedFiles") else []
    config = composed(f"experiment={name}", "data=synthetic", *unpaired)
    framework, data, batch = built(tiny(config, network_name(config), config.spatial_dims))
    assert data.paired == (not unpaired)
    train_once(framework, batch, tmp_path)
    evaluate_once(framework, data)
    predict_once(framework, data)


@of_every_file
def test_the_table_of_applications_names_it_with_a_command(name):
    readme = (EXPERIMENTS / "README.md").read_text()
    (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{name}`: ")]
    assert f"`experiment={name} data.root=DATA`" in row
    assert row.count("|") == 6


@pytest.mark.parametrize(
    ("settings", "given", "settled"),
    [
        ("max_epochs: 2", "max_time=00:00:00:01", (UNLIMITED, "00:00:00:01")),
        ("max_time: 00:01:00:00", "max_epochs=1", (1, None)),
        ("{max_epochs: 1, max_time: 00:01:00:00}", "seed=1", (1, "00:01:00:00")),
    ],
)
def test_what_the_command_line_gives_alone_ends_the_training_of_an_experiment(settings, given, settled, im2im, tmp_path, monkeypatch):
    store_experiments()
    monkeypatch.setitem(ConfigStore.instance().repo["experiment"], "mine.yaml", None)  # gone again afterwards
    monkeypatch.setattr("im2im.__main__.folder", lambda name: tmp_path if name == "experiments" else folder(name))
    (tmp_path / "mine.yaml").write_text(settings)
    config = OmegaConf.load(im2im("experiment=mine", *(one for one in SMALL if not one.startswith("max_epochs")), given) / "config.yaml")
    assert (config.max_epochs, config.max_time) == settled
