"""One line for whatever a decoder makes of a damaged file."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

# What decoders were seen to raise on files that are cut off, damaged or of another kind than their suffix says.
FAILURES = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    EOFError,
    RuntimeError,
    SyntaxError,
    struct.error,
    zlib.error,
    tifffile.TiffFileError,
)


class UnreadableImageError(ValueError):
    """A file that cannot be read as an image; the message is one line that names the file."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"Cannot read {os.fspath(path)}: {reason}")


def check_readable(path: Path) -> None:
    """Refuse paths that lead nowhere and empty files."""
    if not path.exists():
        raise UnreadableImageError(path, "there is no such file; correct the path in data.root or input")
    if path.is_file() and path.stat().st_size == 0:
        raise UnreadableImageError(path, "the file is empty (0 bytes); copy it again or take it out")


def first_line(error: BaseException) -> str:
    """What an error says, without further lines and references ("See …")."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].split(" See ")[0]


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what a decoder raises into an ``UnreadableImageError`` that names the file."""
    try:
        yield
    except UnreadableImageError:
        raise
    except FAILURES as error:
        missing = "imagecodecs" in str(error)  # tifffile says so of LZW and its like
        hint = "pip install imagecodecs" if missing else "check that the file is complete and is what its suffix says"
        raise UnreadableImageError(path, f"{first_line(error)}; {hint}") from error


@dataclass(frozen=True, eq=False)
class NamedArray:
    """A lazy array whose failures name the file it comes from.

    Args:
        array: Anything with a shape and a dtype that can be sliced (Zarr, dask).
        path: Of the file.
    """

    array: Any
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype:
        """Of the array."""
        return np.dtype(self.array.dtype)

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
        """The region, in memory."""
        with naming(self.path):
            return np.asarray(self.array[region])
