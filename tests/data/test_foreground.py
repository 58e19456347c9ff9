import pickle

import numpy as np
import pytest

from im2im.data.foreground import CELLS, Density, densities
from im2im.data.index import Entry
from im2im.data.patches import Anywhere, Sampling
from im2im.data.side import Side
from im2im.io.image import Image
from im2im.io.selection import Selection
from im2im.io.store import Store
from im2im.normalization import Identity


def side(spatial_dims=2, labels=False) -> Side:
    return Side(lambda path: [], Selection(), Identity(), spatial_dims, interpolation="nearest" if labels else "bilinear")


def entry(target, cost_map=None, matched=True) -> Entry:
    axes = "ZYX"[-target.ndim :]
    mask = None if cost_map is None else Image.from_array(cost_map, axes)
    return Entry("a", Image.from_array(np.zeros(target.shape), axes), Image.from_array(target, axes), mask, matched=matched)


def regions(entries, count=200, patch_size=(8, 8), labels=False, **settings):
    sampling = Sampling(patch_size, 1, patches_per_image=count, **settings)
    plan = Anywhere()(entries, side(len(patch_size), labels), sampling, Store())
    return [plan(0, index, np.random.default_rng(index))[1] for index in range(len(plan))]


def test_shares_are_those_of_cells():
    labels = np.zeros((4, 6), np.uint8)
    labels[0, 0], labels[2:, 3:5] = 7, 1
    foreground, included = densities(entry(labels), side(labels=True), labels.shape, Store())
    assert foreground.edges == (1, 1)
    assert (foreground.shares > 0).tolist() == (labels > 0).tolist()
    assert (included.shares == 1).all()


@pytest.mark.parametrize("shape", [(300, 500), (20, 300, 500), (1, 9000)])
def test_a_grid_is_coarse_and_loses_no_pixel(shape):
    labels = np.zeros(shape, np.uint8)
    labels[tuple(length - 1 for length in shape)] = 1
    foreground, _ = densities(entry(labels), side(len(shape), labels=True), shape, Store())
    assert foreground.shares.size <= 1.3 * CELLS
    assert np.flatnonzero(foreground.shares).tolist() == [foreground.shares.size - 1]


def test_each_class_has_the_same_share_however_rare_it_is():
    labels = np.zeros((60, 60), np.uint8)
    labels[:30], labels[59, 59] = 1, 4
    foreground, _ = densities(entry(labels), side(labels=True), labels.shape, Store())
    assert foreground.shares[labels == 1].sum() == pytest.approx(foreground.shares[labels == 4].sum(), rel=1e-3)
    drawn = regions([entry(labels)], 1000, labels=True, foreground=1.0)
    assert np.mean([labels[region].max() == 4 for region in drawn]) == pytest.approx(0.5, abs=0.06)


def test_a_label_that_is_ignored_has_no_share():
    labels = np.zeros((20, 20), np.uint8)
    labels[:10], labels[10:12] = 255, 1
    foreground, included = densities(entry(labels), side(labels=True), labels.shape, Store(), 255)
    assert (foreground.shares[:10].sum(), foreground.shares[10:12].min(), included.shares.sum()) == (0, 1, 200)
    drawn = regions([entry(labels)], 100, patch_size=(1, 1), labels=True, foreground=1.0, ignore_index=255)
    assert {int(labels[region][0, 0]) for region in drawn} == {1}


def test_each_class_has_the_same_share_of_what_is_included():
    labels = np.zeros((20, 20), np.uint8)
    labels[:10], labels[10:] = 1, 2
    cost_map = np.ones((20, 20), np.uint8)
    cost_map[12:] = 0  # a fifth of the second class is left
    foreground, _ = densities(entry(labels, cost_map), side(labels=True), labels.shape, Store())
    assert foreground.shares[:10].sum() == pytest.approx(foreground.shares[10:].sum(), rel=1e-3)


def test_bright_pixels_are_the_foreground_of_an_image_of_intensities():
    image = np.random.default_rng(0).normal(100, 3, (40, 40)).astype(np.float32)
    image[10:20, 5:9], image[0, 0] = 300, np.nan
    foreground, _ = densities(entry(image), side(), image.shape, Store())
    assert (foreground.shares > 0).tolist() == (image > 200).tolist()


@pytest.mark.parametrize("value", [5, np.nan])
def test_a_constant_image_has_no_foreground_and_is_drawn_from_evenly(value):
    constant = entry(np.full((40, 40), value, np.float32))
    assert not densities(constant, side(), (8, 8), Store())[0]
    drawn = regions([constant], foreground=1.0)
    assert {region[0].start for region in drawn} == set(range(33))


