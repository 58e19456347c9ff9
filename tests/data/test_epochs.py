from collections import Counter

import numpy as np
import pytest
import tifffile

from im2im.data import patches as patches_module
from im2im.data.augment import Augmentation
from im2im.data.datamodule import ImageData
from im2im.data.dataset import Cutter, EpochSampler, TrainingPatches, ValidationPatches
from im2im.data.epochs import ByArea
from im2im.data.fitting import fitted
from im2im.data.index import Entry, Files
from im2im.data.objects import AroundObjects
from im2im.data.patches import Anywhere, Sampling
from im2im.data.side import Side
from im2im.data.unpaired import UnpairedFiles
from im2im.io.image import Image
from im2im.io.pairing import Folders
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.io.store import Store
from im2im.io.unpaired import Unpaired
from im2im.normalization import Identity


def side(name="source", spatial_dims=2) -> Side:
    return Side(AutoReader(), Selection(), Identity(), spatial_dims, name)


def entries_of(*arrays, cost_maps=None):
    axes = "ZYX"[-arrays[0].ndim :]
    masks = [None if mask is None else Image.from_array(mask, axes) for mask in cost_maps or [None] * len(arrays)]
    images = [Image.from_array(array, axes) for array in arrays]
    opened = [Entry(str(at), image, image, mask) for at, (image, mask) in enumerate(zip(images, masks, strict=True))]
    return fitted(opened, side(), side("target"), True, 1)


def plan_of(entries, steps, batch_size=2, places=Anywhere(), **settings):
    sampling = Sampling((8, 8), batch_size, steps_per_epoch=steps, **settings)
    return places(entries, side("target"), sampling, Store())


def names(plan, epoch=0):
    return Counter(plan(epoch, index, np.random.default_rng(index))[0].name for index in range(len(plan)))


def files(root, roles=("source", "target"), **sizes):
    for role in roles:
        (root / role).mkdir(parents=True, exist_ok=True)
        for value, (name, shape) in enumerate(sizes.items()):
            tifffile.imwrite(root / role / f"{name}.tif", np.full(shape, value, np.uint8))
    return root


@pytest.mark.parametrize("sizes", [{"a": (20, 20)}, {f"i{at}": (20 + at, 30) for at in range(7)}])
@pytest.mark.parametrize("steps", [1, 5])
def test_an_epoch_has_exactly_as_many_whole_batches_whatever_the_images(sizes, steps, tmp_path):
    images = Files(Folders(files(tmp_path, **sizes)), {"val": 0, "test": 0})
    data = ImageData(images, side(), side("target"), Sampling((8, 8), 3, steps_per_epoch=steps), Augmentation(), 0, 0, 1.0)
    batches = list(data.train_dataloader())
    assert len(data.train_dataloader()) == steps
    assert [len(batch["name"]) for batch in batches] == [3] * steps


def test_patches_are_drawn_in_proportion_to_the_area():
    plan = plan_of(entries_of(np.zeros((10, 10)), np.zeros((30, 10)), np.zeros((20, 20))), steps=12)
    assert all(names(plan, epoch) == {"0": 3, "1": 9, "2": 12} for epoch in range(5))


def test_a_small_image_comes_at_regular_intervals():
    plan = plan_of(entries_of(np.zeros((10, 10)), np.zeros((100, 79))), steps=4)  # a tenth of a patch in each epoch
    seen = [epoch for epoch in range(400) if names(plan, epoch)["0"]]
    assert 38 <= len(seen) <= 42
    assert np.diff(seen).max() <= 21


def test_excluded_pixels_do_not_count_as_area():
    mask = np.ones((16, 16), np.uint8)
    mask[:, :8] = 0
    plan = plan_of(entries_of(np.zeros((16, 16)), np.zeros((16, 16)), cost_maps=[mask, None]), steps=15)
    assert names(plan) == {"0": 10, "1": 20}


def test_a_stack_has_as_many_patches_as_all_of_its_voxels_deserve():
    entries = [Entry(str(z), *[Image.from_array(np.zeros((z, 16, 16)), "ZYX")] * 2) for z in (4, 20)]
    plan = Anywhere()(entries, side(spatial_dims=3), Sampling((4, 8, 8), 4, steps_per_epoch=3), Store())
    assert names(plan) == {"4": 2, "20": 10}


