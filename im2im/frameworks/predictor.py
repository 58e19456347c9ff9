"""Trained runs as tiles see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from im2im.networks.demand import Demand, together
from im2im.networks.footprint import Footprint, footprint
from im2im.networks.receptive_field import receptive_field

if TYPE_CHECKING:
    from im2im.frameworks.base import Framework

Network = Callable[[Tensor], Tensor]

_FOOTPRINTS: WeakKeyDictionary[nn.Module, Footprint] = WeakKeyDictionary()  # measured once


class Inference(Protocol):
    """Runs a network over an image of any size, see :mod:`im2im.inference`."""

    def __call__(self, network: Callable[[Tensor], Tensor], image: Tensor, demand: Demand | None = None) -> Tensor:
        """Predict an image in memory, C(Z)YX → C'(Z)YX on the CPU."""
        ...

    def plan(self, shape: Sequence[int], demand: Demand | None = None, grid: bool = False) -> list[Any]:
        """Plan the tiles of an image (Z)YX."""
        ...

    def streams(self, needed: int) -> bool:
        """Tell whether an image that takes so many bytes as a whole is rather predicted tile by tile."""
        ...

    def work(self, job: Any, numbers: Sequence[int]) -> Iterator[int]:
        """Predict tiles of an image that does not fit into memory; gives the number of each once it is written."""
        ...


class Predictor:
    """One function over tiles from one run, or from several whose activated outputs are averaged.

    Args:
        runs: Of one meaning.
        computed: What computes each run's network in its place, None: the network itself.
    """

    def __init__(self, runs: Sequence[Framework], computed: Sequence[Network] | None = None) -> None:
        self.runs = list(runs)
        self.computed = [None] * len(self.runs) if computed is None else list(computed)

    def ready(self) -> Predictor:
        """Move all runs to the device of the first and let them evaluate; gives itself."""
        for run in self.runs:
            run.to(self.runs[0].device).eval()
        return self

    @torch.no_grad()
    def __call__(self, batch: Tensor) -> Tensor:
        """BC(Z)YX on any device → activated BC'(Z)YX on the device of the runs."""
        batch = batch.to(self.runs[0].device)
        outputs = [run.output(batch, by) for run, by in zip(self.runs, self.computed, strict=True)]
        return torch.stack(outputs).mean(dim=0) if len(outputs) > 1 else outputs[0]

    def exchanged(self, change: Callable[[nn.Module], Network]) -> Predictor:
        """Give the same runs, with ``change(network)`` in the place of each network that predicts."""
        return Predictor(self.runs, [change(run.predicting) for run in self.runs])

    def demand(self, channels: int, shape: Sequence[int]) -> Demand:
        """Tell what the runs ask of the tiles of an image of so many channels and of a shape (Z)YX."""
        image = torch.empty(channels, *shape, device="meta")
        return together([_demand(run, image) for run in self.runs])


def _demand(run: Framework, image: Tensor) -> Demand:
    size, network, channels = run.size(image), run.predicting, image.shape[0]
    if network not in _FOOTPRINTS:
        small = size.multiple if size.fixed else size.fitting([4 * pixels for pixels in size.multiple])
        _FOOTPRINTS[network] = footprint(network, channels, small)
    return Demand(
        size.multiple,
        size.fixed,
        *_FOOTPRINTS[network],
        device=run.device,
        reach=partial(receptive_field, network, channels, size.multiple),
        unmirror=run.unmirror,
    )
