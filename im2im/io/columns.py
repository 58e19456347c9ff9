"""Columns of a CSV or Parquet table, as text."""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from im2im.io.unreadable import check_readable, naming

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, list[str | None]]


def read_columns(path: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Columns:
    """Read a table; other columns than those named are ignored, letters may be small or capital.

    Args:
        path: A ``.csv`` (separated by comma, or by semicolon) or ``.parquet`` file.
        required: Columns whose every row has a value.
        optional: Columns of which all, or single values, may be missing.

    Returns:
        Column → one text per row, None where there is no value.

    Raises:
        ValueError: The table cannot be read or has no rows, or a required column or value is missing.
    """
    check_readable(path)
    with naming(path):
        frame = _frame(path)
    frame.columns = [str(column).strip().lower() for column in frame.columns]
    others = [column for column in frame.columns if column not in (*required, *optional)]
    for column in (*required, *optional):
        if column not in frame:
            _check_missing(path, column, others, column in required)
    if frame.empty:
        raise ValueError(f"{path} has no rows; list the images in it")
    columns = {column: _texts(frame, column) for column in (*required, *optional)}
    for column in required:
        if None in columns[column]:
            raise ValueError(f"{path} has no {column} in row {columns[column].index(None) + 1}; fill it in, or take the row out")
    return columns


def _frame(path: Path) -> "pd.DataFrame":
    import pandas as pd

    if path.suffix.lower() == ".parquet":
        return pd.read_parquet(path)
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    separator = ";" if ";" in header and "," not in header else ","
    return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _check_missing(path: Path, column: str, others: list[str], required: bool) -> None:
    near = get_close_matches(column, others, 1, 0.8)
    if near:
        raise ValueError(f"{path} has no column {column!r} but {near[0]!r}; did you mean {column!r}? Rename it")
    if required:
        raise ValueError(f"{path} has no column {column!r}, got {', '.join(others) or 'none besides known ones'}; add it to the table")


def _texts(frame: "pd.DataFrame", column: str) -> list[str | None]:
    return [_text(value) for value in frame[column]] if column in frame else [None] * len(frame)


def _text(value: Any) -> str | None:
    import pandas as pd

    if value is None or pd.isna(value):
        return None
    text = re.sub(r"^(\d+)\.0$", r"\1", str(value).strip())  # whole numbers of a column with gaps are floats
    return text or None
