import warnings

import numpy as np
import pytest
import torch
from torch import nn

from im2im.networks.layers import batch_norm
from im2im.networks.resnet import Mirror, ResNetGenerator
from im2im.networks.stride import InputSize, input_size


@pytest.mark.parametrize(("blocks", "parameters"), [(6, 7_837_699), (9, 11_378_179)])
def test_it_has_as_many_parameters_as_that_of_cyclegan(blocks, parameters):
    with torch.device("meta"):
        network = ResNetGenerator(2, 3, 3, blocks=blocks)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize("size", [(8, 20), (4, 8, 20), (12, 8, 8)])
def test_the_prediction_has_the_size_of_the_source(size):
    network = ResNetGenerator(len(size), 3, 2, channels=2, blocks=1)
    assert network(torch.rand(1, 3, *size)).shape == (1, 2, *size)


@pytest.mark.parametrize("downsamplings", [0, 1, 2, 3])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_number_of_halvings_can_be_chosen(spatial_dims, downsamplings):
    network = ResNetGenerator(spatial_dims, channels=2, downsamplings=downsamplings, blocks=1)
    cell = (2**downsamplings,) * spatial_dims
    assert input_size(network, 1, spatial_dims) == InputSize(cell, smallest=(*cell[:-1], 2 * cell[-1]))  # two pixels to normalize


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_prediction_stays_within_one_where_that_is_asked_for(spatial_dims):
    torch.manual_seed(0)
    bounded, free = (ResNetGenerator(spatial_dims, channels=8, blocks=1, tanh=tanh) for tanh in (True, False))
    for network in (bounded, free):
        nn.init.constant_(network.head[1].weight, 1.0)
    image = torch.randn(1, 1, *[8] * spatial_dims)
    assert bounded(image).abs().max() <= 1
    assert free(image).abs().max() > 1


def test_the_norm_can_be_chosen():
    network = ResNetGenerator(2, channels=2, blocks=2, norm_layer=batch_norm(2))
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()) == 9
    assert not any(isinstance(layer, nn.InstanceNorm2d) for layer in network.modules())


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_every_weight_gets_a_gradient(spatial_dims):
    torch.manual_seed(0)
    network = ResNetGenerator(spatial_dims, channels=2, blocks=1)
    network(torch.rand(2, 1, *[16] * spatial_dims)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for name, parameter in network.named_parameters() if name.endswith("weight"))


@pytest.mark.parametrize("size", [(5, 7), (4, 5, 6)])
@pytest.mark.parametrize("pixels", [1, 3])
def test_the_border_is_mirrored(size, pixels):
    image = np.random.default_rng(0).random((1, 2, *size))
    expected = np.pad(image, [(0, 0), (0, 0), *[(pixels, pixels)] * len(size)], mode="reflect")
    np.testing.assert_array_equal(Mirror(pixels)(torch.from_numpy(image)), expected)


def test_an_axis_too_short_to_be_mirrored_repeats_its_border():
    stack = torch.arange(4.0).reshape(1, 1, 1, 1, 4)
    lengthened = Mirror(3)(stack)
    assert lengthened.shape == (1, 1, 7, 7, 10)
    assert (lengthened == torch.tensor([3.0, 2, 1, 0, 1, 2, 3, 2, 1, 0])).all()


@pytest.mark.parametrize(("size", "fitting"), [((10, 64), r"\[12, 64\]"), ((7, 16, 33), r"\[8, 16, 36\]")])
def test_a_size_that_cannot_be_halved_is_refused(size, fitting):
    with pytest.raises(ValueError, match=f"set patch_size={fitting}"):
        ResNetGenerator(len(size), channels=1, blocks=1)(torch.rand(1, 1, *size))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("traced_size", "other_size"), [((16, 16), (32, 24)), ((16, 16, 16), (20, 24, 16))])
def test_a_traced_network_takes_other_sizes_without_a_warning(traced_size, other_size):
    network = ResNetGenerator(len(traced_size), channels=2, blocks=1, norm_layer=batch_norm(len(traced_size))).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        traced = torch.jit.trace(network, torch.rand(1, 1, *traced_size))
    image = torch.rand(2, 1, *other_size)
    torch.testing.assert_close(traced(image), network(image))
