from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from tests_shared import SMALL

from im2im.data.index import Entry
from im2im.data.objects import AroundObjects
from im2im.data.patches import Anywhere, Sampling
from im2im.data.shortcuts import Shortcuts
from im2im.data.side import Side
from im2im.io.image import Image
from im2im.io.selection import Selection
from im2im.normalization import Affine, Identity
from im2im.stages.inspection import PIXELS, describe_labels, inspect_labels, inspect_splits, some
from im2im.tasks.instance import Instance
from im2im.tasks.semantic import Semantic

NOISE = np.random.default_rng(0)


def side(spatial_dims=2, interpolation="nearest") -> Side:
    return Side(lambda path: [], Selection(), Identity(), spatial_dims, interpolation=interpolation)


def data(interpolation="nearest", patch_size=(16, 16), **settings):
    spatial_dims = len(patch_size)
    target = side(spatial_dims, interpolation)
    images, sampling = SimpleNamespace(shortcuts=Shortcuts()), Sampling(patch_size, 1, **settings)
    return SimpleNamespace(source=side(spatial_dims), target=target, sampling=sampling, images=images)


def entry(labels, name="a", cost_map=None) -> Entry:
    axes = "ZYX"[-labels.ndim :]
    mask = None if cost_map is None else Image.from_array(cost_map, axes)
    return Entry(name, Image.from_array(np.zeros(labels.shape), axes), Image.from_array(labels, axes), mask)


def semantic(classes=2, **settings) -> Semantic:
    return Semantic(lambda *_: None, [f"class {number}" for number in range(classes)], **settings)


def seen(labels, task, given=None, cost_map=None) -> list[tuple[str, str]]:
    """What is not ok about one target."""
    findings = inspect_labels([entry(np.asarray(labels), cost_map=cost_map)], given or data(), task)
    return [(finding.verdict, finding.seen) for finding in findings if finding.verdict != "ok"]


def objects(shape=(40, 48), dtype=np.uint16) -> np.ndarray:
    """Four numbered squares of 8 × 8 pixels."""
    labels = np.zeros(shape, dtype)
    for number, (row, column) in enumerate([(2, 2), (2, 20), (20, 2), (20, 20)], 1):
        labels[row : row + 8, column : column + 8] = number
    return labels


@pytest.mark.parametrize("task", [Instance(), semantic(), semantic(5)], ids=["objects", "two classes", "five classes"])
def test_sound_labels_are_only_described(task):
    assert seen(objects(), task) == []
    (finding,) = inspect_labels([entry(objects())], data(), task)
    assert finding.seen == ("4 objects in an image, " if task.objects else "") + "13.3% of the pixels are foreground"


def test_targets_of_intensities_are_not_looked_at_as_labels():
    assert inspect_labels([entry(np.full((8, 8), -1.5))], data("bilinear"), semantic()) == []


def test_masks_of_white_and_numbered_objects_serve_two_classes():
    assert seen((objects() > 0).astype(np.uint8) * 255, semantic()) == []
    assert seen(objects() * 300, semantic()) == []


@pytest.mark.parametrize(("task", "verdict"), [(Instance(), "wrong"), (semantic(5), "wrong"), (semantic(), "look")])
def test_negative_labels(task, verdict):
    labels = objects(dtype=np.int16)
    labels[0, 0] = -1
    ((found, told),) = seen(labels, task)
    assert found == verdict
    assert "got -1 in a" in told
    assert ("task.ignore_index=-1" in told) == (not task.objects)


def test_a_class_that_is_not_there_is_wrong_unless_it_is_ignored_or_excluded():
    labels = np.where(objects() == 4, 255, objects())
    ((verdict, told),) = seen(labels, semantic(4))
    assert verdict == "wrong"
    assert told == "task.classes has 4 classes, numbered 0 to 3, got 255 in a; add classes, or set task.ignore_index=255"
    assert seen(labels, semantic(4, ignore_index=255)) == []
    assert seen(labels, semantic(4), cost_map=(labels < 255).astype(np.uint8)) == []


