"""Row 8: listing 125,000 pairs, against looking for the partner of each in the list of all."""

import tempfile
import time
import tracemalloc
from pathlib import Path

from benchmarks.measure import Result, report
from im2im.io.pairing import Folders

PAIRS, FEW = 125_000, 2_000


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


def main() -> list[Result]:
    """Time one listing of many, and the peer on few, from which the many follow by the square."""
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
    ]


if __name__ == "__main__":
    report(main())
