"""Row 8: listing 125,000 pairs, against a search for each partner in the list of all; and opening images again, against the first time."""

import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.measure import Result, ratio, report
from im2im.data.fitting import fitted
from im2im.data.index import Entry, Files
from im2im.data.shortcuts import Shortcuts
from im2im.data.side import Side
from im2im.io.pairing import Folders
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.io.store import NAME
from im2im.normalization import Percentile

PAIRS, FEW, OPENED = 125_000, 2_000, 200


def make(folder: Path, count: int) -> Path:
    """Make empty files: listing looks into none."""
    for role in ("source", "target"):
        (folder / role).mkdir(parents=True)
        for index in range(count):
            (folder / role / f"cell_{index:06d}.tif").touch()
    return folder


def quadratic(folder: Path) -> int:
    """Pair by looking through all targets for each source."""
    targets = [path.name for path in (folder / "target").iterdir()]
    return sum(targets.index(path.name) >= 0 for path in (folder / "source").iterdir())


def opening(folder: Path) -> Result:
    """Open pairs of 512² and find their statistics, as the second run on some data does and as the first one does."""
    images = np.random.default_rng(0).integers(0, 4000, (OPENED, 512, 512), np.uint16)
    for role in ("source", "target"):
        (folder / role).mkdir(parents=True)
        for index, image in enumerate(images):
            tifffile.imwrite(folder / role / f"{index:03d}.tif", image)
    side = Side(AutoReader(), Selection(), Percentile(), 2)

    def entries() -> list[Entry]:
        files = Files(Folders(folder), shortcuts=Shortcuts(str(folder), index=True))
        opened = [entry for pair in files.pairs() for entry in files.open(pair, side, side)]
        return fitted(opened, side, side, keep=False, workers=1, store=files.shortcuts.store)

    def first() -> list[Entry]:
        (folder / NAME).unlink(missing_ok=True)
        return entries()

    known = [(entry.source_scale, entry.target_scale) for entry in first()]
    assert known == [(entry.source_scale, entry.target_scale) for entry in entries()]
    return ratio(8, f"opening {OPENED} pairs of 512² with their statistics, again", "the first time", (entries, first), 1.0, runs=5)


def main() -> list[Result]:
    """Time one listing of many, and the peer on few, from which the many follow by the square."""
    with tempfile.TemporaryDirectory() as name:
        again = opening(Path(name))
    with tempfile.TemporaryDirectory() as name:
        many, few = make(Path(name) / "many", PAIRS), make(Path(name) / "few", FEW)
        Folders(str(few))()
        start = time.perf_counter()
        pairs = Folders(str(many))()
        seconds = time.perf_counter() - start
        assert len(pairs) == PAIRS
        del pairs
        tracemalloc.start()
        kept = Folders(str(many))()
        assert len(kept) == PAIRS
        megabytes = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        start = time.perf_counter()
        assert quadratic(few) == FEW
        extrapolated = (time.perf_counter() - start) * (PAIRS / FEW) ** 2
    return [
        Result(8, "listing 125,000 pairs", "quadratic, extrapolated", seconds, extrapolated, "s", seconds, 2.0),
        Result(8, "the same, peak memory", "the bar", megabytes, 50.0, "MB", megabytes, 50.0),
        again,
    ]


if __name__ == "__main__":
    report(main())
