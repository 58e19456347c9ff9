"""The sweeper of a plain ``-m``: every combination, then a page that compares them."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn, JobStatus

from im2im.report.notation import MISSING, clock, number
from im2im.search.ranking import TimeLeft, show_ranking
from im2im.settings import announce

log = logging.getLogger(__name__)


class GridSweeper(BasicSweeper):
    """Runs every combination as Hydra does, and writes comparison.html, whatever failed."""

    __module__ = "hydra_plugins.im2im"  # where Hydra takes plugins from

    def sweep(self, arguments: list[str]) -> Any:
        """Run every combination.

        Args:
            arguments: Of the command line, but for what is Hydra's own.
        """
        assert self.config is not None
        assert self.launcher is not None
        announce(self.config, mode="grid")
        kept = _Telling(self.launcher, lambda: sum(map(len, self.overrides or [])))
        self.launcher = kept  # type: ignore[assignment]
        try:
            return super().sweep(arguments)
        finally:
            rank(kept.returns, kept.seconds)
            compare(kept.returns, Path(self.config.hydra.sweep.dir))


class _Telling:
    """A launcher that keeps what came of its jobs, and says which one begins and what it came to.

    Args:
        launcher: The one that was chosen.
        count: Jobs of the sweep; tells their number once the sweep knows it.
    """

    def __init__(self, launcher: Any, count: Callable[[], int]) -> None:
        self.launcher, self.count, self.returns, self.seconds = launcher, count, list[JobReturn](), list[float]()
        self.left: TimeLeft | None = None

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Launch jobs; Hydra's basic launcher trains them one after the other in any case, so it gets them one by one."""
        self.left = self.left or TimeLeft(self.count())
        jobs, names = [list(one) for one in job_overrides], differing(job_overrides)
        size = 1 if isinstance(self.launcher, BasicLauncher) else len(jobs)
        returns: list[JobReturn] = []
        for first in range(0, len(jobs), size):
            places = range(first, min(first + size, len(jobs)))
            for place in places:
                log.info("trial %d of %d: %s", initial_job_idx + place + 1, self.count(), names[place])
            start = time.monotonic()
            found = self.launcher.launch(jobs[first : first + size], initial_job_idx + first)
            self.seconds += [time.monotonic() - start] * len(found)
            left = self.left.add(len(found))
            for place, one in zip(places, found, strict=True):
                log.info("trial %d of %d: %s%s", initial_job_idx + place + 1, self.count(), told(one), left)
            returns += found
        self.returns += returns
        return returns


def told(returned: JobReturn) -> str:
    """Say what came of a job: its score, or why it failed."""
    from im2im.app import one_line

    if returned.status != JobStatus.COMPLETED:
        return f"failed: {one_line(returned._return_value)}"
    metric, value = score(returned)
    return "done" if value is None else f"{metric} {number(value)}"


def score(returned: JobReturn) -> tuple[str, float | None]:
    """Give the name and the value of the task's metric: of the test images, of the validation where there are none."""
    if returned.status != JobStatus.COMPLETED or not isinstance(found := returned.return_value, dict) or returned.cfg is None:
        return "", None
    monitor = str(returned.cfg.quality.monitor)
    name = monitor.rpartition("/")[2]
    if (mean := found.get("test", {}).get(name, {}).get("mean")) is not None:
        return f"test/{name}", float(mean)
    return monitor, found.get("val", {}).get(monitor)


def rank(returns: Sequence[JobReturn], seconds: Sequence[float]) -> None:
    """Print what ended as one table, the best first; jobs that were not scored last.

    Args:
        returns: Of all jobs.
        seconds: How long each took.
    """
    names, scores = differing([list(one.overrides or []) for one in returns]), [score(one) for one in returns]
    metrics = [metric for metric, value in scores if value is not None]
    if not metrics:
        return
    best = next(one.cfg.quality.mode for one, (_, value) in zip(returns, scores, strict=True) if value is not None and one.cfg is not None)
    sign = -1 if best == "max" else 1
    known = [math.inf if value is None or math.isnan(value) or metric != metrics[0] else sign * value for metric, value in scores]
    rows = []
    for place in sorted(range(len(returns)), key=lambda place: known[place]):
        hydra = returns[place].hydra_cfg
        folder = MISSING if hydra is None else Path(str(hydra.hydra.runtime.output_dir)).name
        shown = number(sign * known[place]) if math.isfinite(known[place]) else MISSING
        rows.append([shown, clock(seconds[place]), folder, names[place]])
    show_ranking(f"{len(metrics)} of {len(returns)} trials were scored", [metrics[0], "time", "folder", "what changed"], rows)


def compare(returns: Sequence[JobReturn], folder: Path) -> None:
    """Write the page of what ended, where at least two runs were scored."""
    from im2im.app import one_line
    from im2im.report.comparison import read_run, write_comparison

    names = differing([list(one.overrides or []) for one in returns])
    done = [one.status == JobStatus.COMPLETED for one in returns]
    places = [Path(str(one.hydra_cfg.hydra.runtime.output_dir)) if one.hydra_cfg is not None else None for one in returns]
    found = [read_run(name, place) for name, place, fine in zip(names, places, done, strict=True) if place is not None and fine]
    runs = [run for run in found if run is not None and run.images.size]
    failed = [(name, one_line(one._return_value)) for name, one, fine in zip(names, returns, done, strict=True) if not fine]
    if len(runs) > 1:
        log.info("comparison: %s", write_comparison(runs, failed, folder))


def differing(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Name jobs by the settings that not all of them have."""
    common = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
    return [" ".join(setting for setting in job if setting not in common) or "run" for job in jobs]
