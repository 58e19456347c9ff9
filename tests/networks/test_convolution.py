import copy
import pickle

import pytest
import torch
from torch import nn

from im2im.networks.convolution import Conv3d, fast_for_one
from im2im.networks.stride import input_size


def fast(**settings) -> tuple[nn.Conv3d, nn.Module]:
    """A convolution of torch, and the same one made fast."""
    torch.manual_seed(0)
    plain = nn.Conv3d(4, 8, 3, **settings)
    return plain, fast_for_one(copy.deepcopy(plain))


SETTINGS = [
    {},
    {"padding": 1},
    {"padding": "same"},
    {"stride": 2, "padding": 1},
    {"dilation": 2},
    {"groups": 2, "bias": False},
    {"padding": 1, "padding_mode": "reflect"},
]


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_result_and_gradients_are_those_of_torch(settings, batch):
    plain, made = fast(**settings)
    assert type(made) is Conv3d
    image = torch.randn(batch, 4, 6, 9, 10)
    torch.testing.assert_close(made(image), plain(image), atol=1e-5, rtol=1e-5)
    for convolution in (plain, made):
        convolution(image).square().sum().backward()
    torch.testing.assert_close(made.weight.grad, plain.weight.grad, atol=1e-3, rtol=1e-4)


def test_the_kernel_for_batches_is_asked_for(monkeypatch):
    called = []
    _, made = fast(padding=1)
    kernel = torch.ops.aten.mkldnn_convolution
    monkeypatch.setattr(torch.ops.aten, "mkldnn_convolution", lambda *arguments: called.append(1) or kernel(*arguments))
    made(torch.randn(1, 4, 6, 9, 10))
    assert called == [1]
    made(torch.randn(2, 4, 6, 9, 10))
    with torch.autocast("cpu", torch.bfloat16):
        assert made(torch.randn(1, 4, 6, 9, 10)).dtype == torch.bfloat16
    made.double()(torch.randn(1, 4, 6, 9, 10, dtype=torch.float64))
    assert called == [1]


def test_networks_of_others_are_changed_and_classes_of_their_own_are_not():
    class Own(nn.Conv3d):
        pass

    network = fast_for_one(nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), Own(2, 2, 1), nn.Conv2d(1, 1, 1)))
    assert [type(module) for module in network] == [Conv3d, Own, nn.Conv2d]


def test_it_can_be_copied_pickled_and_measured_without_arithmetic():
    _, made = fast(padding=1)
    copied = pickle.loads(pickle.dumps(made))
    image = torch.randn(1, 4, 5, 5, 5)
    assert torch.equal(copied(image), made(image))
    assert input_size(nn.Sequential(fast_for_one(nn.Conv3d(1, 1, 3, padding=1))), 1, 3).multiple == (1, 1, 1)
