import pytest
import torch
from torch import nn

from im2im.networks.footprint import footprint


def bytes_per_voxel(*arguments):
    return footprint(*arguments).bytes_per_voxel


class Nothing(nn.Module):
    """Takes memory that no device without values has."""

    def forward(self, image):
        return image * float(image.sum() + 1)


@pytest.mark.parametrize(("layer", "size"), [(nn.Conv2d, (16, 16)), (nn.Conv3d, (4, 8, 8))])
def test_input_and_output_of_the_widest_layer_count(layer, size):
    network = nn.Sequential(layer(1, 8, 3, padding=1), layer(8, 4, 3, padding=1), layer(4, 1, 3, padding=1))
    assert footprint(network, 1, size).out_channels == 1
    assert bytes_per_voxel(network, 1, size) == 4 * (1 + 8 + 4)  # the caller's input stays alive


def test_a_coarse_map_counts_by_its_size():
    network = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(1, 32, 1))
    assert bytes_per_voxel(network, 1, (16, 16)) == 4 * (1 + 1 / 16 + 32 / 16)


def test_a_map_that_is_kept_for_later_counts():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third = nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

        def forward(self, image):
            kept = self.first(image)
            return torch.cat([self.third(self.second(kept)), kept], dim=1)

    assert bytes_per_voxel(Skip(), 1, (8, 8)) == 4 * (1 + 8 + 8 + 16)  # while both are joined


def test_a_network_that_needs_values_is_measured_with_values():
    assert bytes_per_voxel(Nothing(), 1, (8, 8)) > 4


def test_the_network_stays_as_it_was():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).train()
    bytes_per_voxel(network, 1, (8, 8))
    assert network.training
    assert next(network.parameters()).device.type == "cpu"


def test_a_size_that_the_network_does_not_take_is_refused():
    with pytest.raises(ValueError, match=r"takes no images of \(8, 8\) pixels.*change patch_size"):
        bytes_per_voxel(nn.Conv2d(3, 1, 1), 1, (8, 8))
