"""The sweeper of a plain ``-m``: every combination, then a page that compares them."""

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn, JobStatus

from im2im.report.notation import MISSING, clock, number
from im2im.search.ranking import SweepTimeLeft, show_ranking
from im2im.settings import announce

log = logging.getLogger(__name__)


class GridSweeper(BasicSweeper):
    """Runs every combination, then prints a ranking and writes comparison.html, also after failures and an interruption."""

    __module__ = "hydra_plugins.im2im"  # where Hydra takes plugins from

    def sweep(self, arguments: list[str]) -> Any:
        """Run every combination.

        Args:
            arguments: Of the command line, but for what is Hydra's own.

        Raises:
            ValueError: If a run failed; after all of them.
        """
        from im2im.app import one_line

        assert self.config is not None
        assert self.launcher is not None
        announce(self.config, mode="grid")
        launcher = LoggingLauncher(self.launcher, lambda: differing([job for batch in self.overrides or [] for job in batch]))
        self.launcher = launcher  # type: ignore[assignment]
        try:
            found = super().sweep(arguments)
        finally:
            rank(launcher.returns, launcher.names())
            compare(launcher.returns, launcher.names(), Path(self.config.hydra.sweep.dir))
        if errors := [one._return_value for one in launcher.returns if one.status != JobStatus.COMPLETED]:
            raise ValueError(f"{len(errors)} of {len(launcher.names())} trials failed, the first: {one_line(errors[0])}") from errors[0]
        return found


class LoggingLauncher:
    """A launcher that keeps what came of its jobs, and logs which one begins and what it came to.

    Args:
        launcher: The one that was chosen.
        names: Of all jobs of the sweep; tells them once the sweep knows them.
    """

    def __init__(self, launcher: Any, names: Callable[[], list[str]]) -> None:
        self.launcher, self.names, self.returns = launcher, names, list[JobReturn]()
        self.left: SweepTimeLeft | None = None

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Launch jobs; Hydra's basic launcher trains them one after the other in any case, so it gets them one by one.

        Returns:
            Of the jobs that did not fail: Hydra would print the others' errors again and leave out further jobs.
        """
        names, jobs = self.names(), [list(one) for one in job_overrides]
        self.left = self.left or SweepTimeLeft(len(names))
        size, known = 1 if isinstance(self.launcher, BasicLauncher) else len(jobs), len(self.returns)
        for first in range(0, len(jobs), size):
            numbers = [initial_job_idx + place for place in range(first, min(first + size, len(jobs)))]
            for place in numbers:
                log.info("trial %d of %d: %s", place + 1, len(names), names[place])
            found = self.launcher.launch(jobs[first : first + size], initial_job_idx + first)
            self.returns += found  # at once: the next job may be interrupted
            left = self.left.add(len(found))
            for place, one in zip(numbers, found, strict=True):
                log.info("trial %d of %d%s", place + 1, len(names), told(one, left))
        return [one for one in self.returns[known:] if one.status == JobStatus.COMPLETED]


def told(returned: JobReturn, left: str = "") -> str:
    """Say what came of a job: its scores and the time left of the others, or why it failed."""
    from im2im.app import one_line

    if returned.status != JobStatus.COMPLETED:
        return f" failed: {one_line(returned._return_value)}"
    scores = [f"{name} {number(value)}" for name, value in scores_of(returned).items()]
    return f": {', '.join(scores) or 'done'}{left}"


def scores_of(returned: JobReturn) -> dict[str, float]:
    """Give the metric that is monitored, as far as a run knows it: of its validation, then as ``test/NAME`` of its test images."""
    if returned.status != JobStatus.COMPLETED or not isinstance(found := returned.return_value, dict) or returned.cfg is None:
        return {}
    monitor = str(returned.cfg.quality.monitor)
    name = monitor.rpartition("/")[2]
    validation = {**found.get("train", {}).get("val", {}), **found.get("val", {})}
    known = {monitor: validation.get(monitor), f"test/{name}": found.get("test", {}).get(name, {}).get("mean")}
    return {key: float(value) for key, value in known.items() if value is not None and math.isfinite(value)}


def rank(returns: Sequence[JobReturn], names: Sequence[str]) -> None:
    """Print what ended as one table, the best first: by validation, or by test images where nothing else is known.

    Runs that lack that score, or monitor another metric than the first one, come last.

    Args:
        returns: Of the jobs that ended, in their order.
        names: Of all jobs.
    """
    scores = [scores_of(one) for one in returns]
    metrics = [metric for known in scores for metric in known]
    if not metrics:
        return
    by = next((metric for metric in metrics if not metric.startswith("test/")), metrics[0])
    settings: list[Any] = [one.cfg for one, known in zip(returns, scores, strict=True) if by in known]
    sign = -1 if settings[0].quality.mode == "max" else 1
    columns = list(dict.fromkeys([by, f"test/{by.rpartition('/')[2]}"]))
    rows = []
    for place in sorted(range(len(returns)), key=lambda place: sign * scores[place].get(by, sign * math.inf)):
        hydra = returns[place].hydra_cfg
        folder = MISSING if hydra is None else Path(str(hydra.hydra.runtime.output_dir)).name
        figures = [number(scores[place].get(metric, math.nan)) for metric in columns]
        rows.append([*figures, _time(returns[place]), folder, names[place]])
    title = f"{sum(map(bool, scores))} of {len(names)} trials were scored, ranked by "
    if by.startswith("test/"):
        title += "test images alone, so that no setting should be chosen by it"
    else:
        differ = len({str(cfg.patch_size) for cfg in settings}) > 1
        title += f"the validation of their best epochs{', whose patches differ in size' if differ else ''}"
    show_ranking(title, [*columns, "time", "folder", "what changed"], rows)


def _time(returned: JobReturn) -> str:
    """Write how long a run was trained."""
    found = returned.return_value if returned.status == JobStatus.COMPLETED else None
    seconds = found.get("train", {}).get("seconds") if isinstance(found, dict) else None
    return MISSING if seconds is None else clock(seconds)


def compare(returns: Sequence[JobReturn], names: Sequence[str], folder: Path) -> None:
    """Write the page of what ended, where at least two runs were scored."""
    from im2im.app import one_line
    from im2im.report.comparison import read_run, write_comparison

    names = names[: len(returns)]  # the others did not begin or were interrupted
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
