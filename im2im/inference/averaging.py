"""Several views of one tile, averaged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from im2im.networks.demand import Unmirror

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class MirroredViews:
    """A network whose output is the mean over a tile as it is and mirrored (test-time augmentation).

    Args:
        network: BC(Z)YX → BC'(Z)YX.
        views: Axes that are mirrored, counted from the end, for each view.
        unmirror: Turns the output C'(Z)YX of a mirrored tile back; outputs with a direction change their sign.
    """

    network: Network
    views: Sequence[Sequence[int]]
    unmirror: Unmirror

    def __call__(self, batch: Tensor) -> Tensor:
        """BC(Z)YX → BC'(Z)YX."""
        total = self.network(batch)
        for view in self.views:
            axes = tuple(view)
            total = total + torch.stack([self.unmirror(output, axes) for output in self.network(torch.flip(batch, axes))])
        return total / (len(self.views) + 1)
