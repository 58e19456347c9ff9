import warnings

import pytest
import torch
from torch import nn

from im2im.networks.erfnet import BranchedERFNet, Downsampling, FactorizedResidual
from im2im.networks.stride import InputSize, input_size


@pytest.mark.parametrize(("spatial_dims", "branches", "parameters"), [(2, [4, 1], 2_251_979), (3, [6, 1], 3_689_243)])
def test_it_has_as_many_parameters_as_published(spatial_dims, branches, parameters):
    with torch.device("meta"):
        network = BranchedERFNet(spatial_dims, 1, sum(branches), branches)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize("size", [(8, 24), (16, 8, 24)])
@pytest.mark.parametrize(("out_channels", "branches"), [(1, None), (3, [3]), (5, [1, 2, 2])])
def test_the_prediction_has_the_size_of_the_source(size, out_channels, branches):
    network = BranchedERFNet(len(size), 3, out_channels, branches, channels=4)
    assert network(torch.rand(2, 3, *size)).shape == (2, out_channels, *size)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_it_shrinks_images_to_an_eighth(spatial_dims):
    assert input_size(BranchedERFNet(spatial_dims, channels=2), 1, spatial_dims) == InputSize((8,) * spatial_dims)


@pytest.mark.parametrize(("out_channels", "expected"), [(1, [1]), (2, [1, 1]), (5, [4, 1])])
def test_the_last_channel_has_a_decoder_of_its_own(out_channels, expected):
    network = BranchedERFNet(2, out_channels=out_channels, channels=2)
    assert [decoder[-1].out_channels for decoder in network.decoders] == expected


@pytest.mark.parametrize("branches", [[4, 2], [5, 0], [6, -1]])
def test_branches_that_do_not_make_the_prediction_are_refused(branches):
    with pytest.raises(ValueError, match="add up to the 5 channels of the prediction, got .*; change network.branches") as error:
        BranchedERFNet(2, 1, 5, branches)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("in_channels", [1, 3, 4, 6])
def test_sources_of_many_channels_are_halved_as_well(in_channels):
    layer = Downsampling(2, in_channels, 4)
    assert layer(torch.rand(2, in_channels, 8, 6)).shape == (2, 4, 4, 3)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(("dilation", "edge"), [(1, 5), (2, 7), (4, 11)])
def test_a_pixel_of_a_residual_sees_a_cube_around_it(spatial_dims, dilation, edge):
    torch.manual_seed(0)
    layer = FactorizedResidual(spatial_dims, 2, dilation=dilation).eval()
    linear = nn.Sequential(*(part for part in layer.residual if not isinstance(part, nn.ReLU)))
    for conv in (part for part in linear if hasattr(part, "kernel_size")):
        nn.init.normal_(conv.weight)  # those at a distance start at 0
    image = torch.rand(1, 2, *[15] * spatial_dims, requires_grad=True)
    linear(image)[0, 0][(7,) * spatial_dims].backward()
    seen = (image.grad[0] != 0).any(dim=0).nonzero()
    assert (seen.amax(dim=0) - seen.amin(dim=0) + 1).tolist() == [edge] * spatial_dims


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_a_residual_adds_to_what_comes_in(spatial_dims):
    layer = FactorizedResidual(spatial_dims, 2).eval()
    nn.init.zeros_(layer.residual[-2].weight)  # of the last norm
    image = torch.randn(1, 2, *[4] * spatial_dims)
    assert torch.equal(layer(image), image.relu())


def test_dropout_silences_whole_channels_of_the_third_level_alone():
    network = BranchedERFNet(2, channels=2, dropout=0.25)
    rates = [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout2d)]
    assert rates == 5 * [0.03] + 8 * [0.25] + 4 * [0.0]


def test_the_third_level_looks_further_and_further_twice():
    dilations = [
        layer.residual[-3].dilation[-1] for layer in BranchedERFNet(2, channels=2).encoder if isinstance(layer, FactorizedResidual)
    ]
    assert dilations == 5 * [1] + 2 * [2, 4, 8, 16]


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_every_parameter_gets_a_gradient(spatial_dims):
    torch.manual_seed(0)
    network = BranchedERFNet(spatial_dims, 1, 3, channels=4, dropout=0.0)
    network(torch.rand(2, 1, *[32] * spatial_dims)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert all(parameter.grad.abs().sum() > 0 for name, parameter in network.named_parameters() if name.endswith("weight"))


@pytest.mark.parametrize(("size", "fitting"), [((100, 64), r"\[104, 64\]"), ((7, 16, 33), r"\[8, 16, 40\]")])
def test_a_size_that_cannot_be_halved_is_refused(size, fitting):
    with pytest.raises(ValueError, match=f"set patch_size={fitting}"):
        BranchedERFNet(len(size), channels=2)(torch.rand(1, 1, *size))


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("single", [False, True])
def test_an_embedding_starts_at_no_offset_and_one_sigma_whatever_the_image(spatial_dims, single):
    torch.manual_seed(0)
    out_channels = 2 * spatial_dims + 1
    network = BranchedERFNet(spatial_dims, 1, out_channels, [out_channels] if single else None, channels=2).eval()
    image = torch.randn(1, 1, *[16] * spatial_dims)
    seed = network(image)[:, -1]
    network.start_embedding(spatial_dims)
    prediction = network(image)
    assert (prediction[:, :spatial_dims] == 0).all()
    assert (prediction[:, spatial_dims:-1] == 1).all()
    assert torch.equal(prediction[:, -1], seed)
    assert seed.std() > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_traced_network_takes_other_sizes_without_a_warning():
    network = BranchedERFNet(2, 1, 3, channels=4).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        traced = torch.jit.trace(network, torch.rand(1, 1, 16, 16))
    image = torch.rand(2, 1, 32, 24)
    torch.testing.assert_close(traced(image), network(image))


def test_weights_that_no_patch_reached_do_nothing_in_larger_images():
    network = BranchedERFNet(2, 1, 3, channels=4, dropout=0.0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        (network(torch.rand(2, 1, 32, 32)) - torch.rand(2, 3, 32, 32)).square().mean().backward()
        optimizer.step()
    far, reached = [], []
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d) and max(layer.dilation) > 1:
            (reached if max(layer.dilation) < 4 else far).append(layer.weight.flatten(2)[..., [0, 2]])  # 32 / 8 pixels deep inside
    assert [len(far), len(reached)] == [12, 4]
    assert all((weights == 0).all() for weights in far)
    assert all((weights != 0).any() for weights in reached)
