"""Batch norms folded where only they see a convolution's output."""

import copy

import pytest
import torch
from torch import Tensor, nn

from im2im.networks.anisotropic_unet import AnisotropicUNet
from im2im.networks.fnet import FNet
from im2im.networks.folding import folded, pairs
from im2im.networks.layers import fast_layout


class Wired(nn.Module):
    """Three layers, of which each way through makes something else."""

    def __init__(self, way: str, convolution: nn.Module | None = None) -> None:
        super().__init__()
        self.convolution, self.norm = convolution or nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.other, self.way = nn.Conv2d(2, 2, 1), way

    def forward(self, image: Tensor) -> Tensor:
        return getattr(self, self.way)(image)

    def neighbours(self, image: Tensor) -> Tensor:
        return self.other(self.norm(self.convolution(image)))

    def norm_before_convolution(self, image: Tensor) -> Tensor:
        return self.other(self.convolution(self.norm(image)))

    def behind_another(self, image: Tensor) -> Tensor:
        return self.convolution(self.norm(self.other(image)))

    def rectified_between(self, image: Tensor) -> Tensor:
        return self.norm(self.convolution(image).relu_())

    def seen_by_another(self, image: Tensor) -> Tensor:
        convolved = self.convolution(image)
        return self.norm(convolved) + convolved

    def twice(self, image: Tensor) -> Tensor:
        return self.norm(self.convolution(self.norm(self.convolution(image))))

    def convolved_twice(self, image: Tensor) -> Tensor:
        return self.norm(self.convolution(self.convolution(image)))

    def unused_norm(self, image: Tensor) -> Tensor:
        self.norm(self.convolution(image))
        return self.other(self.convolution(image))


def experienced(network: nn.Module) -> nn.Module:
    """Let batch norms differ from doing nothing."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) and module.track_running_stats:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                module.weight.data.normal_()
                module.bias.data.normal_()
    return network.eval()


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("neighbours", [("convolution", "norm")]),
        ("behind_another", [("other", "norm")]),
        ("norm_before_convolution", []),
        ("rectified_between", []),
        ("seen_by_another", []),
        ("twice", []),
        ("convolved_twice", []),
        ("unused_norm", []),
    ],
)
def test_what_becomes_of_each_output_decides(way, expected):
    network, image = experienced(Wired(way)), torch.randn(1, 2, 6, 6)
    assert pairs(network, image.shape) == expected
    made, count, norms = folded(network, image.shape)
    assert (count, norms) == (len(expected), 1)
    with torch.no_grad():
        torch.testing.assert_close(made(image), network(image), atol=1e-5, rtol=1e-5)


CONVOLUTIONS = {
    "plain": lambda: nn.Conv2d(2, 2, 3, padding=1),
    "without bias": lambda: nn.Conv2d(2, 2, 3, padding=1, bias=False),
    "groups": lambda: nn.Conv2d(2, 2, 3, padding=1, groups=2),
    "mirrored padding": lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
    "transposed": lambda: nn.ConvTranspose2d(2, 2, 3, padding=1),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_every_convolution_is_folded_exactly(name):
    network, image = experienced(Wired("neighbours", CONVOLUTIONS[name]())), torch.randn(1, 2, 6, 6)
    made, count, _ = folded(network, image.shape)
    assert count == 1
    with torch.no_grad():
        torch.testing.assert_close(made(image), network(image), atol=1e-5, rtol=1e-5)


def _hooked(network: Wired) -> None:
    network.convolution.register_forward_hook(lambda module, inputs, output: output * 2)


def _parametrized(network: Wired) -> None:
    nn.utils.parametrizations.spectral_norm(network.convolution)


def _of_the_batch(network: Wired) -> None:
    network.norm = nn.BatchNorm2d(2, track_running_stats=False)


def _grouped(network: Wired) -> None:
    network.convolution = nn.ConvTranspose2d(2, 2, 1, groups=2)


@pytest.mark.parametrize("change", [_hooked, _parametrized, _of_the_batch, _grouped])
def test_what_does_more_than_its_weights_is_left_alone(change):
    network = Wired("neighbours")
    change(network)
    experienced(network)
    image = torch.randn(1, 2, 6, 6)
    made, count, _ = folded(network, image.shape)
    assert count == 0
    with torch.no_grad():
        torch.testing.assert_close(made(image), network(image))


@pytest.mark.parametrize(
    ("network", "shape", "count"),
    [
        (FNet(2, channels=2, depth=2), (1, 1, 16, 16), 14),
        (FNet(3, channels=2, depth=1), (1, 1, 4, 8, 8), 8),
        (AnisotropicUNet(3, channels=1), (1, 1, 3, 32, 32), 16),
    ],
    ids=["fnet 2D", "fnet 3D", "anisotropic"],
)
def test_networks_are_folded_and_stay_as_they_are(network, shape, count):
    experienced(fast_layout(network)).requires_grad_(False)
    before, image = copy.deepcopy(network.state_dict()), torch.randn(shape)
    with torch.inference_mode():
        made, done, norms = folded(network, shape)
        torch.testing.assert_close(made(image), network(image), atol=1e-4, rtol=1e-4)
    assert done == norms == count
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_weights_that_two_layers_share_are_folded_in_one():
    network = Wired("neighbours", nn.Conv2d(2, 2, 1))
    network.other.weight = network.convolution.weight
    experienced(network)
    image = torch.randn(1, 2, 6, 6)
    made, count, _ = folded(network, image.shape)
    assert count == 1
    with torch.no_grad():
        torch.testing.assert_close(made(image), network(image), atol=1e-5, rtol=1e-5)


def test_a_network_that_looks_at_values_is_refused():
    class Looking(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image * 2 if image.max().item() > 0 else image

    with pytest.raises(ValueError, match=r"Looking cannot be followed to fold it, got: .*; set inference.fold=false"):
        folded(Looking(), (1, 1, 4, 4))
