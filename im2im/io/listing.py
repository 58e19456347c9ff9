"""Listing images: once through each folder, without a look into any file."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from im2im.io.formats import IMAGE, ZARR, kind, split_name
from im2im.io.pair import SPLITS


def image_names(folder: str | Path) -> Iterator[str]:
    """Names of the images in a folder, in no order; hidden files and what is no image are passed over.

    Raises:
        ValueError: There is no such folder.
    """
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                suffix = kind(entry.name)
                if suffix in IMAGE and entry.name[0] != "." and (suffix in ZARR or not entry.is_dir()):
                    yield entry.name
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(f"there is no folder {folder}; correct data.root or input") from error


def by_stem(names: Iterable[str], folder: str | Path) -> dict[str, str]:
    """Stem → name, in alphabetical order.

    Raises:
        ValueError: Two names have the same stem, or there is none.
    """
    found: dict[str, str] = {}
    for name in sorted(names):
        stem = split_name(name)[0]
        if stem in found:
            raise ValueError(f"{folder} has two images of one stem, {found[stem]} and {name}; rename one or take it out")
        found[stem] = name
    if not found:
        raise ValueError(f"{folder} has no images; put some there, or correct data.root or input (known: {' '.join(sorted(IMAGE))})")
    return found


def refuse_single(one: Mapping[str, str], other: Mapping[str, str], what: str, partner: str) -> None:
    """Raise a ``ValueError`` that names stems of ``one`` which ``other`` lacks.

    Args:
        one: Stem → name.
        other: Stem → name.
        what: The first, in words.
        partner: The second, in words, with the folder.
    """
    if single := [name for stem, name in one.items() if stem not in other]:
        named = ", ".join(single[:3]) + (", …" if len(single) > 3 else "")
        raise ValueError(f"{len(single)} {what} without a {partner}: {named}; add what is missing, or take these out of data.root")


def split_folders(root: Path, inside: str | None) -> list[tuple[str | None, Path]]:
    """(split, folder): ``train``, ``val`` and ``test`` where ``root`` has them, else ``root`` itself.

    Args:
        root: Of the data.
        inside: A folder that ``root`` holds where it is not split.

    Raises:
        ValueError: There is no such root, or it holds neither.
    """
    if not root.is_dir():
        raise ValueError(f"there is no folder {root}; correct data.root")
    if inside is not None and (root / inside).is_dir():
        return [(None, root)]
    parts = [(name, root / name) for name in SPLITS if (root / name).is_dir()]
    if not parts and inside is not None:
        raise ValueError(f"{root} holds neither {inside}/ nor train/ and test/; correct data.root, or set data=tagged or data=table")
    return [*parts] or [(None, root)]
