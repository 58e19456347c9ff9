import pytest
import torch
from torch import nn

from im2im.networks.fnet import FNet
from im2im.networks.receptive_field import receptive_field


def test_convolutions_add_up():
    network = nn.Sequential(nn.Conv2d(1, 4, (3, 5), padding=(1, 2)), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    assert receptive_field(network, 1, (1, 1)) == (2, 3)


def test_dilated_and_3d_convolutions_reach_farther():
    network = nn.Conv3d(2, 1, 3, padding=(1, 2, 3), dilation=(1, 2, 3))
    assert receptive_field(network, 2, (1, 1, 1)) == (1, 2, 3)


def test_a_coarse_level_sees_by_its_stride():
    network = nn.Sequential(nn.MaxPool2d(4), nn.Conv2d(1, 1, 3, padding=1), nn.Upsample(scale_factor=4))
    assert receptive_field(network, 1, (4, 4)) == (4, 4)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_what_lies_beyond_does_not_change_an_output(spatial_dims):
    torch.manual_seed(0)
    network = FNet(spatial_dims=spatial_dims, in_channels=1, out_channels=1, channels=8, depth=2).eval()
    reach = receptive_field(network, 1, (4,) * spatial_dims)[-1]
    image = torch.randn(1, 1, *[4] * (spatial_dims - 1), 96)
    changed = image.clone()
    changed[..., 48:52] += 100
    with torch.no_grad():
        far = (network(image) != network(changed)).flatten(0, -2).any(dim=0).nonzero().squeeze(1)
    assert 48 - reach <= far.min() < 48
    assert 51 < far.max() <= 51 + reach
    assert reach < 2 * (far.max() - 51)  # random weights reach less far than any weights can


def test_a_network_that_sees_all_is_refused():
    with pytest.raises(ValueError, match=r"more than 512 pixels far, got Sequential; set inference.halo"):
        receptive_field(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.InstanceNorm2d(1)), 1, (1, 1))


def test_a_dilated_kernel_is_seen_as_far_as_it_reaches():
    network = nn.Conv2d(1, 1, 3, padding=200, dilation=200)
    assert receptive_field(network, 1, (1, 1)) == (200, 200)
