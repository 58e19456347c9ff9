import pytest
import torch
from monai.data.utils import compute_importance_map
from monai.inferers import sliding_window_inference

from im2im.inference.blending import Crop, Gaussian
from im2im.inference.planning import plan
from im2im.inference.tiling import TiledInference

by_windows = pytest.mark.parametrize(("shape", "tile"), [((56, 80), (32, 32)), ((28, 32, 80), (16, 32, 32))], ids=["2D", "3D"])


def position_dependent(batch):
    """Two channels that differ between overlapping windows, as a real network's do near the border of its input."""
    ramp = torch.linspace(0, 1, batch.shape[-1]) * torch.linspace(1, 3, batch.shape[-2])[:, None]
    return torch.cat([batch * ramp, batch + ramp], dim=1)


@by_windows
@pytest.mark.parametrize("sigma", [0.125, 0.3])
def test_gaussian_blending_is_that_of_monai_on_the_same_windows(shape, tile, sigma):
    image = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
    expected = sliding_window_inference(image[None], tile, 1, position_dependent, overlap=0.25, mode="gaussian", sigma_scale=sigma)[0]
    blended = TiledInference(tile, overlap=0.25, blending=Gaussian(sigma))(position_dependent, image)
    torch.testing.assert_close(blended, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(7, 12), (5, 8, 9)], ids=["2D", "3D"])
@pytest.mark.parametrize("sigma", [0.05, 0.125, 2.0])
def test_the_weight_of_a_pixel_is_that_of_monai(size, sigma):
    expected = compute_importance_map(size, mode="gaussian", sigma_scale=sigma)
    torch.testing.assert_close(Gaussian(sigma).importance(size), expected, atol=1e-6, rtol=0)


def test_crop_takes_every_pixel_from_the_tile_in_whose_middle_it_lies():
    tiles = plan((1, 10), (1, 6), (0, 1), (1, 1))
    predictions = [(tile, torch.full((1, 1, 6), float(number))) for number, tile in enumerate(tiles)]
    assert Crop()(predictions, (1, 10)).tolist() == [[[0, 0, 0, 0, 0, 1, 1, 1, 1, 1]]]


@pytest.mark.parametrize("blending", [Crop(), Gaussian()], ids=str)
def test_predictions_are_consumed_one_by_one(blending):
    alive = []

    def predictions():
        for tile in plan((8, 8), (4, 4), (1, 1), (1, 1)):
            prediction = torch.ones(1, *(part.stop - part.start for part in tile.read))
            alive.append(tile)
            yield tile, prediction

    result = blending(predictions(), (8, 8))
    assert len(alive) == 9
    torch.testing.assert_close(result, torch.ones(1, 8, 8))


def test_a_width_that_gives_no_weights_is_refused():
    with pytest.raises(ValueError, match=r"must be positive, got 0; raise inference.blending.sigma"):
        Gaussian(0)
