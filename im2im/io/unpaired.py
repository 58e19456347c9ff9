"""Sources and targets that are no pairs: listed, shared out between the splits, and put side by side."""

from dataclasses import dataclass, replace
from pathlib import Path

from im2im.io.listing import by_stem, image_names, split_folders
from im2im.io.pair import SPLITS, Pair, group_of
from im2im.io.splits import group_key, split

Files = list[Pair]  # of one role: each has its file as source, and no target


@dataclass(frozen=True)
class Unpaired:
    """A folder of sources and a folder of targets, of any number and names.

    ``root`` holds ``source/ target/``, or ``train/ [val/] test/`` with those folders inside.

    Args:
        root: Of the folders.
        source: Name of a folder.
        target: Name of a folder.
        group: A regular expression on the stem, see ``group_of``.
    """

    root: str | Path
    source: str = "source"
    target: str = "target"
    group: str | None = None

    def __call__(self) -> tuple[Files, Files]:
        """List the sources and the targets.

        Raises:
            ValueError: A folder is missing or empty, or two files of one folder have one stem.
        """
        parts = split_folders(Path(self.root).expanduser(), self.source)
        sources, targets = (
            [file for part, folder in parts for file in self._files(folder / role, part)] for role in (self.source, self.target)
        )
        return sources, targets

    def _files(self, folder: Path, part: str | None) -> Files:
        names = by_stem(image_names(folder), folder)
        return [Pair(stem, folder / name, None, split=part, group=group_of(stem, self.group)) for stem, name in names.items()]


def share_out(sources: Files, targets: Files, seed: int, fractions: dict[str, float], match: bool = True) -> tuple[Files, Files]:
    """Give every file a split; files of one stem or group get the same one, whichever list they are in.

    Where several stems are in both lists, those are drawn from and all others serve training; else each list is drawn from
    by itself. What would be alone in a split serves training. Splits that are given stay.

    Args:
        sources: Whatever their order.
        targets: Likewise.
        seed: Of the draw.
        fractions: Of the groups: ``val`` and ``test``.
        match: Whether one stem means that two files belong together.

    Raises:
        ValueError: Fractions that leave nothing for training.
    """
    given = {file.split for file in (*sources, *targets)}
    if "val" in given or not given & {None, "train"}:
        return sources, targets
    chosen = _drawn(_free(sources), _free(targets), seed, fractions, match)
    both = {chosen.get(group_key(file), "train") for file in _free(sources)} & {
        chosen.get(group_key(file), "train") for file in _free(targets)
    }
    if "train" not in both:
        raise ValueError(f"no source or no target is left for training, got fractions {fractions}; lower data.fractions, or add images")
    served = {group: part if part in both else "train" for group, part in chosen.items()}
    return _with_splits(sources, served), _with_splits(targets, served)


def _free(files: Files) -> Files:
    return [file for file in files if file.split in (None, "train")]


def _with_splits(files: Files, chosen: dict[str, str]) -> Files:
    return [replace(file, split=chosen.get(group_key(file), "train")) if file.split in (None, "train") else file for file in files]


def _drawn(sources: Files, targets: Files, seed: int, fractions: dict[str, float], match: bool) -> dict[str, str]:
    """Group → split."""
    names = {file.name for file in sources} & {file.name for file in targets}
    shared = [file for file in sources if match and file.name in names]
    chosen = {group_key(file): str(file.split) for file in split(shared, seed, fractions)}
    for files in (sources, targets) if len(chosen) < 2 else ():
        rest = [file for file in files if group_key(file) not in chosen]
        chosen |= {group_key(file): str(file.split) for file in split(rest, seed, fractions)}
    return chosen


def side_by_side(sources: Files, targets: Files, match: bool = True) -> list[Pair]:
    """Make pairs of files that have a split.

    In training nothing is matched: the longer list stands beside the shorter one, repeated. In validation and test, files of
    one stem are matched unless ``match`` is false; of the others the longer list stands beside the shorter one again, or
    beside all of its split.
    """
    pairs = []
    for part in SPLITS:
        left, right = ([file for file in files if file.split == part] for files in (sources, targets))
        if bool(left) != bool(right):
            raise ValueError(f"split {part} has {len(left)} sources and {len(right)} targets; add what is missing, or correct data.splits")
        partner = {file.name: file.source for file in right} if match and part != "train" else {}
        matched = [replace(file, target=partner[file.name]) for file in left if file.name in partner]
        names = {pair.name for pair in matched}
        alone = [[file for file in files if file.name not in names] for files in (left, right)]
        pairs += matched + _beside(alone[0], alone[1], left, right)
    return pairs


def _beside(sources: Files, targets: Files, all_sources: Files, all_targets: Files) -> list[Pair]:
    """The longer list beside the shorter one, repeated; where one is empty, all files of that role take its place."""
    count = max(len(sources), len(targets))
    left, right = sources or all_sources, targets or all_targets
    return [_unmatched(left[index % len(left)], right[index % len(right)]) for index in range(count)]


def _unmatched(source: Pair, target: Pair) -> Pair:
    name = source.name if source.name == target.name else f"{source.name}_with_{target.name}"
    return replace(source, name=name, target=target.source, matched=False)


def to_evaluate(sources: Files, targets: Files, match: bool = True) -> list[Pair]:
    """All that can be evaluated as test: the files of split ``test`` if there are any, else all; those that match, else all unmatched."""
    chosen = [[file for file in files if file.split == "test"] or files for files in (sources, targets)]
    left, right = ([replace(file, split="test") for file in files] for files in chosen)
    pairs = side_by_side(left, right, match)
    return [pair for pair in pairs if pair.matched] or pairs
