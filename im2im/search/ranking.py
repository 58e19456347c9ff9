"""What a search and a grid both tell: the time that is left, and a ranking."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from im2im.report.notation import clock


class SweepTimeLeft:
    """Estimates the rest of several trainings from those that ended since it was made.

    Args:
        total: The amount of work that there is: trainings, or epochs.
        end: When no further training begins, by the monotonic clock.
    """

    def __init__(self, total: float, end: float = float("inf")) -> None:
        self.total, self.end, self.done, self.start = total, end, 0.0, time.monotonic()

    def add(self, amount: float) -> str:
        """Count work that is done; gives ``, about 0:12:00 left``, or nothing where nothing is left."""
        self.done += amount
        left = (time.monotonic() - self.start) / self.done * (self.total - self.done)
        left = min(left, self.end - time.monotonic())
        return f", about {clock(left)} left" if left > 0 else ""


def show_ranking(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print trials as one table, the best first.

    Args:
        title: Stands above the table.
        columns: Their names, without that of the rank.
        rows: Cells of the trials, the best trial first.
    """
    table = Table(title=Text(title), title_justify="left")
    table.add_column("rank", justify="right")
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    for rank, row in enumerate(rows, start=1):
        table.add_row(str(rank), *map(Text, row))
    Console().print(table)
