import pytest
import torch
from torch import nn

from im2im.networks.initialization import initialize


@pytest.mark.parametrize("convolution", [nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d])
def test_convolutions_start_from_a_normal_distribution_without_bias(convolution):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Sequential(convolution(64, 64, 3)))
    initialize(network)
    layer = network[0][0]
    assert layer.weight.mean().item() == pytest.approx(0, abs=1e-3)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not layer.bias.any()


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4096), nn.BatchNorm3d(4096), nn.InstanceNorm2d(4096, affine=True), nn.GroupNorm(1, 4096)])
def test_norms_start_near_one(norm):
    torch.manual_seed(0)
    initialize(norm)
    assert norm.weight.mean().item() == pytest.approx(1, abs=2e-3)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_the_deviation_can_be_chosen():
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 64, 3)
    initialize(layer, std=0.5)
    assert layer.weight.std().item() == pytest.approx(0.5, rel=0.02)


def test_layers_of_other_kinds_keep_their_weights():
    layer = nn.Linear(3, 3)
    before = layer.weight.clone()
    initialize(nn.Sequential(layer, nn.InstanceNorm2d(3), nn.Conv2d(3, 3, 1, bias=False)))
    assert torch.equal(layer.weight, before)
