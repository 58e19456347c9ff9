import copy
import logging
import pickle

import pytest
import torch
from torch import nn

from im2im.inference.tiling import TiledInference
from im2im.networks.convolution import Conv3d, _said, fast_for_one
from im2im.networks.layers import fast_layout
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


@pytest.mark.parametrize("planes", [1, 2, 3])
@pytest.mark.parametrize("settings", [{"padding": 1}, {"kernel_size": 5, "padding": 2}, {"dilation": 4, "padding": 4}], ids=str)
def test_stacks_thinner_than_the_kernel_are_right_in_bfloat16(settings, planes):
    torch.manual_seed(0)
    plain = nn.Conv3d(**{"in_channels": 1, "out_channels": 8, "kernel_size": 3} | settings)
    made = fast_for_one(copy.deepcopy(plain)).to(memory_format=torch.channels_last_3d)
    for _ in range(3):  # what torch leaves in memory differs from time to time
        image = torch.randn(1, 1, planes, 16, 16)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            found = made(image)
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), plain(image), atol=0.03, rtol=0.03)


def test_it_is_said_once_that_thin_stacks_are_not_computed_in_bfloat16(caplog):
    _said.cache_clear()
    _, made = fast(padding=1)
    with caplog.at_level(logging.INFO), torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        made(torch.randn(1, 4, 3, 9, 10))
        assert not caplog.text
        for _ in range(2):
            made(torch.randn(1, 4, 2, 9, 10))
    assert caplog.text.count("compute in single precision") == 1


@pytest.mark.parametrize("engine", [None, "compile", "openvino"])
def test_a_thin_tile_after_a_thick_one_is_right_in_bfloat16(engine):
    if engine == "openvino":
        pytest.importorskip("openvino")
    torch.manual_seed(0)
    network = fast_layout(nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(), nn.Conv3d(8, 1, 3, padding=1))).eval()
    for planes in (4, 1, 1, 2):
        image = torch.randn(1, planes, 16, 16)
        found, exact = (TiledInference(precision=name, engine=engine)(network, image) for name in ("bf16", None))
        assert (found - exact).square().mean().sqrt() < 0.05 * exact.std()
