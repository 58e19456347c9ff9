import pytest
import torch
from torch import nn

from im2im import parallel
from im2im.parallel import Means, average_gradients, own, running_statistics


def test_means_are_weighted_and_start_again():
    means = Means()
    means.add({"loss": torch.tensor(1.0), "dice": 0.5}, weight=1)
    means.add({"loss": torch.tensor(4.0)}, weight=2)
    assert means.take() == {"loss": 3.0, "dice": 0.5}
    assert means.take() == {}


def test_means_join_what_each_process_has_even_where_one_lacks_a_name(monkeypatch):
    monkeypatch.setattr(parallel, "gather", lambda here: [here, {"dice": (3.0, 2), "loss": (6.0, 1)}])
    means = Means()
    means.add({"loss": 2.0}, weight=3)
    assert means.take() == {"loss": 3.0, "dice": 1.5}


@pytest.mark.parametrize(("rank", "picked"), [(0, "a"), (1, "b"), (2, "a")])
def test_more_processes_than_before_share_what_there_is(rank, picked, monkeypatch):
    monkeypatch.setattr(parallel, "rank", lambda: rank)
    assert own(["a", "b"]) == picked


def two(monkeypatch, other: list[float]) -> None:
    """Stand beside another process that sends these numbers."""
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    monkeypatch.setattr(parallel.distributed, "all_reduce", lambda flat: flat.add_(torch.tensor(other)))


def test_gradients_and_running_statistics_are_averaged(monkeypatch):
    module = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    used, missing_here, missing_everywhere, frozen = (nn.Parameter(torch.zeros(2)) for _ in range(4))
    used.grad = torch.tensor([1.0, 2.0])
    frozen.requires_grad_(False)
    two(monkeypatch, [3.0, 4.0, 5.0, 6.0, 0.0, 0.0, 2.0, 3.0, 1.0, 1.0, 0.0])
    average_gradients([used, missing_here, missing_everywhere, frozen], module)
    assert used.grad.tolist() == [2.0, 3.0]
    assert missing_here.grad.tolist() == [2.5, 3.0]
    assert missing_everywhere.grad is frozen.grad is None
    assert [statistic.item() for statistic in running_statistics(module)] == [1.0, 2.0]


def test_a_single_process_leaves_its_gradients_alone():
    parameter = nn.Parameter(torch.zeros(2))
    average_gradients([parameter], nn.Identity())
    assert parameter.grad is None


def test_the_first_process_says_the_learning_rates(monkeypatch):
    optimizers = [torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate) for rate in (0.1, 0.2)]
    monkeypatch.setattr(parallel, "gather", lambda rates: [[0.3, 0.4], rates])
    parallel.share_rates(optimizers)
    assert [optimizer.param_groups[0]["lr"] for optimizer in optimizers] == [0.3, 0.4]
