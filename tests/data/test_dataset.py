from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from im2im.data.augment import Augmentation
from im2im.data.dataset import Cutter, EpochSampler, TrainingPatches, ValidationPatches
from im2im.data.fitting import fitted
from im2im.data.index import Entry
from im2im.data.patches import Sampling
from im2im.data.side import Side
from im2im.io.image import Image
from im2im.io.selection import Selection
from im2im.io.store import Store
from im2im.normalization import Identity, Standard


def no_reader(path: Path) -> list[Image]:
    raise AssertionError("nothing is opened here")


def side(spatial_dims: int = 2, normalization=Identity()) -> Side:
    return Side(no_reader, Selection(), normalization, spatial_dims)


def entry(array: np.ndarray, cost_map: np.ndarray | None = None, normalization=Identity()) -> Entry:
    axes = "ZYX"[-array.ndim :]
    mask = None if cost_map is None else Image.from_array(cost_map, axes)
    opened = Entry("a", Image.from_array(array, axes), Image.from_array(array * 10.0, axes), mask)
    one = side(array.ndim, normalization)
    return fitted([opened], one, one, keep=True, workers=1)[0]


def patches(entries, size=(4, 4), seed=0, spatial_dims=2, with_cost_map=False, **settings) -> TrainingPatches:
    cutter = Cutter(side(spatial_dims), side(spatial_dims), size, with_cost_map)
    sampling = Sampling(size, 2, patches_per_image=3, **settings)
    plan = sampling.places(entries, cutter.target, sampling, Store())
    return TrainingPatches(entries, cutter, plan, Augmentation(), seed)


@pytest.mark.parametrize(("shape", "size"), [((12, 13), (4, 4)), ((5, 12, 13), (2, 4, 4))])
def test_source_and_target_show_the_same_region(shape, size):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    sample = patches([entry(array)], size, spatial_dims=len(shape))[(0, 0)]
    assert sample["source"].shape == (1, *size)
    assert np.array_equal(sample["source"] * 10, sample["target"])


def test_a_patch_depends_on_seed_epoch_and_index_alone():
    array = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    draw = lambda seed, epoch, index: patches([entry(array)], seed=seed)[(epoch, index)]["source"]  # noqa: E731
    assert np.array_equal(draw(0, 1, 2), draw(0, 1, 2))
    assert all(not np.array_equal(draw(0, 1, 2), draw(*other)) for other in ((1, 1, 2), (0, 2, 2), (0, 1, 1)))


def test_patches_are_normalized_by_the_statistics_of_their_whole_image():
    array = np.random.default_rng(0).normal(7, 3, size=(32, 32)).astype(np.float32)
    normalized = entry(array, normalization=Standard())
    sample = patches([normalized], size=(32, 32))[(0, 0)]
    assert sample["source"] == pytest.approx((array[None] - array.mean()) / array.std(), abs=1e-5)


def test_an_image_smaller_than_the_patch_is_filled_up_and_the_filling_costs_nothing():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    sample = patches([entry(array, np.ones((2, 3), np.uint8))], with_cost_map=True)[(0, 0)]
    assert sample["source"].shape == (1, 4, 4)
    assert sample["cost_map"].tolist() == [[[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]


def test_images_without_a_cost_map_get_ones_when_others_have_one():
    assert (patches([entry(np.ones((8, 8), np.float32))], with_cost_map=True)[(0, 0)]["cost_map"] == 1).all()


def test_every_image_is_seen_in_every_epoch():
    entries = [entry(np.full((8, 8), value, np.float32)) for value in range(5)]
    drawn = patches(entries)
    assert {float(drawn[place]["source"].max()) for place in EpochSampler(len(drawn), 0)} == {0, 1, 2, 3, 4}


def test_validation_patches_never_change():
    array = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    make = lambda: ValidationPatches([entry(array)], Cutter(side(), side(), (8, 8), False), Sampling((8, 8), 2, validation_patches=5))  # noqa: E731
    first, second = make(), make()
    assert len(first) == 5
    assert all(np.array_equal(first[i]["source"], second[i]["source"]) for i in range(5))


def test_the_order_differs_by_epoch_and_is_the_same_after_a_restart():
    sampler, restarted = EpochSampler(20, 0), EpochSampler(20, 0)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    restarted.set_epoch(2)
    assert list(restarted) == orders[2]
    assert [index for _, index in orders[0]] != [index for _, index in orders[1]]
    assert sorted(index for _, index in orders[0]) == list(range(20))


@pytest.mark.parametrize("size", [(8, 6), (4, 8, 6)])
def test_labels_are_filled_up_with_background_not_mirrored(size):
    region = tuple(slice(0, min(5, length)) for length in size)
    target = replace(side(len(size)), interpolation="nearest")
    cutter = Cutter(side(len(size)), target, size, with_cost_map=True)
    sample = cutter(entry(np.full((5,) * len(size), 3, np.uint16)), region)
    assert (sample["target"][0][region] == 30).all()
    assert sample["target"].sum() == 30 * sample["target"][0][region].size
    assert sample["cost_map"].sum() == sample["cost_map"][0][region].size
    assert (sample["source"] == 3).all()


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_patches_of_an_epoch_and_take_as_many_steps(processes):
    shares = [list(EpochSampler(20, 0, rank, processes)) for rank in range(processes)]
    assert {len(share) for share in shares} == {len(EpochSampler(20, 0, 0, processes))} == {-(-20 // processes)}
    together = [place for turn in zip(*shares, strict=True) for place in turn]
    assert together[:20] == list(EpochSampler(20, 0))
    assert len(together) - 20 < processes


def test_fewer_patches_than_processes_still_give_each_one():
    assert [len(list(EpochSampler(2, 0, rank, 5))) for rank in range(5)] == [1] * 5


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_and_epochs_never_repeat_a_patch(processes):
    array = np.random.default_rng(0).normal(size=(200, 200)).astype(np.float32)
    drawn = patches([entry(array)] * 4)
    assert len(drawn) == 12
    for epochs in ([0], [0, 1]):
        places = []
        for rank in range(processes):
            sampler = EpochSampler(len(drawn), 0, rank, processes)
            for epoch in epochs:
                sampler.set_epoch(epoch)
                places += list(sampler)
        assert len(places) == len({drawn[place]["source"].tobytes() for place in places}) == 12 * len(epochs)
