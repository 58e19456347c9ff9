import numpy as np
import pytest
import torch
from scipy.ndimage import center_of_mass
from scipy.spatial.distance import cdist

from im2im.losses.centres import centres_of_pixels

SCENES = {"2D": ((40, 50), (1.0, 1.0)), "2D anisotropic": ((40, 50), (0.3, 0.7)), "3D": ((8, 20, 24), (2.5, 0.5, 1.0))}
MODES = ["centroid", "medoid", "approximate_medoid"]
by_scene = pytest.mark.parametrize(("shape", "voxel_size"), SCENES.values(), ids=SCENES)
by_mode = pytest.mark.parametrize("mode", MODES)


def blobs(shape):
    """Objects of irregular form, with gaps between their numbers."""
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    blocks = sum((place // 8) * 10**axis for axis, place in enumerate(torch.meshgrid(*map(torch.arange, shape), indexing="ij")))
    return torch.where(noise > 0.5, blocks * 3 + 5, 0)


def centres(instances, mode, voxel_size):
    """Find the centres of all objects of an image (Z)YX, by ascending number."""
    foreground = (instances > 0).nonzero()
    numbers, owner = instances[instances > 0].unique(return_inverse=True)
    positions = foreground.T * torch.tensor(voxel_size, dtype=torch.float64)[:, None]
    return centres_of_pixels(positions, owner, len(numbers), mode)


def numbers_of(instances):
    return instances[instances > 0].unique()


def places_of(instances, number, voxel_size):
    return (instances == number).nonzero().numpy() * np.array(voxel_size)


@by_scene
def test_the_centroid_is_scipys(shape, voxel_size):
    instances = blobs(shape)
    labels = numbers_of(instances)
    expected = np.array(center_of_mass(np.ones(shape), instances.numpy(), labels.tolist())) * voxel_size
    np.testing.assert_allclose(centres(instances, "centroid", voxel_size), expected, rtol=1e-12)


@by_scene
def test_the_medoid_has_the_least_sum_of_distances(shape, voxel_size):
    instances = blobs(shape)
    labels = numbers_of(instances)
    for number, found in zip(labels, centres(instances, "medoid", voxel_size).numpy(), strict=True):
        places = places_of(instances, number, voxel_size)
        assert (places == found).all(axis=1).any()
        assert cdist(found[None], places).sum() <= cdist(places, places).sum(axis=1).min() * (1 + 1e-6)


@by_scene
def test_the_approximate_medoid_is_the_pixel_nearest_to_the_centroid(shape, voxel_size):
    instances = blobs(shape)
    labels = numbers_of(instances)
    for number, found in zip(labels, centres(instances, "approximate_medoid", voxel_size).numpy(), strict=True):
        places = places_of(instances, number, voxel_size)
        distances = cdist(places.mean(axis=0)[None], places)[0]
        np.testing.assert_array_equal(found, places[np.flatnonzero(distances <= distances.min() * (1 + 1e-6))[0]])


def test_a_tall_voxel_moves_the_medoid():
    instances = torch.zeros(1, 8, 6, dtype=torch.long)
    instances[0, 0, :5] = instances[0, :5, 0] = 1
    flat = [centres(instances, "approximate_medoid", size)[0].tolist() for size in ((1, 1, 1), (1, 9, 1), (1, 1, 9))]
    assert flat == [[0, 0, 1], [0, 9, 0], [0, 0, 9]]


@by_mode
def test_an_object_has_its_centre_whatever_else_there_is(mode):
    instances = blobs((40, 50))
    some = torch.isin(instances, numbers_of(instances)[3:5])
    assert torch.equal(centres(instances * some, mode, (1, 1)), centres(instances, mode, (1, 1))[3:5])


@by_mode
def test_without_objects_there_are_no_centres(mode):
    assert centres(torch.zeros(4, 5, 6, dtype=torch.long), mode, (1, 1, 1)).shape == (0, 3)


@by_mode
def test_an_object_of_one_pixel_is_its_own_centre(mode):
    instances = torch.zeros(4, 5, dtype=torch.long)
    instances[2, 3] = 9
    assert centres(instances, mode, (2, 0.5)).tolist() == [[4, 1.5]]


@pytest.mark.parametrize("shape", [(512, 512), (64, 4096), (100, 333), (64, 64, 64), (16, 128, 128)])
def test_the_medoid_of_a_large_box_is_its_middle(shape):
    box = torch.ones(shape, dtype=torch.long)
    found = centres(box, "medoid", [1] * len(shape))[0]
    assert (found - torch.tensor([(length - 1) / 2 for length in shape])).abs().max() <= 2
    assert torch.equal(found, centres(box, "medoid", [1] * len(shape))[0])


def test_the_medoid_of_a_large_ball_is_its_middle():
    radius = torch.stack(torch.meshgrid(*[torch.arange(49) - 24] * 3, indexing="ij")).square().sum(dim=0)
    ball = (radius <= 22**2).long()
    assert ball.sum() > 40_000
    assert (centres(ball, "medoid", (1, 1, 1))[0] - 24).abs().max() <= 2


def test_the_medoid_of_a_large_object_lies_in_it_and_is_nearly_the_best():
    y, x = torch.meshgrid(torch.arange(160) - 80, torch.arange(160) - 80, indexing="ij")
    crescent = ((y**2 + x**2 < 75**2) & ((y - 25) ** 2 + x**2 > 50**2)).long()
    assert crescent.sum() > 4 * 2048
    found, places = centres(crescent, "medoid", (1, 1)).numpy(), crescent.nonzero().numpy()
    assert (places == found).all(axis=1).any()
    assert cdist(found, places).mean() <= 1.005 * cdist(places[::7], places).mean(axis=1).min()


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="got 'middle'; change centre"):
        centres(torch.ones(3, 3), "middle", (1, 1))