@pytest.mark.parametrize(("shape", "patch"), [((64, 200), (8, 8)), ((12, 64, 80), (4, 8, 8)), ((500, 700), (4, 300))])
def test_every_patch_holds_foreground_where_that_is_wanted(shape, patch):
    labels = np.zeros(shape, np.uint8)
    labels[(*(slice(0, 1) for _ in shape[:-2]), slice(40, 48), slice(10, 18))] = 1
    drawn = regions([entry(labels)], patch_size=patch, labels=True, foreground=1.0)
    assert all(labels[region].any() for region in drawn)
    assert all(part.stop - part.start == size for region in drawn for part, size in zip(region, patch, strict=True))
    assert len({region[-1].start for region in drawn}) > 4


@pytest.mark.parametrize("foreground", [0.0, 0.5])
def test_half_of_the_patches_are_drawn_there(foreground):
    labels = np.zeros((400, 400), np.uint8)
    labels[200:208, 200:208] = 1
    share = np.mean([labels[region].any() for region in regions([entry(labels)], 1000, labels=True, foreground=foreground)])
    assert share == pytest.approx(foreground, abs=0.06)


def test_no_patch_is_excluded_as_a_whole():
    cost_map = np.zeros((100, 100), np.uint8)
    cost_map[70:75, 20:30] = 1
    assert all(cost_map[region].any() for region in regions([entry(np.zeros((100, 100), np.uint8), cost_map)], labels=True))


def test_excluded_objects_are_no_foreground():
    labels, cost_map = np.ones((100, 100), np.uint8), np.ones((100, 100), np.uint8)
    cost_map[:, :50] = 0
    drawn = regions([entry(labels, cost_map)], labels=True, foreground=1.0)
    assert all(region[1].stop > 50 for region in drawn)


def test_images_take_turns_whatever_their_foreground():
    entries = [entry(np.zeros((20, 20), np.uint8)), entry(np.ones((20, 20), np.uint8))]
    sampling = Sampling((8, 8), 1, patches_per_image=3, foreground=1.0)
    plan = Anywhere()(entries, side(labels=True), sampling, Store())
    assert [plan(0, index, np.random.default_rng(0))[0] is entries[index % 2] for index in range(6)] == [True] * 6


def test_unpaired_images_have_no_foreground_to_draw_from():
    with pytest.raises(ValueError, match=r"got data.foreground=0.5 for unpaired images; set it to 0"):
        regions([entry(np.zeros((20, 20)), matched=False)], foreground=0.5)


def test_a_draw_follows_the_shares():
    density = Density((10, 10), np.array([[0, 1], [3, 0]]))
    starts = [density.draw((20, 20), (10, 10), np.random.default_rng(seed)) for seed in range(400)]
    assert {(region[0].start, region[1].start) for region in starts} == {(0, 10), (10, 0)}
    assert np.mean([region[0].start == 10 for region in starts]) == pytest.approx(0.75, abs=0.06)


def test_a_plan_that_is_sent_to_another_process_draws_the_same():
    cost_map = np.zeros((100, 100), np.uint8)
    cost_map[70:75, 20:30] = 1
    sampling = Sampling((8, 8), 1, patches_per_image=50)
    plan = Anywhere()([entry(np.zeros((100, 100), np.uint8), cost_map)], side(labels=True), sampling, Store())
    sent = pickle.loads(pickle.dumps(plan))
    for index in range(50):
        assert sent(0, index, np.random.default_rng(index))[1] == plan(0, index, np.random.default_rng(index))[1]


def test_thin_patches_of_a_stack_are_not_excluded_as_wholes():
    cost_map = np.zeros((64, 256, 256), np.uint8)
    cost_map[:2] = 1
    drawn = regions([entry(np.zeros(cost_map.shape, np.uint8), cost_map)], 100, (4, 32, 32), labels=True)  # cells would be 11 pixels wide
    assert all(cost_map[region].any() for region in drawn)


def test_each_channel_has_a_threshold_of_its_own():
    image = np.zeros((2, 20, 20), np.float32)
    image[0, :5, :5], image[1, 15:, 15:] = 1000, 3
    channels = Image.from_array(image, "CYX")
    foreground, _ = densities(Entry("a", channels, channels), side(), (8, 8), Store())
    assert foreground.shares[0, 0] > 0
    assert foreground.shares[-1, -1] > 0
