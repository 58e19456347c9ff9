import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.ndimage import convolve, gaussian_filter

from im2im.baselines.intensities import Gaussian, Identity, LinearFilter
from im2im.baselines.sample import Sample

SHAPES = {2: (60, 50), 3: (8, 40, 32)}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sample(source, truth, included=None):
    return Sample(source, truth, np.ones(source.shape[1:], bool) if included is None else included)


@pytest.mark.parametrize("dims", [2, 3])
def test_identity_finds_scale_and_offset_of_every_channel(dims):
    source = noise(2, *SHAPES[dims])
    fitted = Identity.fit([sample(source, np.stack([3 * source[0] + 1, -2 * source[1]]))])
    assert fitted.scale == pytest.approx([3, -2])
    assert fitted.offset == pytest.approx([1, 0], abs=1e-6)
    other = noise(2, 5, 6, seed=1)
    np.testing.assert_allclose(fitted(other), np.stack([3 * other[0] + 1, -2 * other[1]]), atol=1e-5)


@pytest.mark.parametrize("sigma", [(2.0, 2.0), (0.0, 1.5, 1.5), (3.0, 3.0, 3.0)])
def test_gaussian_recovers_the_sigma_that_made_the_target(sigma):
    source = noise(1, *SHAPES[len(sigma)])
    fitted = Gaussian.fit([sample(source, 4 * gaussian_filter(source, (0, *sigma)) - 1)])
    assert fitted.sigma == list(sigma)
    assert fitted.scale == pytest.approx([4], rel=1e-3)
    other = noise(1, *SHAPES[len(sigma)], seed=1)
    np.testing.assert_allclose(fitted(other), 4 * gaussian_filter(other, (0, *sigma)) - 1, atol=1e-3)


@pytest.mark.parametrize("dims", [2, 3])
def test_linear_filter_recovers_the_kernels_that_made_the_target(dims):
    kernels = noise(3, 2, *{2: (3, 3), 3: (3, 3, 3)}[dims], seed=2)

    def filtered(source):
        return np.stack([sum(convolve(image, one) for image, one in zip(source, kernel, strict=True)) + 5 for kernel in kernels])

    source, other = noise(2, *SHAPES[dims]), noise(2, *SHAPES[dims], seed=1)
    fitted = LinearFilter.fit([sample(source, filtered(source))])
    np.testing.assert_allclose(fitted(other), filtered(other), atol=5e-3)
    weights = np.array(fitted.weights)
    assert weights.shape == (3, 2, *{2: (7, 7), 3: (3, 7, 7)}[dims])
    np.testing.assert_allclose(weights[..., 2:5, 2:5], np.flip(kernels, axis=tuple(range(2, 2 + dims))), atol=1e-3)


@pytest.mark.parametrize("kind", [Identity, Gaussian, LinearFilter])
def test_pixels_that_take_no_part_change_nothing(kind):
    source = noise(1, 60, 50)
    target, included = gaussian_filter(source, (0, 1, 1)), np.ones((60, 50), bool)
    included[:, :20] = False
    spoilt = np.where(included, target, 1000)
    assert kind.fit([sample(source, spoilt, included)]) == kind.fit([sample(source, target, included)])


def test_source_and_target_of_other_channels_leave_a_linear_filter_only():
    pair = sample(noise(3, 20, 20), noise(1, 20, 20))
    assert Identity.fit([pair]) is None
    assert Gaussian.fit([pair]) is None
    assert LinearFilter.fit([pair])(noise(3, 9, 9)).shape == (1, 9, 9)


@pytest.mark.parametrize("kind", [Identity, Gaussian, LinearFilter])
def test_nothing_is_fitted_where_no_pixel_takes_part(kind):
    assert kind.fit([sample(noise(1, 9, 9), noise(1, 9, 9), np.zeros((9, 9), bool))]) is None


@pytest.mark.parametrize("kind", [Identity, Gaussian, LinearFilter])
def test_a_constant_source_predicts_the_mean_of_the_target(kind):
    target = noise(1, 20, 20)
    fitted = kind.fit([sample(np.ones((1, 20, 20), np.float32), target)])
    np.testing.assert_allclose(fitted(np.ones((1, 5, 5), np.float32)), target.mean(), atol=1e-4)


@pytest.mark.parametrize("kind", [Identity, Gaussian, LinearFilter])
def test_json_gives_the_same_baseline_back(kind):
    fitted = kind.fit([sample(noise(1, 20, 20), noise(1, 20, 20, seed=1))])
    assert kind(**json.loads(json.dumps(asdict(fitted)))) == fitted
