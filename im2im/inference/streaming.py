"""Images larger than memory: tile after tile is read ahead, predicted, and written behind."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import groupby
from typing import Protocol, TypeVar

from torch import Tensor

from im2im.inference.averaging import Network
from im2im.inference.planning import Region, Tile
from im2im.networks.demand import Demand

Item = TypeVar("Item")
Run = Callable[[Network, Callable[[Region], Tensor], Sequence[Tile], Demand], Iterator[tuple[Tile, Tensor]]]


class Job(Protocol):
    """One image of some time points in tiles, which are numbered through all of them; can be pickled."""

    @property
    def network(self) -> Network:
        """BC(Z)YX → BC'(Z)YX."""
        ...

    @property
    def demand(self) -> Demand:
        """What the network asks of tiles."""
        ...

    def place(self, number: int) -> tuple[int, Tile]:
        """Tell time point and tile of a number."""
        ...

    def read(self, time: int, region: Region) -> Tensor:
        """Read a region of a time point as the network takes it, C(Z)YX."""
        ...

    def write(self, number: int, prediction: Tensor) -> None:
        """Keep the prediction C'(Z)YX of what a tile reads."""
        ...


def work_through(job: Job, numbers: Sequence[int], run: Run) -> Iterator[int]:
    """Predict tiles in this process.

    Args:
        job: Whose tiles.
        numbers: Which ones, ascending.
        run: Predicts tiles of one time point, reading ahead.

    Yields:
        The number of each tile once it is written.
    """
    for time, group in groupby(numbers, lambda number: job.place(number)[0]):
        these = list(group)
        results = run(job.network, partial(job.read, time), [job.place(number)[1] for number in these], job.demand)
        yield from one_behind(((number, prediction) for number, (_, prediction) in zip(these, results, strict=True)), job.write)


def one_behind(results: Iterable[tuple[int, Item]], write: Callable[[int, Item], None]) -> Iterator[int]:
    """Write each result in another thread while the next one is made; gives the number of each once it is written."""
    waiting: tuple[int, Future[None]] | None = None
    with ThreadPoolExecutor(1) as thread:
        for number, result in results:
            if waiting is not None:
                waiting[1].result()
                yield waiting[0]
            waiting = (number, thread.submit(write, number, result))
        if waiting is not None:
            waiting[1].result()
            yield waiting[0]
