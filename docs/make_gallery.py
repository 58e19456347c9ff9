"""Train every application for some minutes on the built-in cells and write docs/gallery.md: picture, command and test figures of each.

``python docs/make_gallery.py [--only NAME ...] [--runs NAME=RUN ...] [--minutes M] [--folder FOLDER]``

``--runs`` takes a finished run instead of training; the entries on real images need that, and stay as they are without it. What an entry
says is read from its run folder and kept in docs/gallery/gallery.json, from which the page is written. Which entries there are stands in
docs/gallery/entries.yaml.
"""

import argparse
import io
import json
import logging
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from PIL import Image, ImageFile

from im2im.report.notation import duration, metric_label, number

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "gallery"
RECORD, PAGE = FOLDER / "gallery.json", ROOT / "docs" / "gallery.md"
WIDTH = 1000  # pixels of a picture at most
LARGEST = 145_000  # bytes of a picture at most
QUALITIES = (90, 85, 80, 70, 60, 50, 40, 30, 20)
METRICS = 3
LINE = 120  # characters of a command
PLACES = {"data.root": "DATA", "init": "RUN"}  # what stands for a path in a command
DROPPED = ("hydra.", "output_dir")
BUILT_IN = "im2im.data.index.Synthetic"
HEAD = """# Gallery

One test image of each application, the one of median score: source | target | prediction | error. Networks are small and were trained for
minutes, so that anybody can repeat it; what longer trainings reach on real images stands in [results.md](results.md). All but the entries
on real images use the built-in cells, and need no download. Every figure is read from its run folder.

`python docs/make_gallery.py` trains them all and writes this page; `--only NAME` one of them, `--minutes 1` a shorter look.
"""

log = logging.getLogger("gallery")


@dataclass(frozen=True)
class Entry:
    """One application.

    Args:
        title: Of its section.
        seen: What the picture shows.
        settings: Of the command line.
        minutes: Of training.
        data: Folder name of the real images that it needs; None for the built-in cells.
        attribution: Of real images.
    """

    title: str
    seen: str
    settings: Sequence[str]
    minutes: float = 4
    data: str | None = None
    attribution: str = ""

    def arguments(self, minutes: float | None = None) -> list[str]:
        """Give the whole command line but ``python -m im2im``."""
        if self.data is not None:
            return [*self.settings]
        seconds = max(round(60 * (self.minutes if minutes is None else minutes)), 1)
        time = f"{seconds // 86400:02d}:{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        return [*self.settings, "max_epochs=1000", f"max_time={time}"]


ENTRIES = {name: Entry(**node) for name, node in yaml.safe_load((FOLDER / "entries.yaml").read_text()).items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Renew the chosen entries, one after the other, and write the page; one that fails stays as it was."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given = parsed(arguments)
    runs = {name: Path(folder) for name, _, folder in (text.partition("=") for text in given.runs)}
    if unknown := [name for name in (*given.only, *runs) if name not in ENTRIES]:
        raise SystemExit(f"no such entry, got {unknown[0]}; choose among {', '.join(ENTRIES)}")
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in given.only or ENTRIES:
            if ENTRIES[name].data is not None and name not in runs:
                log.info("%s stays as it is: --runs %s=RUN takes a run on these images", name, name)
                continue
            try:
                renew(name, runs.get(name) or trained(name, Path(given.folder or temporary), given.minutes), FOLDER)
            except subprocess.CalledProcessError as error:
                log.error("%s stays as it is: %s", name, error)
                failed.append(name)
            PAGE.write_text(page(json.loads(RECORD.read_text())))
    if failed:
        raise SystemExit(f"{len(failed)} entries failed: {', '.join(failed)}")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help=", ".join(ENTRIES))
    parser.add_argument("--runs", nargs="+", default=[], metavar="NAME=RUN", help="finished runs, which are not trained again")
    parser.add_argument("--minutes", type=float, help="of training of each entry, instead of its own")
    parser.add_argument("--folder", help="where run folders are kept; they are thrown away unless given")
    return parser.parse_args(arguments)


