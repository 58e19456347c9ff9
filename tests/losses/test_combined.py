import pytest
import torch

from im2im.losses.combined import Combined
from im2im.losses.reconstruction import L1, MSE


def test_criteria_add_up_by_their_weights():
    prediction, target = torch.tensor([[[[3.0, 0.0]]]]), torch.zeros(1, 1, 1, 2)
    assert Combined({"mse": MSE(), "l1": L1()}, {"mse": 2.0, "l1": 10.0})(prediction, target).item() == pytest.approx(2 * 4.5 + 10 * 1.5)


def test_the_cost_map_reaches_every_criterion():
    prediction = torch.tensor([[[[3.0, 5.0]]]], requires_grad=True)
    cost_map = torch.tensor([[[[1.0, 0.0]]]])
    Combined({"mse": MSE(), "l1": L1()}, {"mse": 1.0, "l1": 1.0})(prediction, torch.zeros(1, 1, 1, 2), cost_map).backward()
    assert prediction.grad.tolist() == [[[[7.0, 0.0]]]]


def test_a_criterion_without_a_weight_is_refused():
    with pytest.raises(ValueError, match=r"change criterion\.weights"):
        Combined({"mse": MSE()}, {})
