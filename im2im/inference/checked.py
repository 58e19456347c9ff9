"""A fast way of computing, compared with torch in single precision before it is trusted."""

import logging
from collections.abc import Hashable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from im2im.inference.averaging import Network

log = logging.getLogger(__name__)

_DIFFERENCES: WeakKeyDictionary[Network, dict[Hashable, float]] = WeakKeyDictionary()  # found once for each network and way


@dataclass(frozen=True)
class Checked:
    """A network that computes in a fast way.

    The first tile that is not blank goes through it in single precision as well, as torch computes by itself. Their difference is told,
    and too large a one is refused: the root mean square of the difference, relative to the standard deviation of the output in single
    precision.

    Args:
        exact: BC(Z)YX → BC'(Z)YX.
        fast: The same, faster.
        tolerance: Largest difference.
        key: Of ``fast`` among all ways and weights.
        settings: That ask for it, and those that do without it.

    Raises:
        ValueError: When called, too large a difference.
    """

    exact: Network
    fast: Network
    tolerance: float
    key: Hashable
    settings: tuple[str, str]

    def __call__(self, batch: Tensor) -> Tensor:
        """BC(Z)YX → BC'(Z)YX in single precision."""
        found = self.fast(batch).float()
        known, (asked, without) = _DIFFERENCES.setdefault(self.exact, {}), self.settings
        change = known.get(self.key)
        if change is None:
            with torch.no_grad():
                exact = self.exact(batch).float()
            change = difference(found, exact)
            if bool(batch.std(correction=0) > 0) and bool(exact.std(correction=0) > 0):  # a blank tile says nothing about the next one
                known[self.key] = change
                log.info("%s: differs from single precision by %.2g of the standard deviation", asked, change)
        if not change <= self.tolerance:
            raise ValueError(
                f"with {asked} a prediction differs from single precision by {change:.2g} of its standard deviation, more than "
                f"inference.tolerance={self.tolerance}; set {without}, or raise inference.tolerance"
            )
        return found


def difference(found: Tensor, exact: Tensor) -> float:
    """Give the root mean square of a difference relative to the standard deviation of ``exact``, or as it is where that is constant."""
    error, spread = (found - exact).square().mean().sqrt(), exact.std(correction=0)
    return float(error / spread) if spread > 0 else float(error)