def test_the_same_seed_gives_the_same_patches_and_another_epoch_others():
    array = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)

    def drawn(seed, epoch):
        patches = TrainingPatches(entries, Cutter(side(), side(), (8, 8), False), plan_of(entries, 3), Augmentation(), seed)
        return [patches[epoch, index]["source"].tobytes() for index in range(len(patches))]

    entries = entries_of(array, array[:32])
    assert drawn(0, 4) == drawn(0, 4)
    assert not set(drawn(0, 4)) & set(drawn(0, 5))
    assert not set(drawn(0, 4)) & set(drawn(1, 4))


def test_processes_have_whole_batches_of_different_patches(monkeypatch):
    monkeypatch.setattr(patches_module, "processes", lambda: 3)
    plan = plan_of(entries_of(np.zeros((20, 20))), steps=4, batch_size=5)
    shares = [list(EpochSampler(len(plan), 0, rank, 3)) for rank in range(3)]
    assert [len(share) for share in shares] == [20] * 3
    assert len({place for share in shares for place in share}) == 60


def test_an_epoch_draws_from_a_fraction_of_the_images_until_all_were_taken():
    plan = plan_of(entries_of(*[np.zeros((10, 10))] * 6), steps=6, fraction_per_epoch=0.5)
    epochs = [names(plan, epoch) for epoch in range(4)]
    assert all(sorted(counts.values()) == [4, 4, 4] for counts in epochs)
    assert not set(epochs[0]) & set(epochs[1])


def test_foreground_is_still_preferred():
    array = np.zeros((60, 60), np.float32)
    array[50:54, 50:54] = 9
    plan = plan_of(entries_of(array), steps=20, foreground=1.0)
    assert len(plan) == 40
    for index in range(40):
        _, region = plan(0, index, np.random.default_rng(index))
        assert array[region].any()


@pytest.mark.parametrize("steps", [3, 15])
def test_every_object_has_its_turn_before_one_comes_again(steps):
    labels = np.zeros((90, 90), np.uint8)
    labels[4::20, 4::20] = np.arange(1, 26).reshape(5, 5)
    plan = plan_of(entries_of(labels), steps, places=AroundObjects())
    assert len(plan) == 2 * steps
    regions = [str(plan(epoch, index, np.random.default_rng(0))[1]) for epoch in range(30) for index in range(len(plan))]
    rounds = [Counter(regions[start : start + 25]) for start in range(0, len(regions) - 24, 25)]
    assert all(set(counts.values()) == {1} and len(counts) == 25 for counts in rounds)
    assert regions[:25] != regions[25:50]


def test_unpaired_sources_and_targets_are_drawn_by_their_own_areas(tmp_path):
    files(tmp_path, ("source",), a=(10, 10), b=(30, 10))
    files(tmp_path, ("target",), x=(20, 10), y=(10, 10), z=(30, 10))
    images = UnpairedFiles(Unpaired(tmp_path), {"val": 0, "test": 0})
    data = ImageData(images, side(), side("target"), Sampling((8, 8), 6, steps_per_epoch=4), Augmentation(), 0, 0, 1.0)
    patches = data.training_patches(data.entries("train"))
    together = set()
    for epoch in range(10):
        samples = [patches[epoch, index] for index in range(len(patches))]
        assert Counter(int(sample["source"].max()) for sample in samples) == {0: 6, 1: 18}
        assert Counter(int(sample["target"].max()) for sample in samples) == {0: 8, 1: 4, 2: 12}
        together |= {sample["name"] for sample in samples}
    assert len(together) == 6


def test_images_without_area_count_alike():
    draw = ByArea([0, 0, 0], 6)
    assert Counter(draw(0, index) for index in range(6)) == {0: 2, 1: 2, 2: 2}


@pytest.mark.parametrize(("limit", "counts"), [(None, [4] * 6), (100, [4] * 6), (12, [2] * 6), (6, [1] * 6), (3, [0, 1] * 3)])
def test_validation_patches_are_limited_evenly_over_the_images(limit, counts):
    entries = entries_of(*[np.full((16, 16), value) for value in range(6)])
    make = lambda: ValidationPatches(entries, Cutter(side(), side(), (8, 8), False), Sampling((8, 8), 2, validation_limit=limit))  # noqa: E731
    found = Counter(entry.name for entry, *_ in make().places)
    assert [found[str(value)] for value in range(6)] == counts
    assert [place[1:] for place in make().places] == [place[1:] for place in make().places]


@pytest.mark.parametrize("settings", [{"steps_per_epoch": 0}, {"validation_limit": 0}, {"validation_block": 0.6}])
def test_sampling_refuses_what_cannot_be(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Sampling((8, 8), 1, **settings)
