"""What one training sample consists of, on disk."""

import re
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Pair:
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
    """

    name: str
    source: Path
    target: Path | None
    cost_map: Path | None = None
    split: str | None = None
    group: str | None = None
    scene: str | int | None = None
    channel: str | int | None = None
    matched: bool = True


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
