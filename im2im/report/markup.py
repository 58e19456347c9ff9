"""The pieces of HTML that the page is made of; every text that comes from a run is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path


def section(title: str, *parts: str) -> str:
    """A heading and what stands below it; empty when there is nothing."""
    body = "".join(parts)
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def block(title: str, body: str, note: str = "") -> str:
    """A smaller heading, a plot or table, and a remark; empty without a body."""
    remark = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<div class="block"><h3>{escape(title)}</h3>{body}{remark}</div>' if body else ""


def grid(blocks: Iterable[str], size: str = "") -> str:
    """Blocks side by side where there is room, two in a row, or more of size ``small``."""
    body = "".join(blocks)
    return f'<div class="{f"grid {size}".strip()}">{body}</div>' if body else ""


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table whose first column is text and whose others are numbers; empty without rows."""
    if not rows:
        return ""
    heading = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = [f'<th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) for row in rows]
    return f"<table><thead><tr>{heading}</tr></thead><tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table>"


def facts(pairs: Mapping[str, str]) -> str:
    """Names and values below each other; those without a value are left out."""
    lines = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs.items() if value)
    return f'<dl class="facts">{lines}</dl>' if lines else ""


def picture(path: Path, caption: str) -> str:
    """A PNG file inside the page, with its caption."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    text = escape(caption)
    return f'<figure><figcaption>{text}</figcaption><img alt="{text}" src="data:image/png;base64,{data}"></figure>'


def folded(title: str, text: str) -> str:
    """Preformatted text that opens on a click; empty without text."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>" if text.strip() else ""


def command(purpose: str, text: str) -> str:
    """A command line to copy."""
    return f'<div class="command"><p>{escape(purpose)}</p><pre>{escape(text)}</pre></div>'
