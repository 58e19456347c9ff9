import warnings

import pytest
import torch

from im2im.networks.anisotropic_unet import AnisotropicUNet
from im2im.networks.stride import InputSize, input_size


@pytest.mark.parametrize(
    ("out_channels", "first_pool", "parameters"), [(7, 4, 17_984_967), (7, 2, 17_935_815), (1, 2, 17_935_425), (1, 3, 17_955_905)]
)
def test_it_has_as_many_parameters_as_published(out_channels, first_pool, parameters):
    with torch.device("meta"):
        network = AnisotropicUNet(3, 1, out_channels, first_pool)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize("size", [(16, 32), (1, 16, 32), (5, 32, 16)])
@pytest.mark.parametrize("first_pool", [1, 2])
@pytest.mark.parametrize("upsampling", ["transposed", "linear"])
def test_the_prediction_has_the_size_of_the_source_whatever_the_number_of_planes(size, first_pool, upsampling):
    network = AnisotropicUNet(len(size), in_channels=3, out_channels=2, first_pool=first_pool, channels=1, upsampling=upsampling)
    assert network(torch.rand(2, 3, *size)).shape == (2, 2, *size)


@pytest.mark.parametrize("first_pool", [2, 3, 4])
@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("upsampling", ["transposed", "linear"])
def test_only_y_and_x_shrink(first_pool, spatial_dims, upsampling):
    network = AnisotropicUNet(spatial_dims, first_pool=first_pool, channels=1, upsampling=upsampling)
    assert input_size(network, 1, spatial_dims) == InputSize((1, 8 * first_pool, 8 * first_pool)[-spatial_dims:])
    assert network.stride == (1, 8 * first_pool, 8 * first_pool)[-spatial_dims:]


@pytest.mark.parametrize("upsampling", ["transposed", "linear"])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_every_parameter_gets_a_gradient(spatial_dims, upsampling):
    torch.manual_seed(0)
    network = AnisotropicUNet(spatial_dims, channels=2, upsampling=upsampling)
    network(torch.rand(2, 1, *[32] * spatial_dims)).square().sum().backward()
    before_a_norm = {name for name, _ in network.named_parameters() if name.endswith(".0.bias")}  # the norm takes these out again
    assert all(parameter.grad.abs().sum() > 0 for name, parameter in network.named_parameters() if name not in before_a_norm)


@pytest.mark.parametrize(("size", "fitting"), [((100, 64), r"\[112, 64\]"), ((7, 16, 33), r"\[7, 16, 48\]")])
def test_a_size_that_cannot_be_halved_is_refused(size, fitting):
    with pytest.raises(ValueError, match=f"set patch_size={fitting}"):
        AnisotropicUNet(len(size), channels=1)(torch.rand(1, 1, *size))


def test_a_first_pooling_of_nothing_is_refused():
    with pytest.raises(ValueError, match="1 pixel or more, got 0; set network.first_pool=2"):
        AnisotropicUNet(3, first_pool=0)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_an_embedding_starts_at_no_offset_and_one_sigma_whatever_the_image(spatial_dims):
    torch.manual_seed(0)
    network = AnisotropicUNet(spatial_dims, 1, 2 * spatial_dims + 1, channels=2).eval()
    image = torch.randn(1, 1, *[16] * spatial_dims)
    seed = network(image)[:, -1]
    network.start_embedding(spatial_dims, sigma=0.5)
    prediction = network(image)
    assert (prediction[:, :spatial_dims] == 0).all()
    assert (prediction[:, spatial_dims:-1] == 0.5).all()
    assert torch.equal(prediction[:, -1], seed)
    assert seed.std() > 0


def test_a_residual_network_returns_its_source_until_it_has_learnt():
    image = torch.rand(1, 2, 3, 16, 16)
    network = AnisotropicUNet(3, 2, 2, channels=2, residual=True)
    assert torch.equal(network(image), image)
    torch.nn.init.ones_(network.head.bias)
    assert torch.equal(network(image), image + 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("settings", [{}, {"upsampling": "linear", "residual": True}])
def test_a_traced_network_takes_other_sizes_without_a_warning(settings):
    network = AnisotropicUNet(2, channels=2, **settings).eval()
    torch.nn.init.ones_(network.head.weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        traced = torch.jit.trace(network, torch.rand(1, 1, 16, 16))
    image = torch.rand(2, 1, 32, 48)
    torch.testing.assert_close(traced(image), network(image))
