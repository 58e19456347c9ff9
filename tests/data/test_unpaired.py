from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch.utils.data import default_collate

from im2im.data.augment import Augmentation
from im2im.data.dataset import Cutter, TrainingPatches, ValidationPatches
from im2im.data.fitting import fitted
from im2im.data.keeping import gigabytes
from im2im.data.patches import Sampling
from im2im.data.side import Side
from im2im.data.unpaired import UnpairedFiles
from im2im.io.image import Image
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.io.splits import write_splits
from im2im.io.store import Store
from im2im.io.unpaired import Unpaired
from im2im.normalization import Identity

NO_SPLIT = {"val": 0, "test": 0}


def side(name="source", spatial_dims=2) -> Side:
    return Side(AutoReader(), Selection(), Identity(), spatial_dims, name)


def write(folder, **sizes):
    """Images whose every pixel says which image it is, in as many time points as a third length says."""
    folder.mkdir(parents=True)
    for value, (name, shape) in enumerate(sizes.items()):
        image = np.full(shape, value, np.uint8) + (10 * np.arange(shape[0], dtype=np.uint8)[:, None, None] if len(shape) == 3 else 0)
        tifffile.imwrite(folder / f"{name}.tif", image, metadata={"axes": "TYX"[-len(shape) :]})


def opened(root, part="train", fractions=NO_SPLIT):
    images = UnpairedFiles(Unpaired(root), fractions)
    return [entry for pair in images.pairs() if pair.split == part for entry in images.open(pair, side(), side("target"))]


def training(entries, augmentation=Augmentation(), seed=0, patches_per_image=2) -> TrainingPatches:
    sampling = Sampling((4, 4), 2, patches_per_image)
    entries = fitted(entries, side(), side("target"), True, 1)
    plan = sampling.places(entries, side("target"), sampling, Store())
    return TrainingPatches(entries, Cutter(side(), side("target"), (4, 4), False), plan, augmentation, seed)


def drawn(patches, epoch):
    samples = [patches[epoch, index] for index in range(len(patches))]
    return [(int(sample["source"].max()), int(sample["target"].max())) for sample in samples]


@pytest.fixture
def lists(tmp_path):
    """Five sources and three targets of other sizes."""
    write(tmp_path / "source", **dict.fromkeys("abcde", (8, 9)))
    write(tmp_path / "target", **dict.fromkeys("axy", (16, 5)))
    return tmp_path


def test_every_image_of_both_lists_is_seen_in_every_epoch(lists):
    patches = training(opened(lists), patches_per_image=1)
    assert len(patches) == 5
    for epoch in range(10):
        sources, targets = zip(*drawn(patches, epoch), strict=True)
        assert sorted(sources) == [0, 1, 2, 3, 4]
        assert set(targets) == {0, 1, 2}


def test_partners_differ_from_epoch_to_epoch_and_come_again_with_the_same_seed(lists):
    patches, again, other = training(opened(lists)), training(opened(lists)), training(opened(lists), seed=1)
    assert all(drawn(patches, one) != drawn(patches, two) for one, two in pairwise(range(4)))
    assert drawn(patches, 3) == drawn(again, 3) != drawn(other, 3)
    assert len({pair for epoch in range(30) for pair in drawn(patches, epoch)}) == 15


def test_unmatched_samples_say_so_and_name_both_files(lists):
    sample = training(opened(lists))[0, 0]
    assert sample["matched"] is False
    assert sample["name"].split(" with ")[0] == "a.tif"
    assert default_collate([sample, sample])["matched"].tolist() == [False, False]


def test_source_and_target_are_cut_and_changed_independently(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (32, 32), np.uint8)
    for role in ("source", "target"):
        (tmp_path / role).mkdir()
        tifffile.imwrite(tmp_path / role / "a.tif", image)
    patches = training(opened(tmp_path), Augmentation({"mirror": Mirror()}), patches_per_image=40)
    samples = [patches[0, index] for index in range(40)]
    assert not any(np.array_equal(sample["source"], sample["target"]) for sample in samples)
    assert len({(np.sign(sample["source"].sum()), np.sign(sample["target"].sum())) for sample in samples}) == 4


class Mirror:
    """Changes the sign of everything every second time."""

    def __init__(self):
        self.calls = 0

    def __call__(self, sample):
        self.calls += 1
        sign = 1 if np.random.default_rng(self.calls).integers(2) else -1
        return {role: array * sign for role, array in sample.items()}


def test_matched_images_are_scored_as_pairs_and_say_so(tmp_path):
    write(tmp_path / "train" / "source", a=(8, 8))
    write(tmp_path / "train" / "target", b=(8, 8))
    write(tmp_path / "val" / "source", a=(8, 8), c=(8, 8))
    write(tmp_path / "val" / "target", a=(8, 8), d=(20, 8))
    write(tmp_path / "test" / "source", a=(8, 8))
    write(tmp_path / "test" / "target", a=(8, 9))
    entries = fitted(opened(tmp_path, "val"), side(), side("target"), True, 1)
    assert [(entry.name, entry.matched) for entry in entries] == [("a", True), ("c_with_d", False)]
    patches = ValidationPatches(entries, Cutter(side(), side("target"), (4, 4), False), Sampling((4, 4), 2, validation_patches=9))
    samples = [patches[index] for index in range(len(patches))]
    assert [sample["matched"] for sample in samples] == [True] * 4 + [False] * 9
    assert all(sample["target"].shape == (1, 4, 4) for sample in samples)
    with pytest.raises(ValueError, match="shapes differ"):
        opened(tmp_path, "test")


