"""Prediction in numbers of fewer bits, two to four times faster, compared with single precision before it is trusted."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Network = Callable[[Tensor], Tensor]
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

_DIFFERENCES: WeakKeyDictionary[Network, dict[str, float]] = WeakKeyDictionary()  # found once for each network


@dataclass(frozen=True)
class Reduced:
    """A network whose convolutions compute in bfloat16 or half precision.

    The first tile goes through it in single precision as well. Their difference is told, and too large a one is refused: the root mean
    square of the difference, relative to the standard deviation of the output in single precision.

    Args:
        network: BC(Z)YX → BC'(Z)YX.
        name: "bf16", or "fp16" on a GPU.
        tolerance: Largest difference.
        device: Where it computes.

    Raises:
        ValueError: Another precision, or one that the device does not compute in; when called, too large a difference.
    """

    network: Network
    name: str
    tolerance: float
    device: torch.device

    def __post_init__(self) -> None:
        """Refuse what the device cannot do."""
        if self.name not in TYPES:
            raise ValueError(
                f"predictions are computed in {', '.join(TYPES)} or single precision, got {self.name}; set inference.precision=null"
            )
        if self.name == "fp16" and self.device.type == "cpu":
            raise ValueError("CPUs do not compute in half precision, got inference.precision=fp16; set inference.precision=bf16")

    def __call__(self, batch: Tensor) -> Tensor:
        """BC(Z)YX → BC'(Z)YX in single precision."""
        with torch.autocast(self.device.type, TYPES[self.name]):
            found = self.network(batch).float()
        known = _DIFFERENCES.setdefault(self.network, {})
        if self.name not in known:
            known[self.name] = difference(found, self.network(batch).float())
            log.info("inference.precision=%s: differs from single precision by %.2g of the standard deviation", self.name, known[self.name])
        if not known[self.name] <= self.tolerance:
            raise ValueError(
                f"in {self.name} a prediction differs from single precision by {known[self.name]:.2g} of its standard deviation, more than "
                f"inference.tolerance={self.tolerance}; set inference.precision=null, or raise inference.tolerance"
            )
        return found


def difference(found: Tensor, exact: Tensor) -> float:
    """Give the root mean square of a difference relative to the standard deviation of ``exact``, or as it is where that is constant."""
    error, spread = (found - exact).square().mean().sqrt(), exact.std(correction=0)
    return float(error / spread) if spread > 0 else float(error)
