from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from monai.networks.nets import AttentionUnet, UNet
from omegaconf import OmegaConf

from im2im.networks.stride import input_size

CONF = Path(__file__).parents[2] / "conf"
NETWORKS = CONF / "network"
TRANSFORMER = {"hidden_size": 8, "mlp_dim": 8, "num_heads": 2, "feature_size": 2}
STRIDES = {  # in 2D and 3D, and what the comment says of them
    "fnet": ((16, 16), (16, 16, 16), "multiples of 16 ("),
    "unet": ((8, 8), (8, 8, 8), "multiples of 8 ("),
    "attention_unet": ((16, 16), (16, 16, 16), "multiples of 16 ("),
    "anisotropic_unet": ((16, 16), (1, 16, 16), "never shrinks Z, in 2D and 3D; patch_size in multiples of 16 ("),
    "branched_erfnet": ((8, 8), (8, 8, 8), "multiples of 8 ("),
    "resnet": ((4, 4), (4, 4, 4), "multiples of 4 ("),
    "dynunet": ((4, 4), (2, 4, 4), "multiples of 4 (2 along Z) ("),
    "segresnet": ((8, 8), (8, 8, 8), "multiples of 8 ("),
    "swin_unetr": ((32, 32), (32, 32, 32), "multiples of 32 ("),
    "unetr": ((128, 128), (16, 64, 64), "one patch_size only, in multiples of 16 ("),
}
SMALL = {
    "fnet": {"channels": 2},
    "unet": {"channels": [2, 4, 8, 16]},
    "attention_unet": {"channels": [2, 4, 8, 16, 32]},
    "anisotropic_unet": {"channels": 2},
    "branched_erfnet": {"channels": 4},
    "resnet": {"channels": 2, "blocks": 1},
    "dynunet": {"filters": [2, 4, 4, 8]},
    "segresnet": {"init_filters": 8},
    "swin_unetr": {"feature_size": 12, "window_size": 2},
    "unetr": {"img_size": [32, 32, 32], **TRANSFORMER},
}
by_network = pytest.mark.parametrize("name", sorted({path.stem for path in NETWORKS.glob("*.yaml")} - {"custom"}))
by_dimension = pytest.mark.parametrize("spatial_dims", [2, 3])


def configured(name, spatial_dims, **settings):
    """Compose the option alone, with the defaults of either dimension."""
    by_dims = OmegaConf.load(CONF / "config.yaml").by_dims
    keys = {"spatial_dims": spatial_dims, "in_channels": 3, "out_channels": 2, "patch_size": by_dims[str(spatial_dims)].patch_size}
    network = OmegaConf.merge(OmegaConf.load(NETWORKS / f"{name}.yaml"), settings)
    return OmegaConf.create({**keys, "by_dims": by_dims, "network": network}).network


@by_dimension
@by_network
def test_a_configured_network_runs_and_its_comment_tells_the_stride(name, spatial_dims):
    of_planes, of_stacks, comment = STRIDES[name]
    stride = of_planes if spatial_dims == 2 else of_stacks
    with torch.device("cpu" if name == "swin_unetr" else "meta"):  # its constructor computes with values
        network = instantiate(configured(name, spatial_dims), _convert_="all").to("meta")
    with torch.device("meta"):
        size = stride if name == "unetr" else [2 * edge for edge in stride]
        prediction = network(torch.rand(2, 3, *size))
    assert prediction.shape == (2, 2, *size)
    measured = input_size(network, 3, spatial_dims)
    assert (measured.multiple, measured.fixed) == (tuple(stride), name == "unetr")
    assert comment in (NETWORKS / f"{name}.yaml").read_text().partition("\n")[0]


@by_dimension
@by_network
def test_a_small_one_learns_from_a_single_small_patch(name, spatial_dims):
    torch.manual_seed(0)
    settings = {**SMALL[name], **({"img_size": [32] * spatial_dims} if name == "unetr" else {})}
    network = instantiate(configured(name, spatial_dims, **settings), _convert_="all").train()
    size = [2 * edge for edge in STRIDES[name][spatial_dims - 2]] if name != "unetr" else settings["img_size"]
    network(torch.rand(1, 3, *size)).square().sum().backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert sum(gradient.abs().sum() > 0 for gradient in gradients) > len(gradients) / 3


def test_a_norm_is_chosen_by_its_class():
    norm = {"_target_": "torch.nn.InstanceNorm2d", "_partial_": True, "affine": True}
    network = instantiate(configured("fnet", 2, channels=2, norm_layer=norm), _convert_="all")
    assert sum(isinstance(layer, torch.nn.InstanceNorm2d) and layer.affine for layer in network.modules()) == 26


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (lambda: AttentionUnet(2, 3, 2, [32, 64, 128, 256, 512, 1024], [2] * 5), 31_805_446),
        (lambda: UNet(3, 1, 1, [64, 128, 256, 512], [2] * 3, num_res_units=3, norm="batch"), 28_349_744),
    ],
)
def test_networks_of_monai_have_as_many_parameters_as_published(network, parameters):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in network().parameters()) == parameters


def test_the_configured_dynunet_has_as_many_parameters_as_published():
    with torch.device("meta"):
        network = instantiate(configured("dynunet", 3, in_channels=1), _convert_="all")
    assert sum(parameter.numel() for parameter in network.parameters()) == 7_657_730
