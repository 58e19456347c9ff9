"""Other divisions of the same images: folds for cross validation, and training with all that was held out for choosing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from im2im.data.datamodule import ImageData
from im2im.io.pair import Pair
from im2im.io.splits import group_key, write_splits
from im2im.settings import quoted

CHOOSING = ("train", "val")


def folds(pairs: Sequence[Pair], count: int, seed: int) -> list[list[Pair]]:
    """Divide training and validation images anew: each group is validated once. Test images stay.

    Args:
        pairs: With their splits.
        count: Folds.
        seed: Of the division.

    Raises:
        ValueError: If there are fewer groups than folds.
    """
    groups = sorted({group_key(pair) for pair in pairs if pair.split in CHOOSING})
    if not 2 <= count <= len(groups):
        raise ValueError(f"{len(groups)} images or groups make 2 to {len(groups)} folds, got search.folds={count}; correct it")
    order = [groups[place] for place in np.random.default_rng(seed).permutation(len(groups))]
    return [[_divided(pair, set(order[number::count])) for pair in pairs] for number in range(count)]


def _divided(pair: Pair, held_out: set[str]) -> Pair:
    return replace(pair, split="val" if group_key(pair) in held_out else "train") if pair.split in CHOOSING else pair


def together(pairs: Sequence[Pair]) -> list[Pair]:
    """Let validation images be trained on."""
    return [replace(pair, split="train") if pair.split == "val" else pair for pair in pairs]


def write_folds(cfg: DictConfig, data: ImageData, folder: Path) -> list[Path]:
    """Write a splits.csv for each fold, none where there are no folds, into a folder; gives their paths.

    Raises:
        ValueError: If the data cannot be divided by a table.
    """
    if not cfg.search.folds:
        return []
    require_table(cfg, f"search.folds={cfg.search.folds}")
    paths = [folder / f"fold_{number}.csv" for number in range(cfg.search.folds)]
    for path, pairs in zip(paths, folds(data.pairs, cfg.search.folds, cfg.seed), strict=True):
        write_splits(pairs, path)
    return paths


def everything(cfg: DictConfig, data: ImageData, folder: Path) -> list[str]:
    """Give the settings with which validation images are trained on as well."""
    if "counts" in cfg.data:
        counts = cfg.data.counts
        return [f"data.counts.train={counts.train + counts.val}", "data.counts.val=0"]
    require_table(cfg, "search.retrain=true")
    write_splits(together(data.pairs), folder / "everything.csv")
    return [f"data.splits={quoted(folder / 'everything.csv')}"]


def require_table(cfg: DictConfig, asked: str) -> None:
    """Raise ValueError for data that are not divided by a splits.csv."""
    if "splits" not in cfg.data:
        raise ValueError(f"only images on disk can be divided anew, got {asked}; set data=folders, or leave it out")
