"""Which pair serves training, validation and test."""

import csv
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from im2im.files import replacing
from im2im.io.columns import read_columns
from im2im.io.pair import SPLITS, Pair

log = logging.getLogger(__name__)

FRACTIONS = MappingProxyType({"val": 0.1, "test": 0.2})


def split(pairs: list[Pair], seed: int, fractions: Mapping[str, float] = FRACTIONS) -> list[Pair]:
    """Give every pair a split; whole groups stay together, whatever the order of ``pairs``.

    Splits that are given stay. Where nothing is given, test and validation are drawn; where training is given but no
    validation, that is drawn from training. Of three groups or more at least one goes to each; with fewer, validation
    is left empty before test, and one group stays for training.

    Args:
        pairs: A pair without a group is a group of its own.
        seed: Of the draw.
        fractions: Of the groups: ``val`` and ``test``.

    Raises:
        ValueError: Fractions that leave nothing for training, or splits given for some pairs only.
    """
    val, test = float(fractions.get("val", 0)), float(fractions.get("test", 0))
    if set(fractions) - set(SPLITS) or min(val, test) < 0 or val + test >= 1:
        raise ValueError(f"fractions are of val and test, together less than 1, got {dict(fractions)}; correct data.fractions")
    given = {pair.split for pair in pairs}
    if None in given and len(given) > 1:
        missing = [pair.name for pair in pairs if pair.split is None]
        raise ValueError(
            f"{len(missing)} of {len(pairs)} pairs have no split, such as {missing[0]}; "
            "fill in the column split of data.root, for all or for none"
        )
    if given == {None}:
        return _draw(pairs, {"test": test, "val": val}, seed)
    if "train" in given and "val" not in given:
        return _draw(pairs, {"val": val}, seed)
    return list(pairs)


def _draw(pairs: list[Pair], fractions: Mapping[str, float], seed: int) -> list[Pair]:
    """Turn pairs that are not given to anything but training into test and validation."""
    groups = sorted({group_key(pair) for pair in pairs if pair.split in (None, "train")})
    shuffled = [groups[index] for index in np.random.default_rng(seed).permutation(len(groups))]
    chosen: dict[str, str] = {}
    wanted = [name for name, fraction in fractions.items() if fraction > 0]
    for position, name in enumerate(wanted):
        free = len(groups) - len(chosen) - 1  # one stays for training
        most = max(free - len(wanted[position + 1 :]), min(free, 1))  # and one for each that comes after
        count = min(max(1, round(fractions[name] * len(groups))), most)
        chosen |= dict.fromkeys(shuffled[len(chosen) : len(chosen) + count], name)
    return [pair if pair.split not in (None, "train") else replace(pair, split=chosen.get(group_key(pair), "train")) for pair in pairs]


def group_key(pair: Pair) -> str:
    """What is never divided between splits: a pair's group, or else the pair by its name."""
    return pair.name if pair.group is None else pair.group


def as_test(pairs: list[Pair]) -> list[Pair]:
    """What there is to evaluate: the pairs of split ``test`` if there are any, else all of them as test."""
    return [pair for pair in pairs if pair.split == "test"] or [replace(pair, split="test") for pair in pairs]


def write_splits(pairs: list[Pair], path: str | Path) -> None:
    """Write which file served what: a CSV with columns split, name, group, source, target, cost_map; paths of files are absolute.

    Unpaired data have a column more, matched: True or False. Where an image is divided, the column part says how.
    """
    more = [
        name for name, used in (("matched", any(not pair.matched for pair in pairs)), ("part", any(pair.part for pair in pairs))) if used
    ]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("split", "name", "group", "source", "target", "cost_map", *more))
        for pair in pairs:
            paths = (path.resolve() if path and path.exists() else path for path in (pair.source, pair.target, pair.cost_map))
            writer.writerow((pair.split, pair.name, pair.group, *paths, *(getattr(pair, name) for name in more)))


def keep_splits(pairs: list[Pair], path: str | Path, roles: tuple[str, ...] = ("source",)) -> list[Pair]:
    """Give pairs the split that a ``splits.csv`` says, found by the path of their source; a pair that is not in it is left out.

    Args:
        pairs: Whatever their splits.
        path: What :func:`write_splits` wrote.
        roles: The columns in which a source is looked for; "source" and "target" for files of unpaired data.

    Raises:
        ValueError: There is no such table, it says something else than a split, or a source that it lists is no longer there.
    """
    listed = _listed(Path(path), roles)
    found = {pair.source.resolve() for pair in pairs}
    if gone := [source for source in listed if source not in found]:
        raise ValueError(f"{len(gone)} of {len(listed)} images of {path} are gone: {gone[0]}; bring them back, or set data.splits=null")
    chosen = [(pair, _listed_split(pair, listed.get(pair.source.resolve(), {}))) for pair in pairs]
    kept = [replace(pair, split=name) for pair, name in chosen if name is not None]
    if len(kept) < len(pairs):
        log.warning("%d of %d pairs are left out: %s does not list them", len(pairs) - len(kept), len(pairs), path)
    return kept


def _listed(path: Path, roles: tuple[str, ...]) -> dict[Path, dict[str, str]]:
    """Source → name → split; a source of several scenes or channels has several names. A divided image serves training."""
    columns = read_columns(path, ("split", "name", *roles), ("part",))
    listed: dict[Path, dict[str, str]] = {}
    for role in roles:
        for name, source, split, part in zip(columns["name"], columns[role], columns["split"], columns["part"], strict=True):
            if split not in SPLITS:
                raise ValueError(f"a split in {path} is train, val or test, got {split!r}; correct data.splits")
            listed.setdefault(Path(str(source)).resolve(), {})[str(name)] = "train" if part else split
    return listed


def _listed_split(pair: Pair, by_name: Mapping[str, str]) -> str | None:
    """Tell a pair's split by its name where its source serves several splits."""
    splits = set(by_name.values())
    return splits.pop() if len(splits) == 1 else by_name.get(pair.name)


def trained_on(path: str | Path) -> set[Path]:
    """Give the sources that a ``splits.csv`` says a run was trained or chosen on."""
    return {source for source, splits in _listed(Path(path), ("source",)).items() if {"train", "val"} & set(splits.values())}
