"""Every configuration at the smallest size that still runs: composed, shrunk, built, one step trained, one image predicted."""

from functools import cache
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import DataLoader

from im2im import app
from im2im.__main__ import folder, store_experiments
from im2im.data.datamodule import ImageData
from im2im.frameworks.base import Framework
from im2im.networks.stride import InputSize, input_size
from im2im.settings import settle_length
from im2im.stages.evaluate import predict_entry
from im2im.stages.predict import predict_image

CONF = folder("conf")
NETWORKS = {  # what makes each small; one number stands for every level
    "fnet": {"channels": 2},
    "unet": {"channels": 4},
    "attention_unet": {"channels": 4},
    "anisotropic_unet": {"channels": 2},
    "branched_erfnet": {"channels": 4},
    "dynunet": {"filters": 4},
    "segresnet": {"init_filters": 8},
    "swin_unetr": {"feature_size": 12, "window_size": 2, "depths": 1},
    "unetr": {"feature_size": 2, "hidden_size": 8, "mlp_dim": 8, "num_heads": 2},
    "resnet": {"channels": 2, "blocks": 1},
    "custom": {"_target_": "monai.networks.nets.BasicUNet", "features": [4] * 6},
}
DISCRIMINATORS = ("framework.discriminator", "framework.judges.target.discriminator")
PATCHES = {2: [32, 32], 3: [16, 32, 32]}
PATCHES_OF_SWIN = {2: [32, 32], 3: [32, 32, 32]}  # one pixel at the bottom, which a norm refuses: padded
SIZES = {2: [72, 56], 3: [18, 32, 40]}  # along some axis no multiple of any network


@cache
def composed(*overrides: str) -> DictConfig:
    """Compose a configuration; to be copied before it is changed."""
    store_experiments()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", [*overrides, "hardware=cpu", "output_dir=."])
    settle_length(config)
    return config


@cache
def _network(name: str) -> DictConfig:
    return OmegaConf.load(CONF / "network" / f"{name}.yaml")


def _target(name: str) -> str:
    return OmegaConf.to_container(_network(name))["_target_"]


def tiny(config: DictConfig, name: str, spatial_dims: int) -> DictConfig:
    """Give a copy with a tiny network of that name, tiny discriminators, patches and images."""
    config = OmegaConf.create(OmegaConf.to_container(config))
    config.spatial_dims = spatial_dims
    if config.network._target_ != _target(name):
        config.network = _network(name)
    for key, value in NETWORKS[name].items():
        levels = config.network.get(key)
        config.network[key] = [value] * len(levels) if OmegaConf.is_list(levels) else value
    for key in DISCRIMINATORS:
        if (node := OmegaConf.select(config, key)) is not None:
            node.discriminator.update(channels=4, layers=1)
    config.patch_size, config.batch_size = (PATCHES_OF_SWIN[spatial_dims], 1) if name == "swin_unetr" else (PATCHES[spatial_dims], 2)
    config.data.update(size=SIZES[spatial_dims], counts={"train": 1, "val": 0, "test": 1}, patches_per_image=2)
    return config


def network_name(config: DictConfig) -> str:
    """Tell which option of the group a configuration has, by its class."""
    return next(name for name in NETWORKS if _target(name) == config.network._target_)


@cache
def _data(node: str) -> tuple[ImageData, dict]:
    """Build the data of a resolved node and one batch of them; once for all configurations that agree in it."""
    torch.manual_seed(0)
    data = app.build(OmegaConf.create(node))
    return data, data.batch(data.entries("train"))


_measured: dict[tuple, InputSize] = {}


def measured_once(network: torch.nn.Module, in_channels: int, spatial_dims: int, size: tuple[int, ...] | None = None) -> InputSize:
    """Measure the sizes that a network takes, or remember those of another one just like it."""
    key = (repr(network), in_channels, spatial_dims, size)
    if key not in _measured:
        _measured[key] = input_size(network, in_channels, spatial_dims, size)
    return _measured[key]


def built(config: DictConfig) -> tuple[Framework, ImageData, dict]:
    """Build a framework as a run would, and give the data and a batch of them."""
    torch.manual_seed(0)
    data, batch = _data(OmegaConf.to_yaml(config.data.module, resolve=True))
    app.read_from_data(config, data)
    framework = app.build(config.framework)
    framework.record.update(in_channels=config.in_channels, target_channels=data.channels()[1])
    framework.record.update(target_scale=data.scale("target"), source_scale=data.scale("source"))
    return framework, data, batch


def train_once(
    framework: Framework, batch: dict, folder: Path, accelerator: str = "cpu", precision: str = "32-true", steps: int = 1
) -> None:
    """Train one step, or some, and validate once; every optimizer must move its parameters, and every figure be finite."""
    before = [_flat(parameters) for parameters in framework.parameters_by_optimizer()]
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    device = {"accelerator": accelerator, "precision": precision}
    trainer = pl.Trainer(max_epochs=1, num_sanity_val_steps=0, default_root_dir=folder, **device, **quiet)
    loader = DataLoader([batch], batch_size=None)
    trainer.fit(framework, DataLoader([batch] * steps, batch_size=None), loader)
    for old, parameters in zip(before, framework.parameters_by_optimizer(), strict=True):
        new = _flat(parameters).cpu()
        assert torch.isfinite(new).all()
        assert (new != old).float().mean() > 0.5
    metrics = trainer.callback_metrics
    assert {name.partition("/")[0] for name in metrics} >= {"train", "val"}
    assert all(torch.isfinite(value) for value in metrics.values()), metrics


def _flat(parameters) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in parameters])


def evaluate_once(framework: Framework, data: ImageData) -> dict[str, float]:
    """Predict and score a whole test image; every score must be finite."""
    (entry,) = data.entries("test")
    _, target, found = predict_entry(framework, data, entry)
    assert found.shape == framework.task.truth(target).shape
    scores = framework.task.score(found, target)
    assert scores
    assert np.isfinite(list(scores.values())).all(), scores
    return scores


def predict_once(framework: Framework, data: ImageData) -> dict[str, np.ndarray]:
    """Predict an opened image: everything that the framework can write, of the image's size."""
    image = data.entries("test")[0].source
    predictions = predict_image(framework, data.side(framework.reads), image, framework.outputs)
    assert predictions.keys() == set(framework.outputs)
    for name, prediction in predictions.items():
        assert (len(prediction), *prediction.shape[2:]) == (1, *image.shape[2:]), name
        assert prediction.dtype.kind == ("u" if name == "labels" else "f"), name
        assert np.isfinite(prediction).all(), name
    return predictions
