"""The sweeper of a plain ``-m``: every combination, then a page that compares them."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn, JobStatus

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
        kept = _Remembering(self.launcher)
        self.launcher = kept  # type: ignore[assignment]
        try:
            return super().sweep(arguments)
        finally:
            compare(kept.returns, Path(self.config.hydra.sweep.dir))


class _Remembering:
    """A launcher that keeps what came of its jobs."""

    def __init__(self, launcher: Any) -> None:
        self.launcher, self.returns = launcher, list[JobReturn]()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Launch jobs together."""
        returns = self.launcher.launch(job_overrides, initial_job_idx)
        self.returns += returns
        return returns


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
