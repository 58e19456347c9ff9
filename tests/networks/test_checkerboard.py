"""Upsampling must not leave a pattern of period 2: power at the Nyquist lines that their neighbours do not have."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from im2im.networks.anisotropic_unet import AnisotropicUNet
from im2im.networks.fnet import FNet


def nyquist_ratio(images: np.ndarray) -> float:
    """Divide the mean power at fy = 1/2 and fx = 1/2 per pixel by that of the rows and columns 3 to 6 bins below; NYX, even sizes."""
    window = np.outer(*map(np.hanning, images.shape[-2:]))
    spectra = np.fft.fftshift(np.fft.fft2((images - images.mean((-2, -1), keepdims=True)) * window), axes=(-2, -1))
    power = np.abs(spectra) ** 2  # the first row and the first column are the Nyquist lines
    return float((power[:, 0].mean() + power[:, :, 0].mean()) / (power[:, 3:7].mean() + power[:, :, 3:7].mean()))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def pairs(count: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make noisy images and what lies behind them, which has a little noise itself, as an average of many exposures does."""
    smooth = gaussian_filter(noise(count, size, size, seed=seed), (0, 2, 2))
    target = smooth / smooth.std() + 0.02 * noise(*smooth.shape, seed=seed + 1)
    return (target + noise(*smooth.shape, seed=seed + 2)).astype(np.float32), target.astype(np.float32)


def denoised(network=partial(FNet, depth=2), **settings) -> np.ndarray:
    """Train a tiny network on noisy images and let it predict others, NYX."""
    torch.manual_seed(1)
    network = network(2, channels=4, **settings)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    source, target = map(torch.from_numpy, pairs(16, 64, seed=0))
    for _ in range(60):
        batch = torch.randint(len(source), (4,))
        optimizer.zero_grad()
        (network(source[batch, None]) - target[batch, None]).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        return network.eval()(torch.from_numpy(pairs(4, 128, seed=10)[0])[:, None])[:, 0].numpy()


def test_noise_and_targets_have_as_much_power_at_the_nyquist_lines_as_beside_them():
    assert nyquist_ratio(noise(16, 128, 128)) == pytest.approx(1, abs=0.1)
    assert nyquist_ratio(pairs(16, 128, seed=0)[1]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("axis", [1, 2])
def test_stripes_of_period_2_have_more(axis):
    stripes = np.indices((4, 128, 128))[axis] % 2
    assert nyquist_ratio(noise(4, 128, 128) + 0.5 * stripes) > 3


@pytest.mark.parametrize("network", [partial(FNet, depth=2), AnisotropicUNet], ids=["fnet", "anisotropic_unet"])
@pytest.mark.parametrize("residual", [False, True, 1.5])
def test_a_trained_network_with_linear_upsampling_leaves_no_checkerboard(network, residual):
    assert nyquist_ratio(denoised(network, upsampling="linear", residual=residual)) <= 1.5


def test_one_with_transposed_convolutions_does():
    assert nyquist_ratio(denoised(upsampling="transposed")) > 2
