from collections import Counter

import numpy as np
import pytest

from im2im.data.index import Entry
from im2im.data.patches import Anywhere, Sampling, fill_up, grid_regions, random_region
from im2im.io.image import Image
from im2im.io.store import Store


@pytest.mark.parametrize(("shape", "patch"), [((20, 30), (8, 8)), ((9, 20, 30), (4, 8, 8))])
def test_random_regions_have_the_patch_size_and_reach_every_border(shape, patch):
    rng = np.random.default_rng(0)
    regions = [random_region(shape, patch, rng) for _ in range(400)]
    assert all(tuple(part.stop - part.start for part in region) == patch for region in regions)
    for axis, (size, edge) in enumerate(zip(shape, patch, strict=True)):
        assert min(region[axis].start for region in regions) == 0
        assert max(region[axis].start for region in regions) == size - edge


def test_a_region_of_a_smaller_image_is_the_whole_image():
    assert random_region((5, 30), (8, 8), np.random.default_rng(0))[0] == slice(0, 5)


@pytest.mark.parametrize(("shape", "patch", "count"), [((16, 16), (8, 8), 4), ((17, 8), (8, 8), 3), ((4, 16, 16), (4, 8, 8), 4)])
def test_grid_covers_every_pixel(shape, patch, count):
    regions = grid_regions(shape, patch, limit=100)
    covered = np.zeros(shape, bool)
    for region in regions:
        covered[region] = True
    assert len(regions) == count
    assert covered.all()


def test_grid_is_cut_to_the_limit_and_keeps_both_ends():
    regions = grid_regions((8, 80), (8, 8), limit=3)
    assert [region[1].start for region in regions] == [0, 32, 72]


def test_filling_up_mirrors_the_image_at_its_end():
    assert fill_up(np.array([[[1, 2, 3]]]), (1, 5)).tolist() == [[[1, 2, 3, 3, 2]]]
    assert fill_up(np.array([[[1, 2, 3]]]), (2, 4), mode="constant").tolist() == [[[1, 2, 3, 0], [0, 0, 0, 0]]]


@pytest.mark.parametrize("patch_size", [32, None, (8.5, 8), ("a", "b"), ()])
def test_a_patch_size_that_is_none_is_refused_by_its_name(patch_size):
    with pytest.raises(ValueError, match=r"^patch_size .*; set patch_size=\[128,128\]"):
        Sampling(patch_size, 1)


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"patches_per_image": 0}, {"patch_size": (0, 8)}])
def test_sampling_refuses_nothing(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Sampling(**{"patch_size": (8, 8), "batch_size": 1, **settings})


@pytest.mark.parametrize(("fraction", "per_epoch"), [(1.0, 10), (0.3, 3), (0.01, 1)])
def test_a_fraction_of_the_images_goes_on_with_others_until_all_were_seen(fraction, per_epoch):
    entries = [Entry(str(number), *[Image.from_array(np.zeros((9, 9)), "YX")] * 2) for number in range(10)]
    sampling = Sampling((8, 8), 1, patches_per_image=2, fraction_per_epoch=fraction)
    plan = Anywhere()(entries, None, sampling, Store())
    assert len(plan) == 2 * per_epoch
    names = [[plan(epoch, index, np.random.default_rng(0))[0].name for index in range(len(plan))] for epoch in range(60)]
    assert all(Counter(epoch) == dict.fromkeys(epoch, 2) for epoch in names if len(set(epoch)) == per_epoch)
    counts = Counter(name for epoch in names for name in epoch)
    assert len(counts) == 10
    assert max(counts.values()) - min(counts.values()) <= 2
    assert per_epoch == 10 or names[0] != names[10]


@pytest.mark.parametrize(
    ("key", "value"), [("fraction_per_epoch", 0), ("fraction_per_epoch", 1.5), ("foreground", -0.1), ("foreground", 2)]
)
def test_shares_are_refused_by_their_name(key, value):
    with pytest.raises(ValueError, match=f"got data.{key}={value}|{key}.*got {value}"):
        Sampling((8, 8), 1, **{key: value})
