import warnings
from functools import partial

import pytest
import torch
from torch import nn

from im2im.networks.fnet import FNet, linear_up


@pytest.mark.parametrize(("spatial_dims", "parameters"), [(2, 8_116_225), (3, 23_280_769)])
def test_it_has_as_many_parameters_as_published(spatial_dims, parameters):
    with torch.device("meta"):
        network = FNet(spatial_dims)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize(("spatial_dims", "parameters"), [(2, 7_593_985), (3, 22_062_209)])
def test_linear_upsampling_has_a_convolution_over_one_pixel_in_the_place_of_each_transposed_one(spatial_dims, parameters):
    with torch.device("meta"):
        network = FNet(spatial_dims, upsampling="linear")
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert not any(isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d) for layer in network.modules())


@pytest.mark.parametrize("size", [(16, 32), (16, 32, 48)])
def test_the_prediction_has_the_size_of_the_source(size):
    network = FNet(len(size), in_channels=3, out_channels=2, channels=2)
    assert network(torch.rand(2, 3, *size)).shape == (2, 2, *size)


def test_without_norms_the_bottom_still_sees_the_image():
    torch.manual_seed(0)
    network = FNet(2, channels=8, norm_layer=lambda channels: nn.Identity())
    reached = []
    network.bottom.register_forward_hook(lambda layer, inputs, output: reached.append(output))
    network(torch.randn(1, 1, 64, 64))
    assert 0.1 < reached[0].std() < 10


@pytest.mark.parametrize("upsampling", ["transposed", "linear"])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_every_parameter_gets_a_gradient(spatial_dims, upsampling):
    torch.manual_seed(0)
    network = FNet(spatial_dims, channels=2, depth=2, upsampling=upsampling)
    network(torch.rand(2, 1, *[8] * spatial_dims)).square().sum().backward()
    before_a_norm = {name for name, _ in network.named_parameters() if name.endswith("0.bias")}  # the norm takes these out again
    assert all(parameter.grad.abs().sum() > 0 for name, parameter in network.named_parameters() if name not in before_a_norm)


@pytest.mark.parametrize(("depth", "bottom"), [(0, 4), (1, 8), (3, 32)])
def test_channels_double_at_each_level(depth, bottom):
    network = FNet(2, channels=4, depth=depth)
    assert network.bottom[-1][0].out_channels == bottom
    assert network(torch.rand(1, 1, 16, 16)).shape == (1, 1, 16, 16)


def test_the_last_layer_has_no_activation():
    torch.manual_seed(0)
    prediction = FNet(2, channels=4, depth=1)(torch.randn(1, 1, 32, 32))
    assert prediction.min() < 0 < prediction.max()


def test_the_norm_can_be_chosen():
    network = FNet(2, channels=4, depth=1, norm_layer=partial(nn.InstanceNorm2d, affine=True))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    assert sum(isinstance(layer, nn.InstanceNorm2d) for layer in network.modules()) == 8


def test_it_starts_with_the_weights_of_the_recipe():
    torch.manual_seed(0)
    assert FNet(2).bottom[0][0].weight.std().item() == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize(("size", "fitting"), [((100, 64), r"\[112, 64\]"), ((16, 16, 33), r"\[16, 16, 48\]")])
def test_a_size_that_cannot_be_halved_is_refused(size, fitting):
    with pytest.raises(ValueError, match=f"set patch_size={fitting}"):
        FNet(len(size), channels=1)(torch.rand(1, 1, *size))


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_linear_upsampling_of_a_ramp_is_a_ramp(spatial_dims):
    up = linear_up(spatial_dims, lambda channels: nn.Identity(), 1, 1)
    nn.init.ones_(up[0].weight), nn.init.zeros_(up[0].bias)
    coarse = torch.arange(4.0).expand(1, 1, *[4] * spatial_dims)
    expected = torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]).expand(1, 1, *[8] * spatial_dims)
    torch.testing.assert_close(up(coarse), expected)


def test_another_way_of_upsampling_is_refused():
    with pytest.raises(ValueError, match="transposed, linear, got 'cubic'; change network.upsampling"):
        FNet(2, channels=2, upsampling="cubic")


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_a_residual_network_returns_its_source_until_it_has_learnt(spatial_dims):
    torch.manual_seed(0)
    network = FNet(spatial_dims, 2, 2, channels=2, depth=1, residual=True)
    image, target = torch.rand(2, 2, 2, *[8] * spatial_dims)
    assert torch.equal(network(image), image)
    (network(image) - target).square().mean().backward()
    with torch.no_grad():
        network.head.weight -= 0.1 * network.head.weight.grad
        network.head.bias -= 0.1 * network.head.bias.grad
    assert (network(image) - target).square().mean() < (image - target).square().mean()


def test_a_residual_of_other_channels_than_the_source_is_refused():
    with pytest.raises(ValueError, match="got in_channels=1 and out_channels=3; set network.residual=false"):
        FNet(2, 1, 3, channels=2, residual=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("settings", [{}, {"upsampling": "linear", "residual": True}])
def test_a_traced_network_takes_other_sizes_without_a_warning(settings):
    network = FNet(2, channels=2, depth=2, **settings).eval()
    nn.init.ones_(network.head.weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        traced = torch.jit.trace(network, torch.rand(1, 1, 16, 16))
    image = torch.rand(2, 1, 32, 24)
    torch.testing.assert_close(traced(image), network(image))
