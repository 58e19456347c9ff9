"""Which files belong together: the layouts of data on disk, and what is drawn from them."""

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from im2im.io.columns import read_columns
from im2im.io.formats import IMAGE, TABLE, ZARR, kind
from im2im.io.listing import by_stem, image_names, refuse_single, split_folders
from im2im.io.pair import Pair, group_of, in_folder
from im2im.io.splits import as_test, keep_splits, split, write_splits
from im2im.io.table import Table

__all__ = ["Folders", "Pair", "Table", "Tagged", "as_test", "keep_splits", "list_images", "split", "write_splits"]


@dataclass(frozen=True)
class Folders:
    """A folder for each role, with the same stems in each; extensions may differ.

    ``root`` holds ``source/ target/ [cost_map/]``, or ``train/ [val/] test/`` with those folders inside.

    Args:
        root: Of the folders.
        source: Name of a folder.
        target: Name of a folder.
        cost_map: Name of a folder that may be absent, and need not have a file for each source.
        group: A regular expression on the stem, see ``group_of``.
    """

    root: str | Path
    source: str = "source"
    target: str = "target"
    cost_map: str = "cost_map"
    group: str | None = None

    def __call__(self) -> list[Pair]:
        """List the pairs.

        Raises:
            ValueError: A folder is missing or empty, a file has no partner, or two files have one stem.
        """
        return [pair for part, folder in split_folders(Path(self.root).expanduser(), self.source) for pair in self._pairs(folder, part)]

    def _pairs(self, folder: Path, part: str | None) -> list[Pair]:
        at = {role: folder / name for role, name in (("source", self.source), ("target", self.target), ("cost_map", self.cost_map))}
        files = {role: by_stem(image_names(at[role]), at[role]) for role in ("source", "target")}
        files["cost_map"] = by_stem(image_names(at["cost_map"]), at["cost_map"]) if at["cost_map"].is_dir() else {}
        return _matched(at, files, part, self.group)


@dataclass(frozen=True)
class Tagged:
    """All roles in one folder, told apart by the end of the stem: ``x_IM.tif x_GT.tif [x_CM.tif]``.

    Args:
        root: The folder, or one that holds ``train/ [val/] test/`` of this kind.
        source: End of the stem.
        target: End of the stem.
        cost_map: End of the stem.
        group: A regular expression on the stem without its end, see ``group_of``.
    """

    root: str | Path
    source: str = "_IM"
    target: str = "_GT"
    cost_map: str = "_CM"
    group: str | None = None

    def __call__(self) -> list[Pair]:
        """List the pairs.

        Raises:
            ValueError: The folder is missing, has no such files, or a file has no partner.
        """
        return [pair for part, folder in split_folders(Path(self.root).expanduser(), None) for pair in self._pairs(folder, part)]

    def _pairs(self, folder: Path, part: str | None) -> list[Pair]:
        names = by_stem(image_names(folder), folder)
        tags = {"source": self.source, "target": self.target, "cost_map": self.cost_map}
        files = {role: {stem.removesuffix(tag): name for stem, name in names.items() if stem.endswith(tag)} for role, tag in tags.items()}
        if not files["source"] and not files["target"]:
            first = next(iter(names.values()))
            raise ValueError(
                f"{folder} has no images like x{self.source}.tif and x{self.target}.tif, got {first}; rename them or set data=folders"
            )
        return _matched(dict.fromkeys(tags, folder), files, part, self.group)


def _matched(at: Mapping[str, Path], files: Mapping[str, dict[str, str]], part: str | None, group: str | None) -> list[Pair]:
    sources, targets, cost_maps = files["source"], files["target"], files["cost_map"]
    refuse_single(sources, targets, "sources", f"target of the same stem in {at['target']}")
    refuse_single(targets, sources, "targets", f"source of the same stem in {at['source']}")
    refuse_single(cost_maps, sources, "cost maps", f"source of the same stem in {at['source']}")
    return [
        Pair(
            stem,
            in_folder(at["source"], name),
            in_folder(at["target"], _same(name, targets.pop(stem))),
            in_folder(at["cost_map"], cost_maps[stem]) if stem in cost_maps else None,
            part,
            group_of(stem, group),
        )
        for stem, name in sources.items()
    ]


def _same(one: str, other: str) -> str:
    """Give the one object where two strings are equal."""
    return one if one == other else other


def list_images(path_or_glob: str) -> list[Path]:
    """Images that ``input=`` names, sorted.

    Args:
        path_or_glob: An image, a folder, a glob (``**`` goes into folders), or a table with a column ``source`` whose
            paths are relative to the table.

    Raises:
        ValueError: Nothing is found.
    """
    path = Path(path_or_glob).expanduser()
    if path.suffix.lower() in TABLE:
        return [path.parent / str(source) for source in dict.fromkeys(read_columns(path, ("source",))["source"])]
    if path.is_file() or (path.is_dir() and kind(path.name) in ZARR):
        return [path]
    if path.is_dir():
        return [path / name for name in by_stem(image_names(path), path).values()]
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
    images = [one for one in found if kind(one.name) in IMAGE and not one.name.startswith(".")]
    if not images:
        raise ValueError(f"no image found, got input={path_or_glob}; give a file, a folder, a glob in quotes or a table")
    return images
