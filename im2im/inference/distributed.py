"""One large image predicted by many workers, on this machine or on a cluster, through dask."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from im2im.inference.streaming import Job, work_through
from im2im.inference.tiling import TiledInference

log = logging.getLogger(__name__)

RETRIES = 2  # of a tile whose worker fails


@dataclass(frozen=True)
class DaskInference(TiledInference):
    """As :class:`TiledInference`; images that are predicted to files go to the workers of dask, tile by tile.

    Workers need im2im, and the folders of input and output under the same paths. Each writes chunks of its own; the tiles of a worker that
    is lost are done again by another.

    Args:
        scheduler: Address of a running scheduler, such as tcp://host:8786; None starts workers on this machine.
        workers: How many, where they are started here; None: one for each core.
    """

    scheduler: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no workers can be."""
        super().__post_init__()
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"dask needs a worker at least, got {self.workers}; raise inference.workers, or set it to null")

    def streams(self, needed: int) -> bool:
        """Every image is predicted tile by tile."""
        return True

    def budget(self, device: torch.device | str = "cpu") -> int:
        """Tell how many bytes one worker may take: workers that are started here share the memory."""
        return super().budget(device) // (self._started_here if self.scheduler is None else 1)

    @property
    def _started_here(self) -> int:
        return self.workers or os.cpu_count() or 1

    def work(self, job: Job, numbers: Sequence[int]) -> Iterator[int]:
        """Let workers predict and write tiles; gives the number of each once it is written. The first is done here and makes the files."""
        yield from work_through(job, numbers[:1], self.run)
        if len(numbers) < 2:
            return
        with self._client() as client:
            from distributed import KilledWorker, as_completed

            threads = sum(client.nthreads().values())
            log.info("%d workers of dask predict tiles, %d threads in all: %s", len(client.nthreads()), threads, client.dashboard_link)
            shared = client.scatter(replace(job), broadcast=True)  # type: ignore[type-var]
            futures = client.map(predict_tile, numbers[1:], job=shared, pure=False, retries=RETRIES)
            try:
                for future in as_completed(futures):
                    yield future.result()
            except KilledWorker as error:
                raise ValueError(
                    "workers of dask were ended again and again, mostly for lack of memory; lower inference.memory or inference.workers"
                ) from error

    @contextmanager
    def _client(self) -> Iterator[Any]:
        try:
            from distributed import Client, LocalCluster
        except ImportError as error:
            raise ValueError(
                'inference=dask needs dask.distributed; pip install "microscopy-im2im[dask]", or set inference=tiled'
            ) from error
        if self.scheduler is not None:
            try:
                client = Client(self.scheduler, timeout="10s")
            except OSError as error:
                raise ValueError(
                    f"no scheduler of dask answers, got inference.scheduler={self.scheduler}; start one, or set it to null"
                ) from error
            with client:
                yield client
            return
        with LocalCluster(n_workers=self._started_here, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
            yield client


def predict_tile(number: int, job: Any) -> int:
    """Predict and write one tile in a worker; gives its number."""
    torch.set_num_threads(1)
    (done,) = work_through(job, [number], job.framework.inference.run)
    return done
