"""Faster ways to compute a network, by option, alone or together."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from im2im.inference.averaging import Network
from im2im.inference.checked import Checked
from im2im.inference.engines import ENGINES, Eager, require_engine
from im2im.inference.precision import require_precision
from im2im.networks.folding import folded

log = logging.getLogger(__name__)


@runtime_checkable
class Exchangeable(Protocol):
    """A function over tiles that is made of networks."""

    def exchanged(self, change: Callable[[nn.Module], Network]) -> Network:
        """Give the same function with ``change(network)`` in the place of each network."""
        ...


@dataclass(frozen=True)
class Acceleration:
    """How a network is computed.

    Args:
        precision: "bf16", or "fp16" on a GPU, see :class:`im2im.inference.precision.Reduced`; None: single.
        fold: Whether batch norms are folded into convolutions, see :func:`im2im.networks.folding.folded`.
        engine: "compile" or "openvino", see :mod:`im2im.inference.engines`; None: torch as it comes.
        device: Where it is computed.

    Raises:
        ValueError: When called, a value is unknown, or does not suit the device.
    """

    precision: str | None = None
    fold: bool = False
    engine: str | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __call__(self, network: Network, tolerance: float) -> Network:
        """Accelerate a network; one that differs by more than the tolerance refuses its first tile, see :class:`Checked`."""
        if not (self.precision or self.fold or self.engine):
            return network
        if self.precision:
            require_precision(self.precision, self.device)
        require_engine(self.engine, self.device)
        weights: list[bytes] = []

        def change(network: Network) -> Network:
            weights.append(_mark(network))
            return _Made(self, network, weights[-1])

        fast = network.exchanged(change) if isinstance(network, Exchangeable) else change(network)
        return Checked(network, fast, tolerance, (self, *weights), self.settings())

    def settings(self) -> tuple[str, str]:
        """Give the settings that ask for this, and those that do without."""
        asked = {"precision": self.precision, "fold": "true" if self.fold else None, "engine": self.engine}
        names = [name for name, value in asked.items() if value]
        without = [f"inference.{name}={'false' if name == 'fold' else 'null'}" for name in names]
        return " ".join(f"inference.{name}={asked[name]}" for name in names), " ".join(without)

    def make(self, network: Network, batch: Tensor) -> Network:
        """Make what computes a network, on batches like this one."""
        if not (self.fold or self.engine):
            return Eager(network, self.precision)
        if not isinstance(network, nn.Module):
            raise ValueError(f"only modules of torch are folded or compiled, got {network}; set {self.settings()[1]}")
        if self.fold:
            network, count, norms = folded(network, batch.shape)
            log.info("inference.fold=true: %d of %d batch norms are folded", count, norms)
        return ENGINES[self.engine](network, self.precision)


_MADE: WeakKeyDictionary[Network, dict[Acceleration, tuple[bytes, Network]]] = WeakKeyDictionary()  # the latest of each network


@dataclass(frozen=True)
class _Made:
    """What computes a network in place of itself; made at the first batch, and anew where its weights have changed."""

    acceleration: Acceleration
    network: Network
    weights: bytes

    def __call__(self, batch: Tensor) -> Tensor:
        if not (self.acceleration.fold or self.acceleration.engine):
            return self.acceleration.make(self.network, batch)(batch)  # no copy, so that keeping it would keep the network
        made = _MADE.setdefault(self.network, {})
        weights, fast = made.get(self.acceleration, (b"", self.network))
        if weights != self.weights:
            fast = self.acceleration.make(self.network, batch)
            made[self.acceleration] = self.weights, fast
        return fast(batch)


def _mark(network: Network) -> bytes:
    """Tell weights from other ones, by the sum of each."""
    if not isinstance(network, nn.Module):
        return b"a function"
    sums = [tensor.detach().sum(dtype=torch.float64).cpu() for tensor in (*network.parameters(), *network.buffers())]
    return b"weights" + torch.stack(sums).numpy().tobytes() if sums else b"none"
