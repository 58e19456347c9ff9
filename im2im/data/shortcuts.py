"""What spares a second look into files: an index of what was found out, and decoded copies of what is slow to read."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from im2im.data.side import Side
from im2im.io.decoded import DecodedReader
from im2im.io.record import RecordedReader
from im2im.io.store import NAME, Store


@dataclass(frozen=True)
class Shortcuts:
    """Says what is kept of some data, and where.

    Args:
        root: The folder of the data, or a table in it; None for data that are not on disk.
        index: True for a file beside the data, False for none, else a file.
        cache: A folder for decoded copies; None decodes again each time.
        cache_limit: GB that all decoded copies may take.

    Raises:
        ValueError: There is no limit to the copies.
    """

    root: str | None = None
    index: bool | str = False
    cache: str | None = None
    cache_limit: float = 50.0

    def __post_init__(self) -> None:
        """Refuse copies that may take no room."""
        if not self.cache_limit > 0:
            raise ValueError(f"decoded images take room, got data.cache_limit={self.cache_limit} GB; raise it, or set data.cache=null")

    @cached_property
    def store(self) -> Store:
        """What is known of the data."""
        if isinstance(self.index, str):
            path = Path(self.index).expanduser()
            if path.is_dir() or not path.absolute().parent.is_dir():
                raise ValueError(
                    f"the index is a file in a folder that is there, got data.index={self.index}; correct it, or set data.index=true"
                )
            return Store(path)
        if not self.index or self.root is None:
            return Store()
        folder = Path(self.root).expanduser()
        return Store((folder if folder.is_dir() else folder.parent) / NAME)

    def side(self, side: Side) -> Side:
        """Give the side with a reader that takes them."""
        reader: Any = RecordedReader(side.reader, self.store)
        if self.cache is not None:
            reader = DecodedReader(reader, Path(self.cache).expanduser(), self.cache_limit)
        return replace(side, reader=reader)
