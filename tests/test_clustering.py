import math

import numpy as np
import pytest
import torch

from im2im.clustering import Clustering
from im2im.embedding import EmbeddingLayout, activate

SCENES = {"2D": ((40, 48), (1.0, 1.0)), "2D anisotropic": ((40, 48), (0.4, 0.8)), "3D": ((10, 20, 24), (2.5, 1.0, 1.0))}
by_scene = pytest.mark.parametrize(("shape", "voxel_size"), SCENES.values(), ids=SCENES)


def spacing(voxel_size, extent):
    return np.array(voxel_size) / min(voxel_size[-2:]) / extent


def instances(shape):
    """Three boxes of which two touch, and a small one."""
    labels = np.zeros(shape, np.int32)
    labels[..., 2:9, 2:10] = 1
    labels[..., 2:9, 10:17] = 2
    labels[..., 11:19, 3:20] = 3
    labels[..., 2:4, 20:22] = 4
    return labels


def perfect_output(labels, voxel_size, extent, half_width=0.5):
    """Let every pixel point to the centroid of its object, with phi of one half some pixels from it, and seeds in descending order."""
    steps = spacing(voxel_size, extent)
    places = np.indices(labels.shape) * steps.reshape(-1, *[1] * labels.ndim)
    sigma = math.log(math.log(2) / (half_width / extent) ** 2) / 10
    output = np.concatenate((np.zeros(places.shape), np.full(places.shape, sigma), np.zeros((1, *labels.shape))))
    for number in range(1, labels.max() + 1):
        mask = labels == number
        output[: labels.ndim, mask] = places[:, mask].mean(axis=1, keepdims=True) - places[:, mask]
        output[-1, mask] = 1 - number / 100
    return output.astype(np.float32)


def random_output(shape, seed, sigma=0.6):
    generator = np.random.default_rng(seed)
    offsets = generator.uniform(-0.05, 0.05, (len(shape), *shape))
    sigmas = generator.normal(sigma, 0.1, (len(shape), *shape))
    return np.concatenate((offsets, sigmas, generator.random((1, *shape)))).astype(np.float32)


def reference(output, clustering):
    """Follow the published algorithm over the whole image, except that a label once given stays.

    A proposal is accepted if it is larger than the smallest size and more than half of it is unclustered.
    """
    axes = output.ndim - 1
    output = output.astype(np.float64)
    places = np.indices(output.shape[1:]) * spacing(clustering.voxel_size, clustering.extent).reshape(-1, *[1] * axes)
    embeddings, precisions, seeds = output[:axes] + places, np.exp(10 * output[axes:-1]), output[-1]
    foreground = seeds > clustering.foreground
    unclustered, labels, last = foreground.copy(), np.zeros(output.shape[1:], np.int32), 0
    while True:
        best = np.unravel_index(np.argmax(np.where(unclustered, seeds, -1)), seeds.shape)
        if not unclustered[best] or seeds[best] < clustering.seed_threshold:
            return labels
        squared = (embeddings - embeddings[(slice(None), *best)].reshape(-1, *[1] * axes)) ** 2
        phi = np.exp(-(precisions[(slice(None), *best)].reshape(-1, *[1] * axes) * squared).sum(axis=0))
        proposed = foreground & (phi > 0.5)
        large_enough, share = proposed.sum() > clustering.min_size, unclustered[proposed].mean()
        unclustered &= ~proposed
        if large_enough and share > 0.5:
            last += 1
            labels[proposed & (labels == 0)] = last


@pytest.mark.parametrize("sigma", [0.45, 0.6, 1.0])
@pytest.mark.parametrize("seed_threshold", [0.5, 0.8])
@pytest.mark.parametrize("min_size", [2, 30])
@by_scene
def test_labels_are_those_of_the_published_algorithm(shape, voxel_size, sigma, seed_threshold, min_size):
    clustering = Clustering(voxel_size, extent=100, seed_threshold=seed_threshold, foreground=0.4, min_size=min_size)
    output = random_output(shape, seed=3, sigma=sigma)
    expected = reference(output, clustering)
    assert min_size > 2 or expected.max() >= 2
    np.testing.assert_array_equal(clustering(output), expected)


def test_equal_seeds_are_taken_in_the_order_of_the_image():
    shape, voxel_size = SCENES["2D"]
    clustering, output = Clustering(voxel_size, extent=100, min_size=2), random_output(shape, seed=1)
    output[-1] = np.where(output[-1] > 0.5, 0.75, 0.25)
    expected = reference(output, clustering)
    assert expected.max() > 10
    np.testing.assert_array_equal(clustering(output), expected)


@by_scene
def test_a_perfect_output_gives_exactly_the_objects(shape, voxel_size):
    labels = instances(shape)
    found = Clustering(voxel_size, extent=200, min_size=3)(perfect_output(labels, voxel_size, 200))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, labels)


def test_a_voxel_counts_as_long_as_it_is():
    labels = instances((10, 20, 24))
    output = perfect_output(labels, (2.0, 1.0, 1.0), 200)
    np.testing.assert_array_equal(Clustering((2, 1, 1), 200)(output), np.where(labels == 4, 4, labels))
    assert (Clustering((1, 1, 1), 200)(output) != labels).any()


