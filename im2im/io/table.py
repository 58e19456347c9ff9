"""Pairs listed in a table."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from im2im.io.columns import read_columns
from im2im.io.formats import split_name
from im2im.io.pair import SPLITS, Pair, group_of


@dataclass(frozen=True)
class Table:
    """Pairs from a CSV or Parquet table with columns source, target, [cost_map, split, group, scene, channel].

    Rows of one source (several scenes or channels) make a group unless groups are given.

    Args:
        path: Of the table; paths in it are relative to its folder, or absolute.
        group: A regular expression on the stem of the source, instead of the column.
    """

    path: str | Path
    group: str | None = None

    def __call__(self) -> list[Pair]:
        """Read the table.

        Raises:
            ValueError: A column or a file is missing, a row is there twice, or a split has an unknown name.
        """
        path = Path(self.path).expanduser()
        columns = read_columns(path, ("source", "target"), ("cost_map", "split", "group", "scene", "channel"))
        for column in ("source", "target", "cost_map"):
            _check_files(path, {value for value in columns[column] if value is not None})
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        labels = _labels({str(row["source"]) for row in rows})
        pairs = [self._pair(path, row, labels[str(row["source"])]) for row in rows]
        name, count = Counter(pair.name for pair in pairs).most_common(1)[0]
        if count > 1:
            raise ValueError(f"{path} lists {name} {count} times; take rows out, or tell them apart by scene or channel")
        return pairs

    def _pair(self, path: Path, row: Mapping[str, str | None], label: str) -> Pair:
        folder, cost_map = path.parent, row["cost_map"]
        parts = [re.sub(r"[^\w.-]+", "_", part) for part in (row["scene"], row["channel"]) if part]
        name = "_".join([label, *parts])
        stem = split_name(os.path.basename(str(row["source"])))[0]
        group = group_of(stem, self.group) or row["group"] or (label if parts else None)
        return Pair(
            name=name,
            source=folder / str(row["source"]),
            target=folder / str(row["target"]),
            cost_map=folder / cost_map if cost_map else None,
            split=_split(path, row["split"]),
            group=group,
            scene=_index(row["scene"]),
            channel=_index(row["channel"]),
        )


def _labels(sources: set[str]) -> dict[str, str]:
    """A name for each source: its stem, or its whole path where two have the same stem."""
    stems = {source: split_name(os.path.basename(source))[0] for source in sources}
    if len(set(stems.values())) == len(stems):
        return stems
    return {source: re.sub(r"[\\/]+", "-", split_name(source)[0]).strip(".-") for source in sources}


def _check_files(path: Path, listed: Iterable[str]) -> None:
    """One listing of each folder instead of a look at each file."""
    by_folder: dict[str, list[str]] = {}
    for value in listed:
        folder, name = os.path.split(os.path.join(path.parent, value))
        by_folder.setdefault(folder, []).append(name)
    missing = []
    for folder, names in by_folder.items():
        there = set(os.listdir(folder or ".")) if os.path.isdir(folder or ".") else set()
        missing += [os.path.join(folder, name) for name in names if name not in there]
    if missing:
        named = ", ".join(sorted(missing)[:3]) + (", …" if len(missing) > 3 else "")
        raise ValueError(
            f"{len(missing)} files listed in {path} are not there: {named}; correct the table (paths are relative to its folder)"
        )


def _split(path: Path, value: str | None) -> str | None:
    if value is None or value.lower() in SPLITS:
        return value and value.lower()
    near = get_close_matches(value.lower(), SPLITS, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else "correct the column split"
    raise ValueError(f"a split in {path} is train, val or test, got {value!r}; {hint}")


def _index(value: str | None) -> str | int | None:
    return int(value) if value and value.isdigit() else value
