import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from im2im.networks.anisotropic_unet import AnisotropicUNet
from im2im.networks.fnet import FNet
from im2im.networks.smoothing import Smoothing


@pytest.mark.parametrize(("shape", "sigma"), [((20, 30), 1.5), ((20, 30), [0.0, 2.0]), ((6, 20, 30), [0.0, 2.0, 2.0]), ((9, 20, 30), 1.0)])
def test_each_channel_is_filtered_as_by_scipy(shape, sigma):
    image = np.random.default_rng(0).random((2, 3, *shape), np.float32)
    axes = sigma if isinstance(sigma, list) else [sigma] * len(shape)
    expected = gaussian_filter(image, (0, 0, *axes), mode="nearest", radius=[0, 0, *(int(np.ceil(3 * one)) for one in axes)])
    assert Smoothing(len(shape), 3, sigma)(torch.from_numpy(image)).numpy() == pytest.approx(expected, abs=1e-5)


def test_no_filter_leaves_the_image_as_it_is():
    image = torch.rand(1, 2, 8, 8)
    assert torch.equal(Smoothing(2, 2, 0.0)(image), image)


def test_the_filter_is_exact_in_lower_precision():
    image = torch.rand(1, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Smoothing(2, 1, 1.0)(image), Smoothing(2, 1, 1.0)(image.float()))
        assert Smoothing(2, 1, 1.0)(image).dtype == torch.float32


@pytest.mark.parametrize("sigma", [-1.0, [1.0, 1.0, 1.0]])
def test_a_filter_of_other_axes_is_refused(sigma):
    with pytest.raises(ValueError, match="change network.residual"):
        Smoothing(2, 1, sigma)


@pytest.mark.parametrize("network", [FNet, AnisotropicUNet])
def test_a_residual_network_returns_its_smoothed_source_until_it_has_learnt(network):
    image = torch.rand(1, 2, 16, 32)
    built = network(2, 2, 2, channels=2, residual=1.5).eval()
    assert torch.equal(built(image), Smoothing(2, 2, 1.5)(image))
    assert not [name for name in built.state_dict() if "residual" in name]  # old checkpoints fit
