from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from im2im.io.pair import Pair
from im2im.search.folds import everything, folds, require_table, together


def pairs(count=10, group=None):
    split = {0: "test", 1: "val"}
    return [Pair(f"{n}", Path(f"s{n}.tif"), Path(f"t{n}.tif"), split=split.get(n, "train"), group=group and group(n)) for n in range(count)]


def test_each_image_is_validated_once_and_test_images_stay():
    divided = folds(pairs(), 3, seed=0)
    assert [len([pair for pair in one if pair.split == "val"]) for one in divided] == [3, 3, 3]
    assert Counter(pair.name for one in divided for pair in one if pair.split == "val") == {str(n): 1 for n in range(1, 10)}
    assert all([pair.name for pair in one if pair.split == "test"] == ["0"] for one in divided)


def test_groups_are_never_divided():
    for one in folds(pairs(group=lambda n: f"g{n // 3}"), 2, seed=1):
        by_group = {}
        for pair in one:
            if pair.split != "test":
                by_group.setdefault(pair.group, set()).add(pair.split)
        assert all(len(splits) == 1 for splits in by_group.values())


@pytest.mark.parametrize("count", [1, 10])
def test_numbers_of_folds_that_cannot_be_are_refused(count):
    with pytest.raises(ValueError, match=f"9 images or groups make 2 to 9 folds, got search.folds={count}"):
        folds(pairs(), count, 0)


def test_validation_images_can_be_trained_on():
    assert Counter(pair.split for pair in together(pairs())) == {"train": 9, "test": 1}


def test_the_last_training_takes_its_images_from_a_table_wherever_it_is(tmp_path):
    folder = tmp_path / "it's here"
    folder.mkdir()
    cfg = OmegaConf.create({"data": {"fractions": {"val": 0.1}, "splits": None}, "search": {"retrain": True}})
    (setting,) = everything(cfg, SimpleNamespace(pairs=pairs()), folder)
    table = OverridesParser.create().parse_override(setting).value()
    assert pd.read_csv(table)["split"].value_counts().to_dict() == {"train": 9, "test": 1}


def test_built_in_images_are_only_counted_anew():
    cfg = OmegaConf.create({"data": {"counts": {"train": 4, "val": 2, "test": 1}}, "search": {"folds": 3}})
    assert everything(cfg, None, Path()) == ["data.counts.train=6", "data.counts.val=0"]
    with pytest.raises(ValueError, match=r"only images on disk can be divided anew, got search.folds=3"):
        require_table(cfg, "search.folds=3")
