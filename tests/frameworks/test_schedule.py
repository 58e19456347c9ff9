import pytest
import torch

from im2im.frameworks import schedule
from im2im.frameworks.schedule import Cosine
from im2im.report.notation import seconds_of


def optimizer() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)


def rates(scheduler: Cosine, epochs: int) -> list[float]:
    seen = []
    for _ in range(epochs):
        seen.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return seen


def test_without_a_time_limit_it_is_the_schedule_of_torch():
    mine, theirs = optimizer(), optimizer()
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=8)
    expected = []
    for _ in range(8):
        expected.append(theirs.param_groups[0]["lr"])
        theirs.step()
        reference.step()
    assert rates(Cosine(mine, 8), 8) == pytest.approx(expected)


def test_it_ends_when_the_time_is_over(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: now[0])
    scheduler = Cosine(optimizer(), 1000, "00:00:00:10")
    for now[0], expected in ((5, 1.0), (10, 0.0), (20, 0.0)):
        scheduler.optimizer.step()
        scheduler.step()
        assert scheduler.optimizer.param_groups[0]["lr"] == pytest.approx(expected, abs=1e-2)


def test_the_rate_rises_first_where_that_is_wanted():
    seen = rates(Cosine(optimizer(), 100, warm_up=0.1), 100)
    assert seen[0] == pytest.approx(0.2)
    assert seen.index(max(seen)) == 10


def test_a_resumed_schedule_goes_on_where_it_was():
    whole = rates(Cosine(optimizer(), 10), 10)
    first = Cosine(optimizer(), 10)
    rates(first, 4)
    second = Cosine(optimizer(), 10)
    second.load_state_dict(first.state_dict())
    assert rates(second, 6) == pytest.approx(whole[4:], abs=1e-6)


@pytest.mark.parametrize("text", ["10", "0:10", "a:b:c:d"])
def test_a_time_written_otherwise_is_refused(text):
    with pytest.raises(ValueError, match="DD:HH:MM:SS"):
        seconds_of(text)


def test_a_time_is_read():
    assert seconds_of("01:02:03:04") == 93784


def test_a_warm_up_longer_than_the_training_is_refused():
    with pytest.raises(ValueError, match=r"scheduler\.warm_up"):
        Cosine(optimizer(), 10, warm_up=1.0)
