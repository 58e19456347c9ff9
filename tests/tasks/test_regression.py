import numpy as np
import pytest
import torch

from im2im.affine import Affine
from im2im.losses.reconstruction import MSE
from im2im.metrics import nrmse, pearson, ssim
from im2im.normalization import Macenko, Mask, Standard
from im2im.tasks.regression import Regression

TASK = Regression(MSE(), Standard(), {"pearson": pearson, "nrmse": nrmse, "ssim": ssim})


@pytest.mark.parametrize("channels", [1, 3])
def test_there_is_one_output_for_each_channel_of_the_target(channels):
    assert TASK.out_channels(channels) == channels


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (2, 1, 3, 4, 4)])
def test_the_loss_is_that_of_the_criterion(shape):
    batch = {"target": torch.zeros(shape)}
    assert TASK.loss(torch.full(shape, 3.0), batch).item() == pytest.approx(9.0)


def test_every_metric_is_computed_in_its_order():
    image = np.random.default_rng(0).normal(size=(1, 16, 16)).astype(np.float32)
    scores = TASK.score(image, image)
    assert list(scores) == ["pearson", "nrmse", "ssim"]
    assert scores == pytest.approx({"pearson": 1.0, "nrmse": 0.0, "ssim": 1.0})


def test_what_lies_in_excluded_pixels_changes_no_metric():
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(2, 1, 32, 32)).astype(np.float32)
    cost_map = np.ones((1, 32, 32), np.float32)
    cost_map[:, :, :10] = 0
    spoiled = np.where(cost_map > 0, prediction, 1e3).astype(np.float32)
    assert TASK.score(prediction, target, cost_map) == pytest.approx(TASK.score(spoiled, target, cost_map))


@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (2, 2, 3, 4, 4)])
def test_excluded_pixels_have_no_gradient(shape):
    prediction, cost_map = torch.zeros(shape, requires_grad=True), torch.ones(2, 1, *shape[2:])
    cost_map[..., :2] = 0
    TASK.loss(prediction, {"target": torch.ones(shape), "cost_map": cost_map}).backward()
    assert (prediction.grad[..., :2] == 0).all()
    assert (prediction.grad[..., 2:] != 0).all()


def test_intensities_are_shown_compared_and_scored_as_they_are():
    image = torch.randn(2, 1, 4, 4)
    assert TASK.activate(image) is image
    assert TASK.present(image) is image
    assert np.array_equal(TASK.interpret(image.numpy()), image.numpy())
    assert np.array_equal(TASK.truth(image.numpy()), image.numpy())
    assert TASK.parts(image[0].numpy(), image[0].numpy()) == []


def test_normalized_intensities_can_be_had_as_well():
    output = np.array([[[-1.0, 0.0, 2.0]]], np.float32)
    assert np.array_equal(TASK.decode(output, Affine((100.0,), (10.0,)), "normalized"), output)


def test_an_output_that_there_is_none_of_is_refused():
    with pytest.raises(ValueError, match=r"intensities, normalized, got labels; choose among them with mode\.outputs"):
        TASK.decode(np.zeros((1, 2, 2), np.float32), Affine((0.0,), (1.0,)), "labels")


def test_decoding_undoes_the_normalization_of_the_targets():
    decoded = TASK.decode(np.array([[[-1.0, 0.0, 2.0]]], np.float32), Affine((100.0,), (10.0,)))
    assert decoded.tolist() == [[[90.0, 100.0, 120.0]]]
    assert decoded.dtype == np.float32


@pytest.mark.parametrize("normalization", [Macenko(), Mask()], ids=["macenko", "mask"])
def test_a_target_is_not_normalized_by_what_cannot_be_undone(normalization):
    with pytest.raises(ValueError, match=r"must be one that can be undone, got \w+; set task\.normalization="):
        Regression(MSE(), normalization, {"pearson": pearson})
