from types import SimpleNamespace

import pytest
import torch
from torch import nn

from im2im.networks.stride import require_multiple
from im2im.planning import speed

CONFIG = "{_target_: torch.nn.Conv3d, in_channels: 1, kernel_size: 1}"
CPU = torch.device("cpu")


@pytest.fixture
def seen(monkeypatch):
    """What the measured networks were: their number, and the sizes of their batches."""
    networks, sizes = [], []

    class Counting(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv = nn.Conv2d(1, channels, 1)

        def forward(self, source):
            require_multiple(source.shape[2:], (4, 4))
            if self.training:
                sizes.append(len(source))
            return self.conv(source)

    def laid_out(network):
        networks.append(network)
        return network

    monkeypatch.setattr(speed, "build", lambda node, channels: Counting(channels))
    monkeypatch.setattr(speed, "fast_layout", laid_out)
    speed.pass_seconds.cache_clear()
    return networks, sizes


@pytest.mark.parametrize(("batch", "measured"), [(1, 1), (2, 2), (4, 2), (16, 4)])
def test_a_quarter_of_a_batch_but_two_patches_are_measured_as_a_training_lays_weights_out(seen, batch, measured):
    networks, sizes = seen
    assert speed.pass_seconds(CONFIG, 2, (batch, 1, 8, 8), CPU, "32-true") > 0
    assert len(networks) == 1
    assert set(sizes) == {measured}


def test_the_same_network_is_measured_once(seen):
    networks, _ = seen
    first = speed.pass_seconds(CONFIG, 2, (2, 1, 8, 8), CPU, "32-true")
    assert speed.pass_seconds(CONFIG, 2, (2, 1, 8, 8), CPU, "32-true") == first
    assert len(networks) == 1
    speed.pass_seconds(CONFIG, 4, (2, 1, 8, 8), CPU, "32-true")
    assert len(networks) == 2


@pytest.mark.parametrize(("batch", "seconds"), [(1, 1), (2, 1), (4, 2), (16, 4)])
def test_the_seconds_are_those_of_a_whole_batch(seen, monkeypatch, batch, seconds):
    now = iter(range(100))
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: float(next(now))))
    assert speed.pass_seconds(CONFIG, 2, (batch, 1, 8, 8), CPU, "32-true") == seconds


def test_patches_that_the_network_does_not_take_are_measured_as_they_are_padded(seen):
    assert speed.pass_seconds(CONFIG, 2, (2, 1, 10, 9), CPU, "32-true") > 0
