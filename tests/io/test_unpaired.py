from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from im2im.io.pair import Pair
from im2im.io.splits import keep_splits, write_splits
from im2im.io.unpaired import Unpaired, share_out, side_by_side, to_evaluate


def files(names, role="s", split=None, group=None):
    return [Pair(name, Path(f"{role}/{name}.tif"), None, split=split, group=group and group(name)) for name in names]


def stems(pairs, part=None):
    return [(pair.source.stem, pair.target.stem, pair.matched) for pair in pairs if part in (None, pair.split)]


def parts(of):
    return {file.name: file.split for file in of}


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_folders_hold_any_number_of_any_name(tmp_path):
    sources, targets = Unpaired(make(tmp_path, "source/a.tif", "source/b.png", "target/x.tif"))()
    assert [file.source for file in sources] == [tmp_path / "source/a.tif", tmp_path / "source/b.png"]
    assert [file.source for file in targets] == [tmp_path / "target/x.tif"]


def test_folders_of_a_split_give_it(tmp_path):
    make(tmp_path, "train/a/1.tif", "train/b/2.tif", "test/a/1.tif", "test/b/1.tif")
    assert [[(file.name, file.split) for file in role] for role in Unpaired(tmp_path, "a", "b")()] == [
        [("1", "train"), ("1", "test")],
        [("2", "train"), ("1", "test")],
    ]


@pytest.mark.parametrize("missing", ["source", "target"])
def test_a_missing_folder_is_named(tmp_path, missing):
    other = {"source": "target", "target": "source"}[missing]
    make(tmp_path, f"train/{other}/a.tif")
    with pytest.raises(ValueError, match=rf"there is no folder .*train/{missing}"):
        Unpaired(tmp_path)()


@pytest.mark.parametrize("seed", range(5))
def test_stems_in_both_lists_are_drawn_from_and_all_others_serve_training(seed):
    both = [f"{index:02}" for index in range(10)]
    sources, targets = share_out(files([*both, "x", "y"]), files([*both, "z"], "t"), seed, {"val": 0.1, "test": 0.2})
    assert Counter(parts(sources).values()) == {"train": 9, "test": 2, "val": 1}
    assert all(parts(sources)[stem] == parts(targets)[stem] for stem in both)
    assert {parts(sources)["x"], parts(sources)["y"], parts(targets)["z"]} == {"train"}


@pytest.mark.parametrize("seed", range(5))
def test_lists_without_a_common_stem_are_drawn_from_each_by_itself(seed):
    sources, targets = share_out(files("abcdefghij"), files("klm", "t"), seed, {"val": 0.1, "test": 0.2})
    assert Counter(parts(sources).values()) == {"train": 7, "test": 2, "val": 1}
    assert Counter(parts(targets).values()) == {"train": 1, "test": 1, "val": 1}


def test_what_would_be_alone_in_a_split_serves_training():
    sources, targets = share_out(files("abcdefghij"), files("k", "t"), 0, {"val": 0.1, "test": 0.2})
    assert set(parts(sources).values()) == set(parts(targets).values()) == {"train"}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("of_targets", ["23", "34"])
def test_a_group_gets_one_split_in_both_lists_whether_stems_agree_or_not(of_targets, seed):
    group = lambda name: name[0]  # noqa: E731
    sources = files([f"{plate}{index}" for plate in "abcdef" for index in "12"], group=group)
    targets = files([f"{plate}{index}" for plate in "cdefgh" for index in of_targets], "t", group=group)
    of_group = {}
    for file in chain(*share_out(sources, targets, seed, {"val": 0.2, "test": 0.2})):
        of_group.setdefault(file.group, set()).add(file.split)
    assert all(len(found) == 1 for found in of_group.values())
    assert {"train", "test"} <= set.union(*of_group.values())


def test_given_splits_stay_and_validation_is_drawn_from_training():
    sources = files("abcdefghij", split="train") + files("ab", split="test")
    targets = files("abcdefghij", "t", split="train") + files("c", "t", split="test")
    shared = share_out(sources, targets, 0, {"val": 0.2, "test": 0.2})
    assert [Counter(file.split for file in role) for role in shared] == [
        {"train": 8, "val": 2, "test": 2},
        {"train": 8, "val": 2, "test": 1},
    ]
    given = files("a", split="train") + files("b", split="val"), files("c", "t", split="train") + files("d", "t", split="val")
    assert share_out(*given, 0, {"val": 0.2, "test": 0.2}) == given


def test_nothing_is_matched_in_training_and_every_file_is_there():
    pairs = side_by_side(files("abc", split="train"), files("ab", "t", split="train"))
    assert stems(pairs) == [("a", "a", False), ("b", "b", False), ("c", "a", False)]
    assert [pair.name for pair in pairs] == ["a", "b", "c_with_a"]


@pytest.mark.parametrize("part", ["val", "test"])
def test_one_stem_is_a_pair_in_validation_and_test(part):
    pairs = side_by_side(files("abcd", split=part), files("axbyz", "t", split=part))
    assert stems(pairs) == [("a", "a", True), ("b", "b", True), ("c", "x", False), ("d", "y", False), ("c", "z", False)]


def test_what_is_left_of_one_list_alone_stands_beside_all_of_the_other():
    assert stems(side_by_side(files("abc", split="val"), files("a", "t", split="val"))) == [
        ("a", "a", True),
        ("b", "a", False),
        ("c", "a", False),
    ]


def test_a_split_of_one_list_alone_is_refused():
    with pytest.raises(ValueError, match=r"split val has 1 sources and 0 targets; .*correct data\.splits"):
        side_by_side(files("a", split="val"), [])


def test_what_matches_is_evaluated_or_else_everything():
    assert stems(to_evaluate(files("abc"), files("bx", "t")), "test") == [("b", "b", True)]
    assert stems(to_evaluate(files("ab"), files("x", "t")), "test") == [("a", "x", False), ("b", "x", False)]
    given = files("ab", split="train") + files("c", split="test"), files("ab", "t", split="train") + files("c", "t", split="test")
    assert stems(to_evaluate(*given)) == [("c", "c", True)]


def test_written_splits_are_kept_for_both_lists_whatever_was_added(tmp_path):
    make(tmp_path, *(f"source/{name}.tif" for name in "abcdefgh"), *(f"target/{name}.tif" for name in "defghijklm"))
    layout = Unpaired(tmp_path)
    drawn = share_out(*layout(), 3, {"val": 0.2, "test": 0.2})
    write_splits(side_by_side(*drawn), tmp_path / "splits.csv")
    assert (tmp_path / "splits.csv").read_text().splitlines()[0].endswith(",cost_map,matched")
    make(tmp_path, "source/0.tif", "target/0.tif")
    for role, before in zip(layout(), drawn, strict=True):
        both = keep_splits([*layout()[0], *layout()[1]], tmp_path / "splits.csv", ("source", "target"))
        assert [file for file in both if file.source in {one.source for one in role}] == before