def trained(name: str, folder: Path, minutes: float | None) -> Path:
    """Train one entry in a process of its own; gives its run folder."""
    run = (folder / name).absolute()
    settings = ENTRIES[name].arguments(minutes)
    log.info("%s", command(settings))
    subprocess.run([sys.executable, "-m", "im2im", *settings, f"hydra.run.dir={run}"], cwd=ROOT, check=True)
    return run


def renew(name: str, run: Path, folder: Path) -> None:
    """Put the picture of a run into a folder and what its entry says into the record there.

    Raises:
        ValueError: If the run is on other images than the entry's, or was not made by one command.
    """
    require_data(ENTRIES[name], run)
    (picture,) = (run / "samples").glob("test_median_*.png")
    metrics = json.loads((run / "metrics.json").read_text())
    path, record = folder / "gallery.json", {}
    if path.exists():
        record = json.loads(path.read_text())
    record[name] = {
        "picture": f"{name}.jpg",
        "settings": settings_of(run),
        "test": {metric: {key: entry[key] for key in ("mean", "n")} for metric, entry in list(metrics["test"].items())[:METRICS]},
        "train": metrics["train"],
    }
    (folder / f"{name}.jpg").write_bytes(shrunk(picture))
    path.write_text(json.dumps({key: record[key] for key in ENTRIES if key in record}, indent=1) + "\n")


def require_data(entry: Entry, run: Path) -> None:
    """Raise ValueError unless a run is on the images of an entry: pictures of others may not be shown."""
    data = yaml.safe_load((run / "config.yaml").read_text())["data"]
    shown = data["module"]["images"]["_target_"] == BUILT_IN if entry.data is None else Path(str(data["root"])).name == entry.data
    if not shown:
        raise ValueError(f"{run} is on images of {data['root']}, which are not those of '{entry.title}'; give another run")


def settings_of(run: Path) -> list[str]:
    """Give the command line that made a run, without paths."""
    settings = []
    for override in yaml.safe_load((run / ".hydra" / "overrides.yaml").read_text()):
        key, _, value = override.partition("=")
        if key == "run":
            raise ValueError(f"{run} went on with another run, got {override}; give one that was made by a single command")
        if not key.startswith(DROPPED):
            settings.append(f"{key}={PLACES.get(key, value)}")
    return settings


def shrunk(path: Path) -> bytes:
    """Scale a picture down to the width of the page and write it as a JPEG that is not too large."""
    picture = Image.open(path).convert("RGB")
    ImageFile.MAXBLOCK = 1 << 24  # what may be held while a picture is optimized
    picture.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
    for quality in QUALITIES:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, optimize=True, subsampling=0)
        if file.tell() <= LARGEST:
            break
    return file.getvalue()


def command(settings: Sequence[str]) -> str:
    """Write a command line, broken between its arguments where it is long."""
    lines = ["python -m im2im"]
    for word in map(shlex.quote, settings):
        if len(lines[-1]) + len(word) > LINE:
            lines[-1] += " \\"
            lines.append(" ")
        lines[-1] += f" {word}"
    return "\n".join(lines)


def page(record: Mapping[str, Any]) -> str:
    """Write the page from the record; entries without one are left out."""
    return "\n".join([HEAD, *(section(ENTRIES[name], record[name]) for name in ENTRIES if name in record)])


def section(entry: Entry, told: Mapping[str, Any]) -> str:
    """Write one entry."""
    train = told["train"]
    rows = "\n".join(f"| {metric_label(name)} | {number(one['mean'])} | {one['n']} |" for name, one in told["test"].items())
    parts = [
        f"## {entry.title}",
        entry.seen,
        f"![{entry.title}: {entry.seen}](gallery/{told['picture']})",
        *([f"*{entry.attribution}*"] if entry.attribution else []),
        f"```\n{command(told['settings'])}\n```",
        f"| test | mean | n |\n|---|---|---|\n{rows}",
        f"Training: {duration(train['seconds'])}, {train['epochs']} epoch{'s' * (train['epochs'] != 1)}, {train['device']}.",
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
