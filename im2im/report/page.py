"""One self-contained page about one run, made from its folder alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

from im2im.files import replacing
from im2im.report.markup import command, section
from im2im.report.notation import duration
from im2im.report.provenance import configuration, data, environment
from im2im.report.record import Record, read_record
from im2im.report.results import headline, results
from im2im.report.selection import selection
from im2im.report.training import training


def write_page(run: Path, commands: Mapping[str, str] | None = None) -> Path:
    """Write ``report.html`` into a run folder: a page without scripts that needs no other file and no network.

    Args:
        run: The run folder; what is missing in it is left out of the page.
        commands: What can be done with the run → the command line for it.

    Returns:
        Path of the page.
    """
    record = read_record(run)
    body = [
        headline(record),
        _unreadable(record),
        results(record),
        training(record),
        selection(record),
        section("Use this run", *(command(purpose, line) for purpose, line in (commands or {}).items())),
        data(record),
        configuration(record),
        environment(record),
    ]
    return write_html(run / "report.html", _title(record), _facts(record), body)


def write_html(path: Path, title: str, facts: Iterable[str], body: Iterable[str]) -> Path:
    """Write a page.

    Args:
        path: Where to.
        title: Of the page.
        facts: Below the title; empty ones are left out.
        body: Sections, HTML.

    Returns:
        The path.
    """
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    header = f"<header><h1>{escape(title)}</h1><p>{escape(' · '.join(fact for fact in facts if fact))}</p></header>"
    written = datetime.now().strftime("%Y-%m-%d %H:%M")
    text = template.substitute(title=escape(title), body="\n".join([header, *body]), written=written)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")  # file names may hold bytes that are no text
    return path


def _title(record: Record) -> str:
    """Task, network and framework, as far as they are known; else the name of the folder."""
    names = [record.choice(group) for group in ("task", "network", "framework")]
    return " · ".join(name for name in names if name) or record.run.absolute().name


def _facts(record: Record) -> list[str]:
    train = record.section("train")
    epochs, seconds, device = (train.get(key) for key in ("epochs", "seconds", "device"))
    course = f"{epochs} epochs" if epochs is not None else ""
    if isinstance(seconds, int | float):
        course = f"{course or 'trained'} in {duration(float(seconds))}" + (f" on {device}" if device else "")
    return [record.started(), course, str(record.run)]


def _unreadable(record: Record) -> str:
    return f'<p class="warning">Could not be read: {escape(", ".join(record.unreadable))}.</p>' if record.unreadable else ""