def test_labels_that_are_no_numbers_are_wrong():
    labels = objects().astype(np.float32)
    labels[3, 3] = np.nan
    ((verdict, told),) = seen(labels, Instance())
    assert verdict == "wrong"
    assert "NaN" in told


def test_interpolated_labels_are_pointed_out_once():
    labels = objects().astype(np.float32)
    labels[2, 2:10] = 1.5
    findings = inspect_labels([entry(labels), entry(labels, "b")], data(), Instance())
    assert [one.seen for one in findings if one.verdict == "look"] == [
        "labels are whole numbers, got 1.5 in a, as after interpolation; resample the targets by nearest neighbour"
    ]


@pytest.mark.parametrize("task", [Instance(), semantic()])
@pytest.mark.parametrize("scale", [1, 0.1])
def test_intensities_are_told_from_labels(task, scale):
    image = (NOISE.integers(1, 5000, (40, 48)) * scale).astype(np.uint16 if scale == 1 else np.float32)
    (intensities, everything) = seen(image, task)
    assert "as in an image of intensities; correct data.root, or set task=labelfree" in intensities[1]
    assert everything[1].startswith("100.0% of the pixels have a label above 0")


def test_many_small_objects_are_no_intensities():
    labels = np.kron(np.arange(1, 401).reshape(20, 20), np.pad(np.ones((3, 3), int), 1))
    assert seen(labels, Instance()) == seen(labels, semantic()) == []


def test_a_mask_is_told_from_numbered_objects():
    mask = (objects() > 0).astype(np.uint8) * 255
    ((_, told),) = seen(mask, Instance())
    assert told == "the 4 parts of a all have the label 255 and count as one object; number the objects, or set task=semantic"
    assert seen(objects() == 1, Instance()) == []  # one object


def test_labels_between_black_and_white_are_pointed_out():
    mask = (objects() > 0).astype(np.uint8) * 255
    mask[2, 2:10] = 127
    ((_, told),) = seen(mask, semantic())
    assert "labels between 0 and 255, which all count as foreground" in told
    assert "task.ignore_index=255" in told
    assert seen(mask, semantic(ignore_index=127)) == []


def test_rare_foreground_wants_patches_that_are_drawn_there():
    labels = np.zeros((200, 200), np.uint8)
    labels[5:9, 5:9] = 1
    ((_, told),) = seen(labels, semantic())
    assert told == "0.04% of the pixels are foreground, so that most patches have none; set data.foreground=0.5"
    assert seen(labels, semantic(), data(foreground=0.5)) == seen(labels, Instance(), data(places=AroundObjects())) == []
    assert isinstance(data().sampling.places, Anywhere)


def test_targets_without_any_foreground_are_pointed_out():
    assert "none of 1 targets has a label above 0" in seen(np.zeros((20, 20), np.uint8), semantic())[0][1]


def test_objects_are_compared_with_the_patch():
    assert seen(objects(), Instance(), data(patch_size=(8, 8))) == []
    ((_, told),) = seen(objects(), Instance(), data(patch_size=(8, 7)))
    assert told == "objects of 8 × 8 pixels are larger than a patch of [8, 7]; raise patch_size"
    stack = np.stack([objects()] * 3)
    ((_, told),) = seen(stack, Instance(), data(patch_size=(2, 8, 8)))
    assert "3 × 8 × 8" in told
    assert seen(objects(), semantic(), data(patch_size=(4, 4))) == []


def test_extents_are_those_of_most_objects():
    labels = np.kron(np.arange(1, 101).reshape(10, 10), np.pad(np.ones((3, 3), int), 1))
    labels[:, -1] = 101  # one long line
    assert describe_labels(labels)["extent"] == [3, 3]