def test_time_points_of_unmatched_files_stand_beside_each_other(tmp_path):
    write(tmp_path / "source", a=(3, 8, 8))
    write(tmp_path / "target", b=(8, 8), c=(2, 8, 8))
    entries = opened(tmp_path)
    assert [(entry.name, int(entry.source.read().max()), int(entry.target.read().max())) for entry in entries] == [
        ("a_with_b_0", 0, 0),
        ("a_with_b_1", 10, 0),
        ("a_with_b_2", 20, 0),
        ("a_with_c_0", 0, 1),
        ("a_with_c_1", 10, 11),
        ("a_with_c_2", 20, 1),
    ]
    kept = fitted(entries, side(), side("target"), True, 1)
    assert [entry.target.read().max() for entry in kept] == [0, 0, 0, 1, 11, 1]


@pytest.mark.parametrize("keep", [True, False])
def test_a_file_in_several_entries_is_read_and_fitted_once_and_counts_once(lists, keep, monkeypatch):
    entries = opened(lists)
    assert gigabytes(entries) * 2**30 == 5 * 72 + 3 * 80
    reads = Counter()
    read = Image.read
    monkeypatch.setattr(Image, "read", lambda image, region=None: reads.update([image.path]) or read(image, region))
    kept = fitted(entries, side(), side("target"), keep, 2)
    assert {path.name: count for path, count in reads.items() if path.parent.name == "target" and path.is_absolute()} == {
        f"{name}.tif": 1 + keep for name in "axy"
    }
    assert kept[0].target is kept[3].target
    assert [entry.name for entry in kept] == [entry.name for entry in entries]


def test_a_resumed_split_stays_although_images_were_added(lists):
    for index in range(4):
        for role in ("source", "target"):
            tifffile.imwrite(lists / role / f"k{index}.tif", np.zeros((8, 8), np.uint8))
    before = UnpairedFiles(Unpaired(lists), seed=1).pairs()
    write_splits(before, lists / "splits.csv")
    for role in ("source", "target"):
        tifffile.imwrite(lists / role / "0.tif", np.zeros((8, 8), np.uint8))
    assert UnpairedFiles(Unpaired(lists), seed=2, splits=str(lists / "splits.csv")).pairs() == before
    assert {pair.split for pair in before} == {"train", "val", "test"}


def test_other_data_are_evaluated_where_they_match(lists):
    assert [(pair.name, pair.split, pair.matched) for pair in UnpairedFiles(Unpaired(lists)).pairs(evaluating=True)] == [
        ("a", "test", True)
    ]


def test_the_configuration_reads_folders_of_any_names(lists):
    conf = Path(__file__).parents[2] / "conf"
    (lists / "source").rename(lists / "fluorescence")
    with initialize_config_dir(str(conf), version_base="1.3"):
        config = compose("config", ["data=unpaired", f"data.root={lists}", "data.folder_names.source=fluorescence", "patch_size=[4,4]"])
    data = instantiate(config.data.module, _convert_="all")
    assert [(pair.name, pair.split) for pair in data.pairs if pair.split == "train"] != []
    batch = data.batch(data.entries("train"))
    assert batch["source"].shape[2:] == batch["target"].shape[2:] == (4, 4)
    assert not batch["matched"].any()


def test_over_the_epochs_all_images_of_the_shorter_list_are_seen_equally_often(lists, tmp_path_factory):
    (turned := tmp_path_factory.mktemp("turned") / "data").mkdir()
    for role, name in (("source", "target"), ("target", "source")):
        (turned / name).symlink_to(lists / role)
    for root, shorter in ((lists, 1), (turned, 0)):
        patches = training(opened(root), patches_per_image=2)
        seen = Counter(pair[shorter] for epoch in range(3) for pair in drawn(patches, epoch))
        assert seen == {0: 10, 1: 10, 2: 10}


def test_where_stems_mean_nothing_nothing_is_matched(lists, tmp_path):
    for index in range(9):
        for role in ("source", "target"):
            tifffile.imwrite(lists / role / f"k{index}.tif", np.zeros((8, 8), np.uint8))
    images = UnpairedFiles(Unpaired(lists), match=False)
    assert {pair.split for pair in images.pairs()} == {"train", "val", "test"}
    write_splits(images.pairs(), lists / "splits.csv")
    kept = replace(images, splits=str(lists / "splits.csv"))
    assert not any(pair.matched for pair in (*images.pairs(), *kept.pairs(), *images.pairs(evaluating=True)))
    assert len(images.pairs(evaluating=True)) == 14
    assert any(pair.matched for pair in UnpairedFiles(Unpaired(lists)).pairs())


def test_the_configuration_says_whether_stems_mean_anything(lists):
    with initialize_config_dir(str(Path(__file__).parents[2] / "conf"), version_base="1.3"):
        config = compose("config", ["data=unpaired", f"data.root={lists}", "data.match=false", "patch_size=[4,4]"])
    assert instantiate(config.data.module, _convert_="all").images.match is False
