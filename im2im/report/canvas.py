"""Pictures and their captions laid out on one white sheet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, QUIET = (28, 30, 34), (92, 97, 106)
_ASCII = str.maketrans({"µ": "u", "−": "-", "–": "-"})  # the font that comes with Pillow has no others


@dataclass(frozen=True)
class Cell:
    """One picture of a strip.

    Args:
        name: What it is.
        detail: Drawn below the name from left to right: text, and small uint8 RGB pictures such as a colour bar.
        pictures: uint8 RGB arrays, drawn below each other.
    """

    name: str
    detail: tuple[str | np.ndarray, ...]
    pictures: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Strip:
    """A row of cells under a title and a note that holds for all of them."""

    title: str
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Layout:
    """Widths of the columns and size of the letters, the same for all strips of a sheet."""

    columns: tuple[int, ...]
    letters: int

    @classmethod
    def of(cls, strips: list[Strip]) -> Layout:
        """Columns as wide as their widest picture or caption; letters that stay readable when the sheet is shown smaller."""
        letters = max(13, max(picture.shape[1] for strip in strips for cell in strip.cells for picture in cell.pictures) // 21)
        columns = [0] * max(len(strip.cells) for strip in strips)
        for strip in strips:
            for index, cell in enumerate(strip.cells):
                columns[index] = max(columns[index], _cell_width(cell, letters))
        return cls(tuple(columns), letters)

    @property
    def gap(self) -> int:
        """Between columns, and around everything."""
        return self.letters

    @property
    def line(self) -> int:
        """Height of a line of text."""
        return round(self.letters * 1.45)

    @property
    def width(self) -> int:
        """Of the whole sheet."""
        return sum(self.columns) + self.gap * (len(self.columns) + 1)

    def head(self, strip: Strip) -> int:
        """Height of the title and the note of a strip."""
        return self.line * (bool(strip.title) + bool(strip.note)) + (self.gap // 2 if strip.title or strip.note else 0)

    def height(self, strip: Strip) -> int:
        """Of one strip with the space below it."""
        pictures = max(sum(picture.shape[0] + self.gap // 3 for picture in cell.pictures) for cell in strip.cells)
        return self.head(strip) + 2 * self.line + pictures + self.gap


def draw(strips: list[Strip]) -> np.ndarray:
    """Draw strips below each other.

    Returns:
        The sheet, uint8 YX3.
    """
    layout = Layout.of(strips)
    height = layout.gap + sum(layout.height(strip) for strip in strips)
    sheet = Image.new("RGB", (layout.width, height), (255, 255, 255))
    top = layout.gap
    for strip in strips:
        _draw_strip(sheet, strip, layout, top)
        top += layout.height(strip)
    return np.asarray(sheet)


def _draw_strip(sheet: Image.Image, strip: Strip, layout: Layout, top: int) -> None:
    pen, line = ImageDraw.Draw(sheet), top
    for text, colour in ((strip.title, INK), (strip.note, QUIET)):
        if text:
            pen.text((layout.gap, line), fit(text, layout.letters, layout.width - 2 * layout.gap), colour, _font(layout.letters))
            line += layout.line
    left = layout.gap
    for cell, width in zip(strip.cells, layout.columns, strict=False):
        _draw_cell(sheet, cell, layout, (left, top + layout.head(strip)))
        left += width + layout.gap


def _draw_cell(sheet: Image.Image, cell: Cell, layout: Layout, corner: tuple[int, int]) -> None:
    left, top = corner
    pen, font = ImageDraw.Draw(sheet), _font(layout.letters)
    pen.text((left, top), _plain(cell.name), INK, font)
    across = left
    for part in cell.detail:
        if isinstance(part, str):
            pen.text((across, top + layout.line), _plain(part), QUIET, font)
        else:
            sheet.paste(_bar(part, layout.letters), (across, top + layout.line + layout.letters // 5))
        across += _part_width(part, layout.letters)
    below = top + 2 * layout.line
    for picture in cell.pictures:
        sheet.paste(Image.fromarray(picture), (left, below))
        below += picture.shape[0] + layout.gap // 3


def fit(text: str, letters: int, width: int) -> str:
    """Shorten a text in its middle until it is at most ``width`` pixels wide; beginning and end tell names apart."""
    text, kept = _plain(text), len(text)
    short = text
    while _font(letters).getlength(short) > width and kept > 2:
        kept -= 1
        short = text[: (kept + 1) // 2] + "…" + text[len(text) - kept // 2 :]
    return short


def _cell_width(cell: Cell, letters: int) -> int:
    detail = sum(_part_width(part, letters) for part in cell.detail)
    return max(detail, _part_width(cell.name, letters), *(picture.shape[1] for picture in cell.pictures))


def _part_width(part: str | np.ndarray, letters: int) -> int:
    return int(_font(letters).getlength(_plain(part))) + letters // 3 if isinstance(part, str) else _bar(part, letters).width + letters // 3


def _bar(colours: np.ndarray, letters: int) -> Image.Image:
    """A small picture enlarged to the height of the letters, one letter wide for each 16 of its pixels."""
    width = max(letters * 4 // 5, letters * colours.shape[1] // 16)
    return Image.fromarray(colours).resize((width, letters * 4 // 5), Image.Resampling.NEAREST)


def _plain(text: str) -> str:
    return " ".join(text.translate(_ASCII).split())


@lru_cache(maxsize=8)
def _font(letters: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=letters)
