import pytest
import torch
from monai.networks.nets import UNETR, AttentionUnet, DynUNet, SwinUNETR, UNet
from torch import nn
from torch.nn.functional import interpolate, max_pool2d

from im2im.networks.fnet import FNet
from im2im.networks.stride import InputSize, input_size, require_multiple, total_stride


class DownAndUp(nn.Module):
    """Pools by each of the steps and unpools again, with a skip connection at each level."""

    def __init__(self, *steps):
        super().__init__()
        self.steps = steps
        pool = nn.MaxPool3d if len(steps[0]) == 3 else nn.MaxPool2d
        self.pools = nn.ModuleList(pool(step) for step in steps)

    def forward(self, image):
        skips = []
        for pool in self.pools:
            skips.append(image)
            image = pool(image)
        for step in reversed(self.steps):
            image = skips.pop() + interpolate(image, scale_factor=tuple(float(edge) for edge in step))
        return image


@pytest.mark.parametrize(
    ("network", "spatial_dims", "stride"),
    [
        (lambda: FNet(2, channels=1), 2, (16, 16)),
        (lambda: FNet(3, channels=1), 3, (16, 16, 16)),
        (lambda: FNet(3, channels=1, depth=1), 3, (2, 2, 2)),
        (lambda: UNet(2, 1, 1, [1, 2, 4, 8, 16], [2, 2, 2, 2]), 2, (16, 16)),
        (lambda: UNet(3, 1, 1, [1, 2, 4], [(1, 2, 2), (2, 2, 2)], num_res_units=2), 3, (2, 4, 4)),
        (lambda: AttentionUnet(2, 1, 1, [2, 4, 8, 16, 32], [2, 2, 2, 2]), 2, (16, 16)),
        (lambda: DynUNet(3, 1, 1, [3, 3, 3], [1, (1, 2, 2), 2], [(1, 2, 2), 2], filters=[2, 4, 8]), 3, (2, 4, 4)),
        (lambda: SwinUNETR(1, 1, feature_size=12, spatial_dims=2), 2, (32, 32)),
        (lambda: DownAndUp((1, 2, 2), (1, 2, 2)), 3, (1, 4, 4)),
        (lambda: DownAndUp((3, 3)), 2, (3, 3)),
        (lambda: DownAndUp((3, 3), (3, 3)), 2, (9, 9)),
        (lambda: DownAndUp((5, 2), (2, 2)), 2, (10, 4)),
        (lambda: DownAndUp(*[(2, 2)] * 7), 2, (128, 128)),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 1, 1)), 2, (1, 1)),
        (lambda: nn.Conv3d(1, 1, 3, padding="same"), 3, (1, 1, 1)),
    ],
)
def test_the_stride_is_measured_for_any_network(network, spatial_dims, stride):
    assert total_stride(network(), 1, spatial_dims) == stride


class GlobalPooling(nn.Module):
    """Weighs channels by their mean, as squeeze-and-excitation does."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, image):
        return image * self.pool(image)


def test_global_pooling_does_not_count():
    assert total_stride(GlobalPooling(), 1, 2) == (1, 1)


class Hidden(nn.Module):
    """Pools without a layer that could be watched."""

    def forward(self, image):
        return image + interpolate(max_pool2d(image, 4), scale_factor=4)


def test_what_no_layer_shows_is_found_by_trying():
    assert total_stride(Hidden(), 1, 2) == (4, 4)


class Tolerant(nn.Module):
    """Takes any size, although it works on a grid of 5 pixels inside."""

    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(5)

    def forward(self, image):
        return interpolate(self.pool(image), size=image.shape[2:])


def test_a_network_that_takes_any_size_has_the_stride_of_its_grid():
    assert total_stride(Tolerant(), 1, 2) == (5, 5)


class NeedsValues(DownAndUp):
    """Looks at a pixel, which a tensor without values cannot show."""

    def forward(self, image):
        return super().forward(image) * (1 if image.max().item() < 1 else 0)


def test_a_network_that_needs_values_is_run_on_the_cpu():
    assert total_stride(NeedsValues((2, 2), (2, 2), (2, 2)), 1, 2) == (8, 8)


def small_unetr(*size):
    return UNETR(1, 1, size, feature_size=2, hidden_size=8, mlp_dim=8, num_heads=2, spatial_dims=len(size))


@pytest.mark.parametrize("size", [(96, 96), (64, 64, 64), (16, 64, 64), (16, 32, 32), (16, 16, 16)])
def test_a_network_of_one_size_is_known_by_that_size(size):
    assert input_size(small_unetr(*size), 1, len(size)) == InputSize(size, fixed=True)
    assert total_stride(small_unetr(*size), 1, len(size)) == size


@pytest.mark.parametrize("size", [(32, 112), (16, 32, 112)])
def test_an_uncommon_only_size_can_be_told(size):
    network = small_unetr(*size)
    assert input_size(network, 1, len(size), size=list(size)) == InputSize(size, fixed=True)
    with pytest.raises(ValueError, match=r"change network, in_channels"):
        input_size(network, 1, len(size))


def test_a_size_that_does_not_help_is_named():
    with pytest.raises(ValueError, match=r"change network, patch_size \(now \[40, 100\]\), in_channels \(now 1\)"):
        input_size(small_unetr(32, 96), 1, 2, size=(40, 100))


def test_a_network_of_many_sizes_is_not_fixed():
    assert input_size(DownAndUp((2, 2), (2, 2)), 1, 2) == InputSize((4, 4), fixed=False)


class TwoWays(nn.Module):
    """Takes another way, by one more layer, through images that are large."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, image):
        return self.layer(image) if image.shape[-1] < 100 else self.layer(self.layer(image))


