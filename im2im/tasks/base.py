"""What a target means."""

from typing import Any, Protocol

import numpy as np
from torch import Tensor

from im2im.normalization import Affine, Normalization

Batch = dict[str, Any]


class Task(Protocol):
    """Loss, metrics and meaning of a prediction; the same in every framework.

    A batch holds "source", "target" and, where there is one, "cost_map" as BC(Z)YX, and "name" as a list.
    """

    normalization: Normalization

    def out_channels(self, target_channels: int) -> int:
        """Give the channels that a network must put out for a target of so many channels."""
        ...

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Compare a prediction BC(Z)YX with the batch's target; a scalar."""
        ...

    def score(self, prediction: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None = None) -> dict[str, float]:
        """Compute every metric of one image, arrays C(Z)YX."""
        ...

    def decode(self, prediction: np.ndarray, scale: Affine) -> np.ndarray:
        """Turn the network's output C(Z)YX into what the user gets, C(Z)YX.

        Args:
            prediction: Raw output of the network.
            scale: Typical normalization of the training targets.
        """
        ...
