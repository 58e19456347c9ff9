"""Two ways of doing the same, side by side, interleaved; and what came out."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

CLOCKS = {"s": time.perf_counter, "CPU s": time.process_time}


@dataclass(frozen=True)
class Result:
    """One figure against its bar.

    Args:
        row: Of the table.
        path: What is measured.
        peer: What it is compared with.
        ours: Figure of this project, in ``unit``.
        theirs: Figure of the peer.
        unit: "s", "CPU s", "MB", "calls" …
        figure: What the bar is about: a ratio, or ``ours`` itself.
        bar: What ``figure`` must not exceed.
        note: Why it does, where it does.
    """

    row: int
    path: str
    peer: str
    ours: float
    theirs: float
    unit: str
    figure: float
    bar: float
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the figure is within the bar."""
        return self.figure <= self.bar


def ratio(
    row: int, path: str, peer: str, work: tuple[Callable[[], object], Callable[[], object]], bar: float, runs: int = 7, unit: str = "CPU s"
) -> Result:
    """Time ours and the peer's work in turns and compare the medians, ours / peer."""
    ours, theirs = medians(*work, runs=runs, unit=unit)
    return Result(row, path, peer, ours, theirs, unit, ours / theirs, bar)


def medians(*works: Callable[[], object], runs: int = 7, unit: str = "CPU s") -> list[float]:
    """Time several pieces of work in turns, after each has run once; gives the median of each."""
    for work in works:
        work()
    return [statistics.median(times) for times in zip(*([timed(work, unit) for work in works] for _ in range(runs)), strict=True)]


def timed(work: Callable[[], object], unit: str = "CPU s") -> float:
    """Time one call."""
    clock = CLOCKS[unit]
    start = clock()
    work()
    return clock() - start


def report(results: list[Result]) -> None:
    """Print each result in a line, the ratio last, and add all to the file that the caller asked for."""
    import sys

    for result in results:
        reached = "reached" if result.reached else f"missed: {result.note}"
        print(
            f"{result.row:2d} {result.path}: {result.ours:.4g} {result.unit}, {result.peer} {result.theirs:.4g} {result.unit}; "
            f"bar {result.bar:g}, {reached}; {result.figure:.3g}"
        )
    if "--json" in sys.argv:
        path = Path(sys.argv[sys.argv.index("--json") + 1])
        path.write_text(json.dumps([asdict(result) for result in results]))
