from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from monai.networks.nets import AttentionUnet, DynUNet, UNet
from omegaconf import OmegaConf

from im2im.networks.stride import total_stride

NETWORKS = Path(__file__).parents[2] / "conf" / "network"


def configured(name, spatial_dims, **settings):
    keys = {"spatial_dims": spatial_dims, "in_channels": 3, "out_channels": 2}
    return OmegaConf.create({**keys, "network": OmegaConf.merge(OmegaConf.load(NETWORKS / f"{name}.yaml"), settings)}).network


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(("name", "stride"), [("fnet", 16), ("unet", 8), ("attention_unet", 16)])
def test_a_configured_network_runs_and_its_comment_tells_the_stride(name, stride, spatial_dims):
    with torch.device("meta"):
        network = instantiate(configured(name, spatial_dims), _convert_="all")
        prediction = network(torch.rand(2, 3, *[2 * stride] * spatial_dims))
    assert prediction.shape == (2, 2, *[2 * stride] * spatial_dims)
    assert total_stride(network, 3, spatial_dims) == (stride,) * spatial_dims
    assert f"multiples of {stride} " in (NETWORKS / f"{name}.yaml").read_text()


def test_a_norm_is_chosen_by_its_class():
    norm = {"_target_": "torch.nn.InstanceNorm2d", "_partial_": True, "affine": True}
    network = instantiate(configured("fnet", 2, channels=2, norm_layer=norm), _convert_="all")
    assert sum(isinstance(layer, torch.nn.InstanceNorm2d) and layer.affine for layer in network.modules()) == 26


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (lambda: AttentionUnet(2, 3, 2, [32, 64, 128, 256, 512, 1024], [2] * 5), 31_805_446),
        (lambda: UNet(3, 1, 1, [64, 128, 256, 512], [2] * 3, num_res_units=3, norm="batch"), 28_349_744),
        (
            lambda: DynUNet(3, 1, 2, [3] * 4, [1, (1, 2, 2), 1, 2], [(1, 2, 2), 1, 2], filters=[64, 128, 128, 256], res_block=True),
            7_657_730,
        ),
    ],
)
def test_networks_of_monai_have_as_many_parameters_as_published(network, parameters):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in network().parameters()) == parameters
