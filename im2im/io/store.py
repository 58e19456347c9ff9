"""What was once found out about files, kept beside them until they change."""

import json
import logging
import math
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

log = logging.getLogger(__name__)

Fact: TypeAlias = Any  # plain containers, numbers and text, as JSON holds them
Key: TypeAlias = tuple[str, str]  # files and what is known of them

NAME = "im2im-index.sqlite"
TABLE = "facts_1"  # another name whenever facts change their meaning
COLUMNS = "files TEXT, what TEXT, stamps TEXT, fact BLOB, PRIMARY KEY (files, what)"
STILL = 5.0  # seconds in which a folder is taken for unchanged
PATIENCE = 60.0  # seconds with another process that writes


class Store:
    """Facts about files in one SQLite file, shared by all processes; where it cannot be written, facts last as long as this object.

    A fact is found again while size and time of change of all its files are what they were. Files in the folder of the store are known by
    their place in it, so that data can be moved together with their store.

    Args:
        path: Of the SQLite file; None keeps nothing on disk.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = Lock()
        self._waiting: dict[Key, tuple[str, bytes]] = {}  # stamps and fact
        self._written = time.monotonic()
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()
        self._folders: dict[Path, tuple[float, list[int]]] = {}  # when they were looked through, and their stamps

    def __reduce__(self) -> tuple[type["Store"], tuple[Path | None]]:
        """Let other processes open the file themselves."""
        return Store, (self.path,)

    def remember(self, files: Sequence[Path], what: str, find: Callable[[], Fact | None]) -> Fact | None:
        """Give a fact about files, found out now unless it is known; nothing is written yet.

        Args:
            files: What the fact depends on.
            what: Says what the fact is, with every setting that it depends on.
            find: Finds it out; None is given back, but not kept.
        """
        found = [self._stamp(file) for file in files]
        if None in found or " at 0x" in what:  # images in memory, parts that do not say what they are
            return find()
        key, stamps = (json.dumps([self._name(file) for file in files]), what), json.dumps(found)
        with self._lock:
            known = self._waiting.get(key) or self._read(key)
        if known is not None and known[0] == stamps:
            return json.loads(zlib.decompress(known[1]))
        fact = find()
        if fact is not None:
            with self._lock:
                self._waiting[key] = stamps, zlib.compress(json.dumps(fact).encode(), 1)
        return fact

    def write(self, every: float = 0.0) -> None:
        """Write down what waits for it, unless that was done less than ``every`` seconds ago."""
        with self._lock:
            if self.path is not None and self._waiting and time.monotonic() - self._written >= every:
                self._write(self.path)

    def freeze(self) -> None:
        """Write nothing from now on."""
        self._written = math.inf

    def _stamp(self, file: Path) -> list[int] | None:
        """Give the stamp of a file; that of a folder, which takes long to find, holds for some seconds."""
        known = self._folders.get(file)
        if known is not None and time.monotonic() - known[0] < STILL:
            return known[1]
        found = stamp(file)
        if found is not None and len(found) > 2:
            self._folders[file] = time.monotonic(), found
        return found

    def _name(self, file: Path) -> str:
        whole, folder = os.path.abspath(file), "" if self.path is None else os.path.join(os.path.abspath(self.path.parent), "")
        return whole.removeprefix(folder) if folder else whole

    def _read(self, key: Key) -> tuple[str, bytes] | None:
        if self.path is None or not self.path.is_file():
            return None
        try:
            return self._open(self.path).execute(f"SELECT stamps, fact FROM {TABLE} WHERE files = ? AND what = ?", key).fetchone()
        except sqlite3.Error as error:
            if "no such table" not in str(error):  # it was only begun, or is of another version
                self._give_up(error)
            return None

    def _write(self, path: Path) -> None:
        self._written = time.monotonic()
        if not may_write(path):
            log.info("%s is read-only: what is found out about images is not kept; data.index=FILE keeps it elsewhere", path.parent)
            self.freeze()
            return
        try:
            with self._open(path) as connection:
                connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} ({COLUMNS}) WITHOUT ROWID")
                rows = [(*key, *value) for key, value in self._waiting.items()]
                connection.executemany(f"INSERT OR REPLACE INTO {TABLE} VALUES (?, ?, ?, ?)", rows)
            self._waiting = {}
        except sqlite3.Error as error:
            log.warning("%s cannot be written (%s): what is found out from now on is not kept", path, error)
            self.freeze()

    def _open(self, path: Path) -> sqlite3.Connection:
        """Connect, for reading only where the folder is not to be written to; a process that was forked connects anew."""
        if self._connection is None or self._process != os.getpid():
            location = Path(os.path.abspath(path)).as_uri() + ("" if may_write(path) else "?mode=ro&immutable=1")
            self._connection, self._process = sqlite3.connect(location, PATIENCE, check_same_thread=False, uri=True), os.getpid()
        return self._connection

    def _give_up(self, error: sqlite3.Error) -> None:
        log.warning("%s cannot be used (%s); delete it to have a new one", self.path, error)
        self.path, self._connection = None, None


def stamp(file: Path) -> list[int] | None:
    """Give size and time of change of a file, of a folder those of all files in it together; None where there is none."""
    try:
        if not os.path.isdir(file):
            found = os.stat(file)
            return [found.st_size, found.st_mtime_ns]
        inside = [os.stat(os.path.join(folder, name)) for folder, _, names in os.walk(file) for name in names]
    except OSError:
        return None
    return [sum(one.st_size for one in inside), max((one.st_mtime_ns for one in inside), default=0), len(inside)]


def may_write(path: Path) -> bool:
    """Tell whether a file can be made or changed; a folder that is marked read-only is left alone, whoever asks."""
    folder = path.parent
    open_to_all = folder.is_dir() and bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)
    return open_to_all and (not path.exists() or os.access(path, os.W_OK))
