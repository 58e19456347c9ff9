"""What holds for every criterion that the configuration offers, and for that of embeddings."""

import math
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from im2im.losses.embedding import EmbeddingLoss

FILES = {path.stem: path for path in sorted((Path(__file__).resolve().parents[2] / "conf/criterion").glob("*.yaml"))}
OF_IMAGES = {"correlation", "huber", "l1", "l1_ssim", "mse", "mse_correlation", "ssim"}
OF_CLASSES = {"cross_entropy", "dice", "dice_cross_entropy", "generalized_dice_focal", "tversky"}
SIZES = [(18, 24), (4, 18, 24)]
by_name = pytest.mark.parametrize("name", [*FILES, "embedding"])
by_size = pytest.mark.parametrize("size", SIZES, ids=str)


def build(name, size):
    return EmbeddingLoss([1.0] * len(size), extent=64) if name == "embedding" else instantiate(OmegaConf.load(FILES[name]), _convert_="all")


def batch(name, size):
    """Two predictions and targets, and a cost map that excludes a third of the first and a seventh of the second."""
    generator = torch.Generator().manual_seed(0)
    channels = {"embedding": 2 * len(size) + 1, **dict.fromkeys(OF_CLASSES, 3)}.get(name, 2)
    prediction = torch.randn(2, channels, *size, generator=generator)
    target = torch.randn(2, channels, *size, generator=generator)
    if name not in OF_IMAGES:
        target = torch.randint(0, 3, (2, 1, *size), generator=generator).float()
    cost_map = 1 + torch.rand(2, 1, *size, generator=generator)
    cost_map[0, ..., 8:16] = 0
    cost_map[1, ..., ::7] = 0
    return prediction, target, cost_map


def value_and_gradient(criterion, prediction, target, cost_map):
    prediction = prediction.clone().requires_grad_()
    value = criterion(prediction, target, cost_map)
    value.backward()
    return value.detach(), prediction.grad


def test_every_criterion_is_of_images_or_of_classes():
    assert FILES.keys() == OF_IMAGES | OF_CLASSES
    assert not OF_IMAGES & OF_CLASSES


@by_name
@by_size
@pytest.mark.parametrize("garbage", [math.nan, math.inf, -1e30, 1e30])
def test_what_stands_in_an_excluded_pixel_does_not_matter(name, size, garbage):
    criterion, (prediction, target, cost_map) = build(name, size), batch(name, size)
    expected, gradient = value_and_gradient(criterion, prediction, target, cost_map)
    excluded = cost_map == 0
    spoilt = [image.masked_fill(excluded, garbage) for image in (prediction, target)]
    value, found = value_and_gradient(criterion, *spoilt, cost_map)
    assert value == expected
    assert value > 0
    assert torch.equal(found, gradient)
    assert (found[excluded.expand_as(found)] == 0).all()
    assert found.isfinite().all()
    assert (found != 0).any(dim=(1, *range(2, found.ndim))).all()


@by_name
@by_size
@pytest.mark.parametrize("weight", [-1.0, -1e30, -math.inf, math.nan])
def test_a_weight_that_is_not_above_0_excludes_as_0_does(name, size, weight):
    criterion, (prediction, target, cost_map) = build(name, size), batch(name, size)
    value, gradient = value_and_gradient(criterion, prediction, target, cost_map.masked_fill(cost_map == 0, weight))
    expected, expected_gradient = value_and_gradient(criterion, prediction, target, cost_map)
    assert value == expected
    assert torch.equal(gradient, expected_gradient)


@by_name
@by_size
@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_where_everything_is_excluded_the_loss_is_0(name, size, weight):
    criterion, (prediction, target, cost_map) = build(name, size), batch(name, size)
    value, gradient = value_and_gradient(criterion, prediction, target, torch.full_like(cost_map, weight))
    assert value == 0
    assert (gradient == 0).all()
