"""Successive halving (Jamieson & Talwalkar, AISTATS 2016): many short trainings, of which the best go on from their checkpoints."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rungs:
    """How long trials train before some of them stop.

    Args:
        epochs: After which the trials of a bracket are compared; the last is a whole training.
        reduction: One of so many goes on.
    """

    epochs: tuple[int, ...]
    reduction: int

    def total(self, trials: int, parallel: int = 1) -> int:
        """Sum up the epochs that so many trials take one after the other, or so many at a time, the default's to its end among them."""
        size, total = max(self.bracket, parallel), 0
        for start in range(0, trials, size):
            going, before = min(size, trials - start), 0
            for rung, epochs in enumerate(self.epochs):
                going = math.ceil(going / self.reduction) if rung else going
                default = 1 if rung and start == 0 and going < trials else 0
                total += math.ceil((going + default) / parallel) * (epochs - before)
                before = epochs
        return total

    @property
    def bracket(self) -> int:
        """Trials that begin together, so that one of them is trained to its end."""
        return self.reduction ** (len(self.epochs) - 1)

    def going_on(self, values: Sequence[float], rung: int) -> list[int]:
        """Choose who goes on after a rung.

        Args:
            values: Of the trials, larger is better.
            rung: Index of the rung that they have done.

        Returns:
            Places of the best, best first; all of them after the last rung.
        """
        order = sorted(range(len(values)), key=lambda place: -values[place])
        last = rung == len(self.epochs) - 1
        return order if last else order[: max(1, math.ceil(len(values) / self.reduction))] if order else []


def spaced(count: int, last: int, reduction: int) -> Rungs:
    """Space rungs evenly by factors.

    Args:
        count: How many there are; fewer where the last leaves no room for them.
        last: Epochs of a whole training.
        reduction: Each rung is about so many times as long as the one before.
    """
    return Rungs(tuple(sorted({max(1, round(last / reduction**step)) for step in range(count)})), reduction)
