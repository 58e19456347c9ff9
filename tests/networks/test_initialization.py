import pytest
import torch
from torch import nn

from im2im.networks.initialization import initialize, initialize_without_norm, start_embedding


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


def test_activations_keep_their_variance_without_norms():
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()) for _ in range(10)))
    image = torch.randn(1, 32, 32, 32)
    initialize(network)
    assert network(image).std() < 0.01
    initialize_without_norm(network)
    assert 0.3 < network(image).std() < 2
    assert not network[0][0].bias.any()


def test_layers_of_other_kinds_keep_their_weights():
    layer = nn.Linear(3, 3)
    before = layer.weight.clone()
    initialize(nn.Sequential(layer, nn.InstanceNorm2d(3), nn.Conv2d(3, 3, 1, bias=False)))
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("widths", [[7], [6, 1], [3, 3, 1], [1] * 7], ids=str)
@pytest.mark.parametrize("convolution", [nn.Conv3d, nn.ConvTranspose3d])
def test_an_embedding_starts_with_offsets_of_0_and_sigmas_of_one_value(convolution, widths):
    heads = [convolution(2, width, 2, stride=2) for width in widths]
    for head in heads:
        nn.init.ones_(head.weight)
        nn.init.constant_(head.bias, 5)
    start_embedding(heads, 3, sigma=0.5)
    prediction = torch.cat([head(torch.ones(1, 2, 2, 2, 2)) for head in heads], dim=1)[0, :, 0, 0, 0].tolist()
    untouched = 21 if convolution is nn.Conv3d else 7
    assert prediction == [0, 0, 0, 0.5, 0.5, 0.5, untouched]


def test_one_sigma_may_serve_all_axes():
    head = nn.Conv2d(1, 4, 1)
    start_embedding([head], 2)
    assert head.bias[:3].tolist() == [0, 0, 1]


def test_an_embedding_of_too_few_channels_is_refused():
    with pytest.raises(ValueError, match="needs 3 offsets, a sigma and a seed at least, got 4 channels; set out_channels=7"):
        start_embedding([nn.Conv3d(1, 3, 1), nn.Conv3d(1, 1, 1)], 3)
