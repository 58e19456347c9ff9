import csv
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from tests_shared import SMALL

from im2im.data.augment import Augmentation
from im2im.data.block import Block
from im2im.data.datamodule import ImageData
from im2im.data.index import Entry, Files, Synthetic
from im2im.data.patches import Sampling
from im2im.data.side import Side
from im2im.data.synthetic import SyntheticCells
from im2im.data.unpaired import UnpairedFiles
from im2im.io.image import Image
from im2im.io.pairing import Folders
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.io.unpaired import Unpaired
from im2im.normalization import Identity, Standard

TRAINING = [setting for setting in SMALL if not setting.startswith(("data.size", "data.counts"))]


def data_of(images, patch_size=(8, 8), block=0.2, normalization=Identity(), memory=1.0) -> ImageData:
    source, target = (Side(AutoReader(), Selection(), normalization, len(patch_size), name) for name in ("source", "target"))
    sampling = Sampling(patch_size, 2, steps_per_epoch=100, validation_block=block)
    return ImageData(images, source, target, sampling, Augmentation(), 0, 0, memory)


def coordinates(shape):
    """Every pixel's value is its place."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def write(root, shape, names="a", roles=("source", "target", "cost_map")):
    for role in roles:
        (root / role).mkdir(parents=True)
        for name in names:
            image = np.ones(shape, np.uint8) if role == "cost_map" else coordinates(shape)
            tifffile.imwrite(root / role / f"{name}.tif", image, metadata={"axes": "ZYX"[-len(shape) :]})
    return root


def seen(batches, role="source"):
    return {int(value) for batch in batches for value in np.unique(batch[role])}


@pytest.mark.parametrize("memory", [0.0, 1.0])
@pytest.mark.parametrize(
    ("shape", "patch_size", "first"),
    [((40, 30), (8, 8), (32, 0)), ((20, 60), (8, 8), (0, 48)), ((30, 30), (8, 8), (22, 0)), ((3, 20, 60), (2, 8, 8), (0, 0, 48))],
)
def test_no_training_patch_touches_the_block_and_no_validation_patch_the_rest(shape, patch_size, first, memory, tmp_path):
    data = data_of(Files(Folders(write(tmp_path, shape)), {"val": 0.1, "test": 0}), patch_size, memory=memory)
    inside = tuple(slice(start, None) for start in first)
    block = {int(value) for value in coordinates(shape)[inside].ravel()}
    training, validation = list(data.train_dataloader()), list(data.val_dataloader())
    rest = set(range(int(np.prod(shape)))) - block
    assert seen(training) <= rest
    assert len(seen(training)) > 0.9 * len(rest)
    assert seen(validation) <= block
    for batch in (*training, *validation):
        assert np.array_equal(batch["source"], batch["target"])
        assert (batch["cost_map"] == 1).all()


@pytest.mark.parametrize(("shape", "block"), [((15, 12), 0.2), ((40, 30), 0)])
def test_where_nothing_is_held_out_validation_looks_at_training_images_and_says_so(shape, block, tmp_path, caplog):
    data = data_of(Files(Folders(write(tmp_path, shape)), {"val": 0.1, "test": 0}), block=block)
    assert [(pair.split, pair.part) for pair in data.pairs] == [("train", None)]
    assert len(data.val_dataloader()) > 0
    assert "too few images to hold one out" in caplog.text


@pytest.mark.parametrize("count", range(3, 10))
def test_of_several_images_a_whole_one_is_validated(count, tmp_path):
    data = data_of(Files(Folders(write(tmp_path, (40, 30), "abcdefghi"[:count])), {"val": 0.1, "test": 0.2}))
    assert Counter(pair.split for pair in data.pairs)["val"] == 1
    assert not any(pair.part for pair in data.pairs)


def test_of_two_images_one_is_tested_and_a_block_of_the_other_validated(tmp_path):
    data = data_of(Files(Folders(write(tmp_path, (40, 30), "ab"))))
    assert sorted((pair.split, pair.part) for pair in data.pairs if pair.split != "test") == [("train", "Y 0:32"), ("val", "Y 32:40")]
    assert [pair.part for pair in data.pairs if pair.split == "test"] == [None]


def test_the_table_of_splits_says_which_part_serves_what_and_can_be_kept(tmp_path):
    images = Files(Folders(write(tmp_path, (40, 30), "ab")))
    data = data_of(images)
    data.write_splits(tmp_path)
    with (tmp_path / "splits.csv").open(newline="") as file:
        rows = [(row["split"], row["part"]) for row in csv.DictReader(file)]
    assert sorted(rows) == [("test", ""), ("train", "Y 0:32"), ("val", "Y 32:40")]
    assert data_of(replace(images, splits=str(tmp_path / "splits.csv"))).pairs == data.pairs


def test_both_parts_are_normalized_by_what_training_sees(tmp_path):
    data = data_of(Files(Folders(write(tmp_path, (40, 30))), {"val": 0.1, "test": 0}), normalization=Standard())
    (training,), (validation,) = data.entries("train"), data.entries("val")
    assert validation.source_scale == training.source_scale == Standard().fit(coordinates((40, 30))[None, :32])
    assert validation.target_scale == training.target_scale


def test_images_of_one_group_are_all_divided(tmp_path):
    data = data_of(Files(Folders(write(tmp_path, (40, 30), ["m_1", "m_2"]), group="^(m)"), {"val": 0.1, "test": 0}))
    assert Counter((pair.name, pair.split, pair.part) for pair in data.pairs) == {
        (name, split, part): 1 for name in ("m_1", "m_2") for split, part in (("train", "Y 0:32"), ("val", "Y 32:40"))
    }
    assert seen(data.train_dataloader()) <= set(range(960))


def test_the_sides_of_unpaired_images_are_divided_by_their_own_sizes(tmp_path):
    write(tmp_path, (40, 30), "a", ("source",))
    write(tmp_path, (20, 60), "xyz", ("target",))
    data = data_of(UnpairedFiles(Unpaired(tmp_path), {"val": 0, "test": 0}))
    of_source, of_target = coordinates((40, 30)), coordinates((20, 60))
    training, validation = list(data.train_dataloader()), list(data.val_dataloader())
    assert seen(training) <= set(of_source[:32].ravel().astype(int))
    assert seen(training, "target") <= set(of_target[:, :48].ravel().astype(int))
    assert seen(validation) <= set(of_source[32:].ravel().astype(int))
    assert seen(validation, "target") <= set(of_target[:, 48:].ravel().astype(int))
    assert len({id(entry.source) for entry in data.entries("train")}) == 1


def test_a_single_simulated_image_is_divided():
    cells = SyntheticCells(size=(40, 32))
    data = data_of(Synthetic(cells, {"train": 1, "val": 0, "test": 1}))
    assert [data.source.spatial_shape(data.entries(split)[0].source) for split in ("train", "val", "test")] == [(32, 32), (8, 32), (40, 32)]


def test_evaluation_sees_the_whole_image(tmp_path):
    data = data_of(Files(Folders(write(tmp_path, (40, 30)))))
    data.evaluating = True
    assert data.source.spatial_shape(data.entries("test")[0].source) == (40, 30)


def test_a_file_that_cannot_be_read_is_told_when_it_is_used(tmp_path):
    write(tmp_path, (40, 30))
    (tmp_path / "target" / "a.tif").write_bytes(b"no image")
    data = data_of(Files(Folders(tmp_path)))
    assert [pair.split for pair in data.pairs] == ["train"]
    with pytest.raises(ValueError, match=r"a\.tif"):
        data.entries("train")


def test_an_image_in_two_entries_stays_one_image():
    movie = Image.from_array(np.zeros((2, 40, 30)), "TYX")
    block = Block(0.2, (8, 8))
    first, second = (block.cut(Entry(str(time), movie, movie, time=time), "train") for time in range(2))
    assert first.source is first.target is second.source
    assert first.source.shape == (2, 1, 1, 32, 30)


def test_a_run_on_a_single_image_is_validated_and_says_by_what(tmp_path, im2im):
    root = write(tmp_path / "images", (80, 70), "ab", ("source", "target"))
    run = im2im("data=folders", f"data.root={root}", *TRAINING, "data.steps_per_epoch=3")
    log = (run / "im2im.log").read_text()
    assert "images: 1 train, 1 val, 1 test" in log
    assert re.search("validation looks at Y 48:80 of [ab], which training never sees", log)
    assert "too few images" not in log
    assert "1 file: Y 48:80" in (run / "report.html").read_text()


def several(tmp_path, shapes, given=(), normalization=Identity()):
    """Data of images of these shapes, of which blocks are validated."""
    for role in ("source", "target"):
        for part in ("train", *given):
            (tmp_path / part / role).mkdir(parents=True)
            for name, shape in zip("abcdef", shapes if part == "train" else [(30, 30)], strict=False):
                tifffile.imwrite(tmp_path / part / role / f"{name}.tif", coordinates(shape), metadata={"axes": "YX"})
    images = Files(Folders(tmp_path), {"val": 0.2, "test": 0.0})
    data = data_of(images, normalization=normalization)
    data.sampling = replace(data.sampling, divide_each=True)
    return data


def splits(data):
    return sorted((pair.name, pair.split, pair.part) for pair in data.pairs)


def test_of_few_images_a_block_of_each_that_is_large_enough_is_validated_and_none_as_a_whole(tmp_path):
    data = several(tmp_path, [(40, 30), (20, 23), (30, 60)])  # a block of 8 pixels is more than a third of the second
    assert splits(data) == [
        ("a", "train", "Y 0:32"),
        ("a", "val", "Y 32:40"),
        ("b", "train", None),
        ("c", "train", "X 0:48"),
        ("c", "val", "X 48:60"),
    ]
    shapes = {split: [data.source.spatial_shape(entry.source) for entry in data.entries(split)] for split in ("train", "val")}
    assert shapes == {"train": [(32, 30), (20, 23), (30, 48)], "val": [(8, 30), (30, 12)]}
    rest, block = np.split(coordinates((30, 60)), [48], axis=1)
    validated = seen(data.val_dataloader(), "target")
    assert max(validated) in set(block.ravel())
    assert not seen(data.train_dataloader(), "target") & {int(value) for value in block.ravel() if value > 960}
    assert not validated & {int(value) for value in rest.ravel() if value > 1200}


def test_the_blocks_of_several_images_are_normalized_like_their_rest(tmp_path):
    data = several(tmp_path, [(20, 23), (40, 30), (30, 60)], normalization=Standard())
    scales = {entry.name: entry.source_scale for entry in data.entries("val")}
    assert scales == {"b": Standard().fit(coordinates((40, 30))[None, :32]), "c": Standard().fit(coordinates((30, 60))[None, :, :48])}


def test_images_that_are_too_small_for_blocks_are_held_out_as_wholes(tmp_path):
    data = several(tmp_path, [(23, 23), (22, 20), (40, 30)])
    assert Counter((split, part) for _, split, part in splits(data)) == {("train", None): 2, ("val", None): 1}


def test_images_that_are_given_for_validation_stay_so(tmp_path):
    data = several(tmp_path, [(40, 30), (40, 30)], given=("val",))
    assert splits(data) == [("a", "train", None), ("a", "val", None), ("b", "train", None)]


def test_images_that_a_kept_table_gives_for_validation_stay_so(tmp_path):
    data = several(tmp_path / "images", [(40, 30), (40, 30)])
    rows = [f"{split},{name},{tmp_path / 'images' / 'train' / 'source' / name}.tif" for split, name in (("train", "a"), ("val", "b"))]
    (tmp_path / "splits.csv").write_text("\n".join(("split,name,source", *rows)))
    data.images = replace(data.images, splits=str(tmp_path / "splits.csv"))
    assert splits(data) == [("a", "train", None), ("b", "val", None)]


def test_evaluation_sees_the_whole_of_several_images(tmp_path):
    data = several(tmp_path, [(40, 30), (30, 60)])
    data.images = replace(data.images, splits=str(tmp_path / "of_other_images.csv"))  # which evaluation does not look at
    data.evaluating = True
    assert splits(data) == [("a", "test", None), ("b", "test", None)]


def test_the_table_of_splits_keeps_the_blocks_of_several_images(tmp_path):
    data = several(tmp_path / "images", [(40, 30), (20, 23), (30, 60)])
    data.write_splits(tmp_path)
    again = data_of(replace(data.images, splits=str(tmp_path / "splits.csv")))
    again.sampling = data.sampling
    assert splits(again) == splits(data)
