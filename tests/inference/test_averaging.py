from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from im2im.inference.tiling import TiledInference

FLIPS = OmegaConf.to_container(OmegaConf.load(Path(__file__).resolve().parents[2] / "conf" / "inference" / "flips.yaml"))["views"]


def shifted(image: torch.Tensor) -> torch.Tensor:
    """Prefers one direction, as an imperfectly trained network does."""
    return image.roll(1, dims=-1)


@pytest.mark.parametrize("shape", [(1, 4, 5), (2, 3, 4, 5)])
def test_a_preferred_direction_is_averaged_out(shape):
    image = torch.rand(shape)
    averaged = TiledInference(views=FLIPS)(shifted, image)
    assert torch.allclose(averaged, (image.roll(1, -1) + image.roll(-1, -1)) / 2, atol=1e-6)


def test_planes_are_not_mirrored():
    image = torch.rand(1, 3, 4, 5)
    averaged = TiledInference(views=FLIPS)(lambda batch: batch.roll(1, dims=2), image)
    assert torch.allclose(averaged, image.roll(1, dims=1), atol=1e-6)