def test_some_entries_stand_for_all_and_the_middle_for_a_large_image(monkeypatch):
    assert some([*range(100)]) == [0, 14, 28, 42, 57, 71, 85, 99]
    assert some([1, 2]) == [1, 2]
    monkeypatch.setattr("im2im.stages.inspection.PIXELS", 256)
    labels = np.zeros((64, 32), np.int16)
    labels[24:40, 8:24] = 1  # 16 × 16 in the middle
    labels[0, 0] = -1
    (finding, *_) = inspect_labels([entry(labels)], data(patch_size=(32, 32)), Instance())
    assert "100.0%" in finding.seen
    assert PIXELS == 2**22


def test_what_is_known_of_a_file_is_not_read_again(tmp_path, im2im, monkeypatch):
    for role, image in (("source", NOISE.integers(0, 99, (40, 48)).astype(np.uint16)), ("target", objects())):
        (tmp_path / "images" / role).mkdir(parents=True)
        for index in range(4):
            tifffile.imwrite(tmp_path / "images" / role / f"{index}.tif", image + index * (image > 0).astype(np.uint16))
    few = [setting for setting in SMALL if not setting.startswith(("data.size", "data.counts", "network"))]
    settings = ["task=semantic", "network=fnet", "network.channels=2", "network.depth=2", *few]
    im2im(*settings, "data=folders", f"data.root={tmp_path / 'images'}")
    looked = []
    monkeypatch.setattr("im2im.stages.inspection.describe_labels", lambda labels: looked.append(1))
    im2im(*settings, "data=folders", f"data.root={tmp_path / 'images'}")
    assert looked == []


def found_twice(by_split, scale=Affine(1.0, 0.0)):
    entries = {
        split: [
            Entry(f"{split}{index}", Image.from_array(image, "YX"), Image.from_array(image, "YX"), source_scale=scale)
            for index, image in enumerate(images)
        ]
        for split, images in by_split.items()
    }
    return [finding.seen for finding in inspect_splits(entries, data())]


def test_the_same_pixels_in_two_splits_are_pointed_out():
    one, other, third = NOISE.integers(0, 99, (3, 8, 8))
    assert found_twice({"train": [one, other], "val": [third], "test": []}) == []
    (told,) = found_twice({"train": [one, other], "val": [third], "test": [third + 1, other]})
    assert told.startswith("1 image is in two splits, such as train1 (train) and test1 (test)")
    assert found_twice({"train": [one, one], "val": [third]}) == []


def test_blank_images_and_images_of_another_shape_are_no_copies():
    blank = np.zeros((8, 8), np.uint8)
    assert found_twice({"train": [blank], "test": [blank]}) == []
    image = NOISE.integers(0, 99, (4, 8))
    assert found_twice({"train": [image], "test": [image.reshape(8, 4)]}) == []


def labelled(root, labels) -> list[str]:
    for role in ("source", "target"):
        (root / role).mkdir(parents=True)
    for index in range(5):
        tifffile.imwrite(root / "source" / f"{index}.tif", NOISE.integers(0, 99, (40, 48)).astype(np.uint16))
        tifffile.imwrite(root / "target" / f"{index}.tif", labels)
    few = [setting for setting in SMALL if not setting.startswith(("data.size", "data.counts", "network"))]
    return ["task=instance", "network.channels=4", *few, "data=folders", f"data.root={root}"]


@pytest.mark.parametrize("mode", ["check", "train"])
def test_negative_labels_end_check_and_training_before_the_first_step(mode, im2im, tmp_path, capsys):
    settings = labelled(tmp_path / "images", objects(dtype=np.int16) - 1)
    with pytest.raises(SystemExit):
        im2im(f"mode={mode}", *settings)
    told = capsys.readouterr()
    assert "got -1 in" in told.err.strip().splitlines()[-1]
    assert "epoch 1" not in told.err
    assert not list(tmp_path.rglob("*.ckpt"))


def test_interpolated_labels_are_told_at_the_start_of_a_training(im2im, tmp_path):
    run = im2im(*labelled(tmp_path / "images", objects() * np.float32(1.5)))
    assert "as after interpolation" in (run / "im2im.log").read_text()
