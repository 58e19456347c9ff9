import csv
import random
from collections import Counter
from pathlib import Path

import pytest

from im2im.io.pairing import Pair, as_test, keep_splits, split, write_splits


def pairs(count, group_size=1, **options):
    return [
        Pair(f"{i:03}", Path(f"s/{i}.tif"), Path(f"t/{i}.tif"), group=f"g{i // group_size}" if group_size > 1 else None, **options)
        for i in range(count)
    ]


def splits(of):
    return {pair.name: pair.split for pair in of}


def test_fractions_of_the_images_are_drawn():
    assert Counter(splits(split(pairs(100), seed=0)).values()) == {"train": 70, "test": 20, "val": 10}


@pytest.mark.parametrize("seed", range(20))
def test_a_group_is_never_divided(seed):
    of_group = {}
    for pair in split(pairs(60, group_size=7), seed, {"val": 0.2, "test": 0.3}):
        of_group.setdefault(pair.group, set()).add(pair.split)
    assert all(len(found) == 1 for found in of_group.values())
    assert set.union(*of_group.values()) == {"train", "val", "test"}


def test_the_draw_depends_on_the_seed_and_not_on_the_order():
    shuffled = pairs(30)
    random.Random(1).shuffle(shuffled)
    assert splits(split(shuffled, 0)) == splits(split(pairs(30), 0))
    assert splits(split(pairs(30), 1)) != splits(split(pairs(30), 0))


def test_the_order_of_the_pairs_is_kept():
    assert [pair.name for pair in split(pairs(9), 0)] == [pair.name for pair in pairs(9)]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, {"train": 1}),
        (2, {"train": 1, "test": 1}),
        (3, {"train": 1, "test": 1, "val": 1}),
        (4, {"train": 2, "test": 1, "val": 1}),
        (10, {"train": 7, "test": 2, "val": 1}),
    ],
)
def test_few_images_are_shared_out_and_training_always_has_one(count, expected):
    assert Counter(splits(split(pairs(count), 0)).values()) == expected


def test_large_fractions_leave_one_group_for_training():
    assert Counter(splits(split(pairs(3), 0, {"val": 0.4, "test": 0.55})).values()) == {"train": 1, "test": 1, "val": 1}


def test_a_fraction_of_zero_takes_nothing():
    assert Counter(splits(split(pairs(10), 0, {"val": 0, "test": 0.2})).values()) == {"train": 8, "test": 2}


def test_given_splits_stay():
    given = [*pairs(3, split="train"), *pairs(2, split="val"), *pairs(2, split="test")]
    assert split(given, 0) == given


def test_validation_is_drawn_from_training_where_it_is_not_given():
    drawn = split([*pairs(20, group_size=4, split="train"), Pair("x", Path("x.tif"), Path("y.tif"), split="test", group="g0")], 0)
    counts = Counter(pair.split for pair in drawn)
    assert counts == {"train": 16, "val": 4, "test": 1}
    assert len({pair.group for pair in drawn if pair.split == "val"}) == 1


def test_a_single_training_image_is_not_used_for_validation_too():
    drawn = split([*pairs(1, split="train"), Pair("x", Path("x.tif"), Path("y.tif"), split="test")], 0)
    assert [pair.split for pair in drawn] == ["train", "test"]


def test_only_test_images_stay_test_images():
    assert split(pairs(3, split="test"), 0) == pairs(3, split="test")


def test_splits_for_some_pairs_only_are_refused():
    with pytest.raises(ValueError, match="2 of 3 pairs have no split, such as 000; fill in the column split of data.root"):
        split([*pairs(2), Pair("x", Path("x.tif"), None, split="test")], 0)


@pytest.mark.parametrize("fractions", [{"val": 0.5, "test": 0.5}, {"val": -0.1, "test": 0.2}, {"valid": 0.1}])
def test_impossible_fractions_are_refused(fractions):
    with pytest.raises(ValueError, match=r"correct data\.fractions"):
        split(pairs(5), 0, fractions)


def test_what_is_evaluated_is_the_test_split_or_everything():
    given = [*pairs(2, split="train"), *pairs(1, split="test")]
    assert as_test(given) == pairs(1, split="test")
    assert as_test(pairs(2, split="train")) == as_test(pairs(2)) == pairs(2, split="test")


def test_the_splits_are_written_down(tmp_path):
    write_splits(
        [Pair("a", Path("s/a.tif"), Path("t/a.tif"), Path("c/a.tif"), "val", "p1"), *pairs(1, split="train")], tmp_path / "splits.csv"
    )
    with (tmp_path / "splits.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["split", "name", "group", "source", "target", "cost_map"],
            ["val", "a", "p1", "s/a.tif", "t/a.tif", "c/a.tif"],
            ["train", "000", "", "s/0.tif", "t/0.tif", ""],
        ]


def on_disk(folder, names):
    for name in names:
        (folder / name).touch()
    return [Pair(name, folder / name, folder / name) for name in names]


def test_paths_of_files_are_written_absolute(tmp_path, monkeypatch):
    on_disk(tmp_path, "ab")
    monkeypatch.chdir(tmp_path)
    write_splits([Pair("a", Path("a"), Path("b"), split="test")], "splits.csv")
    assert (tmp_path / "splits.csv").read_text().splitlines()[1] == f"test,a,,{tmp_path}/a,{tmp_path}/b,"


def test_written_splits_are_kept_whatever_else_is_there_and_however_the_path_is_written(tmp_path, monkeypatch, caplog):
    drawn = split(on_disk(tmp_path, "abcdefgh"), seed=3)
    write_splits(drawn, tmp_path / "splits.csv")
    monkeypatch.chdir(tmp_path)
    more = [Pair(name, Path(name), None, split="train") for name in "hgfedcba"] + on_disk(tmp_path, "xy")
    assert splits(keep_splits(more, "splits.csv")) == splits(drawn)
    assert caplog.messages == ["2 of 10 pairs are left out: splits.csv does not list them"]


def test_rows_of_one_source_are_told_apart_by_their_name(tmp_path):
    (tmp_path / "a").touch()
    rows = [Pair(f"a_{scene}", tmp_path / "a", None, split=part, scene=scene) for scene, part in enumerate(("train", "test"))]
    write_splits(rows, tmp_path / "splits.csv")
    assert keep_splits(rows[::-1], tmp_path / "splits.csv") == rows[::-1]


def test_a_listed_image_that_is_gone_is_named(tmp_path):
    write_splits(split(on_disk(tmp_path, "abc"), 0), tmp_path / "splits.csv")
    with pytest.raises(ValueError, match=r"1 of 3 images of .*splits\.csv are gone: .*/b; .*data\.splits"):
        keep_splits([pair for pair in on_disk(tmp_path, "abc") if pair.name != "b"], tmp_path / "splits.csv")


def test_a_table_of_other_splits_is_refused(tmp_path):
    write_splits([Pair("a", Path("a"), None, split="holdout")], tmp_path / "splits.csv")
    with pytest.raises(ValueError, match=r"train, val or test, got 'holdout'; correct data\.splits"):
        keep_splits([], tmp_path / "splits.csv")
