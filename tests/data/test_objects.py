from dataclasses import replace

import numpy as np
import pytest
import tifffile

from im2im.data.augment import Augmentation
from im2im.data.dataset import Cutter, TrainingPatches
from im2im.data.fitting import fitted
from im2im.data.index import Entry
from im2im.data.objects import AroundObjects, ObjectPlan, measure_objects, object_middles, region_around
from im2im.data.patches import Anywhere, Sampling, random_region
from im2im.data.side import Side
from im2im.io.image import Image
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.io.store import NAME, Store
from im2im.normalization import Identity


def side(spatial_dims):
    return Side(lambda path: [], Selection(), Identity(), spatial_dims)


def patches(labels, places=AroundObjects(), cost_maps=None, matched=True, patch_size=None, per_image=4) -> TrainingPatches:
    spatial_dims = labels[0].ndim
    axes, size, one = "ZYX"[-spatial_dims:], patch_size or (4,) * spatial_dims, side(spatial_dims)
    entries = [
        Entry(
            str(at), Image.from_array(array, axes), Image.from_array(array, axes), mask and Image.from_array(*mask, axes), matched=matched
        )
        for at, (array, mask) in enumerate(zip(labels, cost_maps or [None] * len(labels), strict=True))
    ]
    sampling = Sampling(size, 2, per_image, places=places)
    entries = fitted(entries, one, one, True, 1)
    return TrainingPatches(entries, Cutter(one, one, size, False), places(entries, one, sampling, Store()), Augmentation(), 0)


def with_boxes(shape, **boxes):
    labels = np.zeros(shape, np.uint16)
    for name, box in boxes.items():
        labels[box] = int(name[1:])
    return labels


@pytest.mark.parametrize("shape", [(40, 50), (10, 40, 50)])
def test_every_object_of_every_image_is_the_middle_of_one_patch_in_every_epoch(shape):
    lead = (slice(4, 5),) * (len(shape) - 2)
    first = with_boxes(shape, _3=(*lead, slice(10, 13), slice(20, 23)), _60000=(*lead, slice(0, 1), slice(49, 50)))
    second = with_boxes(shape, _1=(*lead, slice(30, 31), slice(7, 8)))
    drawn = patches([first, second], patch_size=(3,) * len(shape))
    assert len(drawn) == 3
    for epoch in range(2):
        samples = [drawn[epoch, index] for index in range(3)]
        assert [sample["name"] for sample in samples] == ["0", "0", "1"]
        assert [int(sample["target"].max()) for sample in samples] == [3, 60000, 1]
        assert samples[0]["target"][(0, *[1] * (len(shape) - 2))].tolist() == [[3] * 3] * 3
        assert samples[2]["target"][(0, *[1] * (len(shape) - 2))].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_an_image_without_objects_gives_one_patch():
    drawn = patches([np.zeros((20, 20), np.uint8), with_boxes((20, 20), _1=(3, 3))])
    assert [drawn[0, index]["name"] for index in range(len(drawn))] == ["0", "1"]


def test_excluded_pixels_belong_to_no_object():
    labels = with_boxes((20, 20), _1=(slice(2, 4), slice(2, 4)), _2=(slice(12, 18), slice(12, 18)))
    cost_map = np.ones((20, 20), np.uint8)
    cost_map[:10], cost_map[15:] = 0, 0
    drawn = patches([labels], cost_maps=[(cost_map,)], patch_size=(2, 2))
    assert [middle for _, middle in drawn.plan.places] == [(13, 15)]


def test_objects_are_found_once_and_not_before_they_are_needed(monkeypatch):
    reads = []
    array = Side.array
    drawn = patches([with_boxes((20, 20), _1=(3, 3), _2=(9, 9))])
    monkeypatch.setattr(Side, "array", lambda *args, **named: reads.append("region" in named or len(args) > 2) or array(*args, **named))
    for index in (0, 1, 0):
        drawn[0, index]
    assert reads.count(False) == 1


def test_unmatched_images_have_no_patches_around_objects():
    with pytest.raises(
        ValueError, match=r"need a target that matches its source; set data\.places\._target_=im2im\.data\.patches\.Anywhere"
    ):
        patches([np.ones((20, 20), np.uint8)], matched=False)


@pytest.mark.parametrize(
    ("middle", "region"),
    [((10, 10), [(8, 12), (8, 12)]), ((0, 19), [(0, 4), (16, 20)]), ((19, 1), [(16, 20), (0, 4)])],
)
def test_a_region_at_a_border_is_moved_into_the_image(middle, region):
    assert [(part.start, part.stop) for part in region_around(middle, (20, 20), (4, 4))] == region


def test_the_region_of_a_small_image_is_all_of_it():
    assert region_around((1, 5), (3, 20), (8, 8)) == (slice(0, 3), slice(1, 9))


def test_middles_come_in_the_order_of_the_numbers_whatever_their_gaps():
    labels = np.zeros((9, 9), np.uint32)
    labels[7:9, 0:2], labels[1, 4] = 5, 4_000_000_000
    assert object_middles(labels) == [(8, 1), (1, 4)]


def test_patches_anywhere_are_as_they_have_always_been():
    labels = [np.arange(30 * 40).reshape(30, 40), np.arange(50 * 60).reshape(50, 60)]
    drawn = patches(labels, Anywhere(), patch_size=(7, 9), per_image=3)
    assert len(drawn) == 6
    for epoch, index in ((0, 0), (2, 3), (1, 5)):
        expected = labels[index % 2][random_region(labels[index % 2].shape, (7, 9), np.random.default_rng([0, epoch, index]))]
        np.testing.assert_array_equal(drawn[epoch, index]["source"][0], expected)


@pytest.mark.parametrize(("key", "value"), [("fraction_per_epoch", 0.5), ("foreground", 0.5)])
def test_a_part_of_the_objects_is_refused(key, value):
    with pytest.raises(ValueError, match=f"data.{key}=0.5; set it to"):
        AroundObjects()([], side(2), Sampling((4, 4), 2, **{key: value}), Store())


def test_where_objects_are_is_found_once(tmp_path):
    tifffile.imwrite(tmp_path / "labels.tif", with_boxes((40, 50), _3=(slice(10, 13), slice(20, 23))))
    (image,) = AutoReader()(tmp_path / "labels.tif")
    store, one = Store(tmp_path / NAME), replace(side(2), reader=AutoReader())
    places = ObjectPlan([Entry("a", image, image)], one, Sampling((4, 4), 2), store).places
    closed = Image(image.path, image.shape, image.dtype, image.axes, lambda region: pytest.fail("read again"))
    again = ObjectPlan([Entry("a", closed, closed)], one, Sampling((4, 4), 2), Store(tmp_path / NAME)).places
    assert [middle for _, middle in places] == [middle for _, middle in again] == [(11, 21)]


@pytest.mark.parametrize("last", [3, 9, 10**9])
def test_objects_are_measured_whatever_their_numbers(last):
    labels = np.zeros((8, 20))
    labels[1:3, 2:7], labels[5:8, 10:11], labels[0, 0] = 2, last, np.nan
    counts, lengths = measure_objects(labels)
    assert (counts.tolist(), lengths.tolist()) == ([10, 3], [[2, 5], [3, 1]])


def test_an_image_without_objects_has_no_lengths():
    counts, lengths = measure_objects(np.zeros((2, 8, 8), np.uint16))
    assert (counts.size, lengths.shape) == (0, (0, 3))
