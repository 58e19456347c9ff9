"""What one training sample consists of, on disk."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

SPLITS = ("train", "val", "test")


class _Kept:
    """A field of a pair that is kept in a slot: a hundred thousand pairs shall take little memory.

    Args:
        default: Of the field, none where it must be given.
    """

    def __init__(self, *default: Any) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the field's name."""
        self.name, self.slot = name, f"_{name}"

    def __get__(self, pair: Any, owner: type) -> Any:
        """Give the field, or of the class its default."""
        if pair is not None:
            return getattr(pair, self.slot)
        if not self.default:
            raise AttributeError(self.name)
        return self.default[0]

    def __set__(self, pair: Any, value: Any) -> None:
        """Keep the field."""
        object.__setattr__(pair, self.slot, value)


class File(NamedTuple):
    """A path in two parts: many files share their folder."""

    folder: Path
    name: str


def in_folder(folder: Path, name: str) -> Any:
    """Give a path as a pair keeps it."""
    return File(folder, name)


class _KeptPath(_Kept):
    """A path, or nothing, kept as a file."""

    folders: ClassVar[dict[str, Path]] = {}  # one object for each

    def __get__(self, pair: Any, owner: type) -> Any:
        """Give the path."""
        folder = None if pair is None else getattr(pair, f"{self.slot}_folder")
        return super().__get__(pair, owner) if folder is None else folder / getattr(pair, self.slot)

    def __set__(self, pair: Any, value: Path | File | None) -> None:
        """Take it apart."""
        if isinstance(value, Path):
            parent = os.path.dirname(value)
            value = File(self.folders.setdefault(parent, Path(parent)), value.name)
        folder, name = value or (None, None)
        object.__setattr__(pair, f"{self.slot}_folder", folder)
        object.__setattr__(pair, self.slot, name)


kept: Any = _Kept
kept_path: Any = _KeptPath


class _Slots:
    fields = ("name", "source", "target", "cost_map", "split", "group", "scene", "channel", "matched", "part")
    __slots__ = (*(f"_{field}" for field in fields), *(f"_{field}_folder" for field in ("source", "target", "cost_map")))


@dataclass(frozen=True)
class Pair(_Slots):
    """Files that belong together.

    Args:
        name: Of the sample: the stem that its files share.
        source: What goes in.
        target: What should come out.
        cost_map: 0 where pixels are excluded.
        split: ``train``, ``val`` or ``test`` where that is given.
        group: Pairs of one group are never divided between splits.
        scene: The one scene to use, by name or index.
        channel: The one channel of the source to use, by name or index.
        matched: Whether source and target show the same; not so where data are unpaired.
        part: The part of the image that serves this split, such as "Y 0:819"; None for all of it.
    """

    __slots__ = ()

    name: str = kept()
    source: Path = kept_path()  # noqa: RUF009
    target: Path | None = kept_path()  # noqa: RUF009
    cost_map: Path | None = kept_path(None)  # noqa: RUF009
    split: str | None = kept(None)
    group: str | None = kept(None)
    scene: str | int | None = kept(None)
    channel: str | int | None = kept(None)
    matched: bool = kept(True)
    part: str | None = kept(None)

    def __reduce__(self) -> tuple[type["Pair"], tuple[Any, ...]]:
        """Let it be copied and sent to other processes."""
        return Pair, tuple(getattr(self, name) for name in self.fields)


def group_of(stem: str, pattern: str | None) -> str | None:
    """The first group of a regular expression in a stem, or its whole match; None without an expression.

    Raises:
        ValueError: The expression is none, or does not match.
    """
    if pattern is None:
        return None
    try:
        match = re.search(pattern, stem)
    except re.error as error:
        raise ValueError(f"data.group is no regular expression ({error}), got {pattern!r}; correct data.group") from error
    found = match and (match[1] if match.re.groups else match[0])
    if not found:
        raise ValueError(f"data.group={pattern} finds no group in {stem}; correct data.group, a regular expression on the stem")
    return found
