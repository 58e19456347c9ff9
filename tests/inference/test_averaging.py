import pytest
import torch

from im2im.inference.averaging import FlipAverage
from im2im.inference.tiling import TiledInference


def shifted(image: torch.Tensor) -> torch.Tensor:
    """Prefers one direction, as an imperfectly trained network does."""
    return image.roll(1, dims=-1)


@pytest.mark.parametrize("shape", [(1, 4, 5), (2, 3, 4, 5)])
def test_a_preferred_direction_is_averaged_out(shape):
    image = torch.rand(shape)
    averaged = FlipAverage(TiledInference())(shifted, image, (1,) * (len(shape) - 1))
    assert torch.allclose(averaged, (image.roll(1, -1) + image.roll(-1, -1)) / 2, atol=1e-6)


def test_planes_are_not_mirrored():
    image = torch.rand(1, 3, 4, 5)
    averaged = FlipAverage(TiledInference())(lambda batch: batch.roll(1, dims=2), image, (1, 1, 1))
    assert torch.allclose(averaged, image.roll(1, dims=1), atol=1e-6)
