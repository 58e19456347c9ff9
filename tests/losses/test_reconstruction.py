import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from im2im.losses.reconstruction import L1, MSE, Correlation, SmoothL1, weighted_mean

CRITERIA = [L1(), MSE(), SmoothL1(), Correlation()]
SIZES = [(6, 8), (3, 6, 8)]


def images(size, channels=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, channels, *size, generator=generator).unbind()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("criterion", "peer"), [(L1(), torch.nn.L1Loss()), (MSE(), torch.nn.MSELoss()), (SmoothL1(0.3), torch.nn.SmoothL1Loss(beta=0.3))]
)
def test_without_a_cost_map_a_criterion_is_that_of_torch(criterion, peer, size):
    prediction, target = images(size)
    torch.testing.assert_close(criterion(prediction, target), peer(prediction, target))


@pytest.mark.parametrize(
    ("criterion", "expected"), [(L1(), (1 * 1 + 3 * 2) / 3), (MSE(), (1 * 1 + 9 * 2) / 3), (SmoothL1(), (0.5 + 2.5 * 2) / 3)]
)
def test_a_cost_map_weighs_pixels(criterion, expected):
    prediction, target = torch.tensor([[[[1.0, 3.0, 100.0]]]]), torch.zeros(1, 1, 1, 3)
    assert criterion(prediction, target, torch.tensor([[[[1, 2, 0]]]])).item() == pytest.approx(expected)


@pytest.mark.parametrize("size", SIZES)
def test_correlation_is_one_minus_that_of_scipy_for_each_image(size):
    prediction, target = images(size)
    pairs = zip(prediction.flatten(0, 1), target.flatten(0, 1), strict=True)
    expected = np.mean([1 - pearsonr(a.flatten(), b.flatten()).statistic for a, b in pairs])
    assert Correlation()(prediction, target).item() == pytest.approx(expected, abs=1e-6)


def test_correlation_of_the_pixels_that_count_is_that_of_scipy():
    prediction, target = images((6, 8), channels=1)
    cost_map = torch.ones(3, 1, 6, 8)
    cost_map[..., 2:5] = 0
    kept = [(a[cost_map[0] > 0], b[cost_map[0] > 0]) for a, b in zip(prediction, target, strict=True)]
    expected = np.mean([1 - pearsonr(a, b).statistic for a, b in kept])
    assert Correlation()(prediction, target, cost_map).item() == pytest.approx(expected, abs=1e-6)


def test_a_weight_of_two_counts_as_a_pixel_that_is_there_twice():
    prediction, target = images((1, 6), channels=1)
    cost_map = torch.tensor([1.0, 1, 2, 1, 1, 2]).expand(3, 1, 1, 6)
    twice = [0, 1, 2, 2, 3, 4, 5, 5]
    for criterion in CRITERIA:
        torch.testing.assert_close(criterion(prediction, target, cost_map), criterion(prediction[..., twice], target[..., twice]))


def test_correlation_is_blind_to_offset_and_gain():
    prediction, _ = images((6, 8))
    assert Correlation()(prediction, 3 * prediction + 5).item() == pytest.approx(0, abs=1e-6)


def test_an_image_that_is_excluded_has_no_part_in_the_mean_of_correlations():
    prediction, target = images((6, 8))
    cost_map = torch.ones(3, 1, 6, 8)
    cost_map[1] = 0
    torch.testing.assert_close(Correlation()(prediction, target, cost_map), Correlation()(prediction[[0, 2]], target[[0, 2]]))


@pytest.mark.parametrize("constant_side", [0, 1])
def test_a_constant_image_has_correlation_0_and_a_finite_gradient(constant_side):
    pair = [images((6, 8))[0].clone(), images((6, 8))[1].clone()]
    pair[constant_side] = torch.full_like(pair[0], 0.25)
    pair[0].requires_grad_()
    loss = Correlation()(*pair)
    loss.backward()
    assert loss.item() == pytest.approx(1, abs=1e-6)
    assert torch.isfinite(pair[0].grad).all()


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("size", SIZES)
def test_an_excluded_pixel_has_no_influence_even_where_the_target_is_nan(criterion, size):
    prediction, target = images(size)
    cost_map = torch.ones(3, 1, *size)
    cost_map[0, ..., 0] = 0
    expected = criterion(prediction, target, cost_map)
    prediction, target = prediction.clone(), target.clone()
    prediction[0, ..., 0], target[0, ..., 0] = 1e6, float("nan")
    prediction.requires_grad_()
    loss = criterion(prediction, target, cost_map)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    excluded = (cost_map == 0).expand_as(prediction)
    assert (prediction.grad[excluded] == 0).all()
    assert (prediction.grad[~excluded] != 0).all()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_where_everything_is_excluded_the_loss_is_0_and_can_be_minimized(criterion):
    prediction, target = images((6, 8))
    prediction.requires_grad_()
    loss = criterion(prediction, target, torch.zeros(3, 1, 6, 8))
    loss.backward()
    assert loss.item() == 0
    assert (prediction.grad == 0).all()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_cost_map_of_one_channel_is_that_of_every_channel(criterion):
    prediction, target = images((6, 8))
    cost_map = torch.rand(3, 1, 6, 8).round()
    torch.testing.assert_close(criterion(prediction, target, cost_map), criterion(prediction, target, cost_map.expand(3, 2, 6, 8)))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_half_precision_does_not_overflow(criterion):
    prediction, target = (1000 * image.half() for image in images((6, 8)))
    assert torch.isfinite(criterion(prediction, target))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_target_of_another_shape_is_refused(criterion):
    with pytest.raises(ValueError, match=r"got \(1, 2, 4, 4\) and \(1, 1, 4, 4\); set out_channels"):
        criterion(torch.rand(1, 2, 4, 4), torch.rand(1, 1, 4, 4))


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 1, 4, 1), (1, 1, 4, 4), (2, 3, 4, 4)])
def test_a_cost_map_of_another_shape_is_refused(criterion, shape):
    with pytest.raises(ValueError, match="a cost map must have shape"):
        criterion(torch.rand(2, 2, 4, 4), torch.rand(2, 2, 4, 4), torch.ones(shape))


def test_weighted_mean_leaves_out_what_is_excluded():
    per_pixel = torch.tensor([[[[1.0, 2.0, float("inf")]]]])
    assert weighted_mean(per_pixel, torch.tensor([[[[3, 1, 0]]]])).item() == pytest.approx(5 / 4)


def test_weighted_mean_counts_every_channel():
    per_pixel = torch.tensor([[[[1.0, 2.0]], [[3.0, 8.0]]]])
    assert weighted_mean(per_pixel, torch.tensor([[[[1, 0]]]])).item() == pytest.approx(2)