@pytest.mark.parametrize(("min_size", "expected"), [(4, [1] * 5 + [2] * 11), (5, [1] * 16), (12, [1] * 16), (15, [1] * 16), (16, [0] * 16)])
def test_the_size_of_a_proposal_is_that_of_all_its_pixels(min_size, expected):
    """Five pixels of the higher seed propose themselves, the other eleven all sixteen."""
    first = np.arange(16) < 5
    along_x = np.where(first, 0, 0.2) - np.arange(16) / 16
    sigma = np.where(first, 0.6, 0)
    output = np.stack([np.zeros(16), along_x, sigma, sigma, np.where(first, 0.9, 0.8)])[:, None]
    assert Clustering((1, 1), extent=16, min_size=min_size)(output).tolist() == [expected]


def test_an_object_must_exceed_the_smallest_size():
    labels = instances((40, 48))
    output = perfect_output(labels, (1, 1), 200)
    assert Clustering((1, 1), 200, min_size=3)(output).max() == 4
    np.testing.assert_array_equal(Clustering((1, 1), 200, min_size=4)(output), np.where(labels == 4, 0, labels))


def test_a_seed_below_the_threshold_proposes_nothing_but_belongs():
    labels = instances((40, 48))
    output = perfect_output(labels, (1, 1), 200)
    output[-1][labels == 2] = 0.7
    output[-1][labels == 3] = 0.7
    output[-1, 12, 5] = 0.9
    found = Clustering((1, 1), 200, seed_threshold=0.8, min_size=3)(output)
    np.testing.assert_array_equal(found > 0, (labels > 0) & (labels != 2))


@by_scene
def test_an_output_stitched_from_tiles_is_clustered_as_the_whole(shape, voxel_size):
    """Each tile names the centre of an object, part of which it holds, from its own corner."""
    labels = instances(shape)
    whole = perfect_output(labels, voxel_size, 200)
    axes, step = len(shape), spacing(voxel_size, 200)[-1]
    centres = {number: 200 * step * np.nonzero(labels == number)[-1].mean() for number in range(1, 5)}
    tiles = []
    for left, right in ((0, 6), (6, 13), (13, shape[-1])):
        tile = whole[..., left:right].copy()
        tile[axes - 1] = 0
        for number, centre in centres.items():
            mask = labels[..., left:right] == number
            tile[axes - 1][mask] = (centre / 200 - left * step) - step * np.nonzero(mask)[-1]
        tiles.append(tile)
    found = Clustering(voxel_size, extent=200, min_size=3)(np.concatenate(tiles, axis=-1))
    np.testing.assert_array_equal(found, labels)


@by_scene
def test_a_place_in_a_larger_image_changes_nothing(shape, voxel_size):
    labels = np.pad(instances(shape), [(0, 0)] * (len(shape) - 2) + [(300, 20), (200, 10)])
    found = Clustering(voxel_size, extent=200, min_size=3)(perfect_output(labels, voxel_size, 200))
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("channel", range(5))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_pixel_that_is_not_finite_is_background(channel, value):
    labels = instances((40, 48))
    output = perfect_output(labels, (1, 1), 200)
    output[channel, 5, 5] = value
    expected = labels.copy()
    if not (channel == 4 and value == math.inf):
        expected[5, 5] = 0
    np.testing.assert_array_equal(Clustering((1, 1), 200, min_size=3)(output), expected)


@pytest.mark.parametrize("sigma", [-60.0, 60.0])
def test_any_sigma_comes_to_an_end(sigma):
    output = random_output((30, 30), 0)
    output[2:4] = sigma
    found = Clustering((1, 1), 200, min_size=0)(output)
    foreground = output[-1] > 0.5
    assert found.max() == (1 if sigma < 0 else foreground.sum())
    np.testing.assert_array_equal(found > 0, foreground)


@by_scene
def test_nothing_above_the_thresholds_is_nothing(shape, voxel_size):
    output = perfect_output(instances(shape), voxel_size, 200)
    assert Clustering(voxel_size, 200, seed_threshold=1)(output).max() == 0
    output[-1] = 0.5
    assert Clustering(voxel_size, 200)(output).max() == 0
    assert Clustering(voxel_size, 200)(np.full_like(output, np.nan)).max() == 0


@pytest.mark.parametrize(
    "change", [lambda output: output.astype(np.float64), lambda output: output[..., ::-1].copy()[..., ::-1], np.asfortranarray]
)
def test_type_and_order_in_memory_do_not_matter(change):
    output = perfect_output(instances((40, 48)), (1, 1), 200)
    output.setflags(write=False)
    np.testing.assert_array_equal(Clustering((1, 1), 200)(change(output)), Clustering((1, 1), 200)(output))


def test_raw_output_is_activated_first():
    labels = instances((40, 48))
    output = torch.from_numpy(perfect_output(labels, (1, 1), 200))
    raw = torch.cat((output[:2].atanh(), output[2:4], output[4:].logit().clamp(-20, 20)))
    found = Clustering((1, 1), 200, min_size=3)(activate(raw[None])[0].numpy())
    np.testing.assert_array_equal(found, labels)


def test_shapes_and_settings_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="change voxel_size"):
        Clustering((1, 1))(np.zeros((7, 4, 4, 4)))
    with pytest.raises(ValueError, match="take 7 channels, got 5; set out_channels"):
        Clustering((1, 1, 1))(np.zeros((5, 4, 4, 4)))
    with pytest.raises(ValueError, match="got 2; change seed_threshold"):
        Clustering((1, 1), seed_threshold=2)
    with pytest.raises(ValueError, match="got -1; change foreground"):
        Clustering((1, 1), foreground=-1)
    with pytest.raises(ValueError, match="change voxel_size"):
        Clustering((1,))
    assert EmbeddingLayout((1, 1, 1)).channels == 7
