"""Replacing files without a moment in which a half-written one carries the final name."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes ``path``, file or folder, once the block ends without an error.

    The temporary path lies in the same folder, is hidden and keeps the suffixes; after an error it is removed and
    ``path`` stays as it was. The folder is made if need be. ::

        with replacing(folder / "metrics.json") as temporary:
            temporary.write_text(text)

    Raises:
        OSError: The folder cannot be made or written to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _sibling(path)
    try:
        yield temporary
        _move(temporary, path)
    finally:
        _remove(temporary)


def _sibling(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(4)}.{path.name}")


def _move(temporary: Path, path: Path) -> None:
    if not (path.is_dir() and temporary.is_dir()):  # a file over a folder is refused by the system, and nothing is lost
        os.replace(temporary, path)
        return
    # A folder cannot be replaced in one step: the old one moves aside, and back if the new one does not arrive.
    aside = _sibling(path)
    os.replace(path, aside)
    try:
        os.replace(temporary, path)
    except OSError:
        os.replace(aside, path)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
