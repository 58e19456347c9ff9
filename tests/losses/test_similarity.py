import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from im2im.losses.similarity import SSIM
from im2im.metrics import ssim

SIZES = [(20, 24), (13, 15, 17), (3, 20, 22), (1, 14, 16)]
by_size = pytest.mark.parametrize("size", SIZES, ids=str)


def images(size, samples=2, channels=2):
    generator = torch.Generator().manual_seed(0)
    target = 5 * torch.rand(samples, channels, *size, generator=generator)
    return 0.8 * target + 0.5 * torch.randn(target.shape, generator=generator) + 0.3, target


@pytest.mark.parametrize("size", [(20, 24), (13, 15, 17)], ids=str)
def test_the_similarity_is_that_of_scikit_image(size):
    prediction, target = (image[0, 0].double() for image in images(size))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 7.0}
    expected = structural_similarity(prediction.numpy(), target.numpy(), **settings)
    assert SSIM(7.0)(prediction[None, None], target[None, None]).item() == pytest.approx(1 - expected, abs=1e-6)


@by_size
@pytest.mark.parametrize("data_range", [None, 4.0])
def test_the_similarity_is_that_of_the_metric_averaged_over_images(size, data_range):
    prediction, target = images(size)
    target[1] *= 3
    expected = np.mean([1 - ssim(a.numpy(), b.numpy(), data_range=data_range) for a, b in zip(prediction, target, strict=True)])
    assert SSIM(data_range)(prediction, target).item() == pytest.approx(expected, abs=1e-5)


@by_size
def test_the_similarity_beside_excluded_pixels_is_that_of_the_metric_with_zeros_there(size):
    prediction, target = (image[:1] for image in images(size))
    cost_map = torch.ones(1, 1, *size)
    cost_map[..., 8:] = 0
    arrays = ((image * cost_map)[0].numpy() for image in (prediction, target))
    assert SSIM()(prediction, target, cost_map).item() == pytest.approx(1 - ssim(*arrays, cost_map[0].numpy()), abs=1e-5)


@by_size
def test_an_excluded_pixel_has_no_influence_even_where_the_target_is_nan(size):
    prediction, target = images(size)
    cost_map = torch.ones(2, 1, *size)
    cost_map[0, ..., 8:] = 0
    expected = SSIM()(prediction, target, cost_map)
    prediction[0, ..., 8:], target[0, ..., 8:] = 1e6, float("nan")
    prediction.requires_grad_()
    loss = SSIM()(prediction, target, cost_map)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    assert (prediction.grad[0, ..., 8:] == 0).all()
    assert (prediction.grad[0, ..., :8] != 0).all()
    assert (prediction.grad[1] != 0).all()


def test_a_cost_map_weighs_the_local_similarities():
    prediction, target = images((20, 24))
    halves = [torch.ones(2, 1, 20, 24) for _ in range(2)]
    halves[0][..., 12:], halves[1][..., :12] = 1e-9, 1e-9  # nearly 0, but seen by the windows
    left, right = (SSIM(5.0)(prediction, target, half) for half in halves)
    weighted = SSIM(5.0)(prediction, target, halves[0].round() + 3 * halves[1].round())
    torch.testing.assert_close(weighted, (left + 3 * right) / 4)


def test_where_everything_is_excluded_the_loss_is_0_and_can_be_minimized():
    prediction, target = images((20, 24))
    prediction.requires_grad_()
    loss = SSIM()(prediction, target, torch.zeros_like(target))
    loss.backward()
    assert loss.item() == 0
    assert (prediction.grad == 0).all()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_images_have_a_defined_loss_and_a_finite_gradient(value):
    prediction = torch.full((1, 1, 20, 20), value + 0.5, requires_grad=True)
    target = torch.full((1, 1, 20, 20), value)
    loss = SSIM()(prediction, target)
    loss.backward()
    expected = (2 * value * (value + 0.5) + 1e-4) / (value**2 + (value + 0.5) ** 2 + 1e-4)
    assert loss.item() == pytest.approx(1 - expected, abs=1e-4)
    assert torch.isfinite(prediction.grad).all()


def test_descent_leads_to_the_target():
    target = images((20, 24))[1]
    prediction = torch.zeros_like(target).requires_grad_()
    optimizer = torch.optim.Adam([prediction], lr=0.2)
    for _ in range(100):
        optimizer.zero_grad()
        loss = SSIM()(prediction, target)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_autocast_does_not_lower_the_precision():
    prediction, target = images((20, 24))
    expected = SSIM()(prediction + 50, target + 50)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(SSIM()(prediction + 50, target + 50), expected)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"got \(1, 2, 12, 12\) and \(1, 1, 12, 12\); set out_channels"):
        SSIM()(torch.rand(1, 2, 12, 12), torch.rand(1, 1, 12, 12))