def test_a_network_with_several_ways_through_it_is_not_fixed():
    assert not input_size(TwoWays(), 1, 2).fixed


@pytest.mark.parametrize("size", [(64, 64), (16, 64, 64)])
def test_the_only_size_passes_and_its_double_does_not(size):
    only = InputSize(size, fixed=True)
    assert only.require(list(size)) is None
    double = [2 * edge for edge in size]
    with pytest.raises(ValueError, match=r"alone, got \(.*\); set patch_size=\[.*64, 64\]") as error:
        only.require(double)
    assert "\n" not in str(error.value)
    assert InputSize(size).require(double) is None


def test_a_size_between_the_multiples_is_refused():
    with pytest.raises(ValueError, match=r"takes multiples of \(1, 8, 8\) pixels, got \(7, 60, 64\)"):
        InputSize((1, 8, 8)).require((7, 60, 64))


def test_a_large_size_is_never_computed_with():
    with pytest.raises(ValueError, match=r"got: a tuple, not a tensor"):
        total_stride(nn.MaxPool3d(1, return_indices=True), 1, 3, size=(10_000, 10_000, 10_000))  # 4 TB of zeros


def test_the_network_itself_stays_as_it_was():
    network = FNet(2, channels=1, depth=1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    total_stride(network, 1, 2)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Conv2d(3, 1, 1), r"expected input.* to have 3 channels.*change network, in_channels \(now 1\)"),
        (nn.Conv2d(1, 1, 3), r"got: \(94, 94\) from \(96, 96\); change network"),
        (nn.MaxPool2d(1, return_indices=True), "got: a tuple, not a tensor; change network"),
    ],
)
def test_a_network_that_keeps_no_size_is_refused_with_the_reason(network, reason):
    with pytest.raises(ValueError, match=reason):
        total_stride(network, 1, 2)


@pytest.mark.parametrize(("size", "stride"), [((32, 48), (16, 16)), ((7, 64, 64), (1, 8, 8))])
def test_a_multiple_of_the_stride_passes(size, stride):
    assert require_multiple(size, stride) is None


def test_the_next_larger_multiple_is_proposed():
    with pytest.raises(ValueError, match=r"takes multiples of \(1, 8, 8\) pixels, got \(7, 60, 64\); set patch_size=\[7, 64, 64\]"):
        require_multiple((7, 60, 64), (1, 8, 8))


@pytest.mark.parametrize(("size", "fitting"), [((5, 5), (32, 64)), ((32, 64), (32, 64)), ((33, 70), (64, 96))])
def test_a_size_that_a_norm_would_refuse_is_lengthened(size, fitting):
    network = SwinUNETR(1, 1, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1), window_size=2, feature_size=12, spatial_dims=2).eval()
    measured = input_size(network, 1, 2)
    assert measured.fitting(size) == fitting
    assert network(torch.rand(1, 1, *measured.fitting(size))).shape[2:] == fitting
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        network(torch.rand(1, 1, 32, 32))
