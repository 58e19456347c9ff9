"""Several views of one image, averaged."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Network = Callable[[Tensor], Tensor]
Unmirror = Callable[[Tensor, tuple[int, ...]], Tensor]
VIEWS = ((-1,), (-2,), (-2, -1))  # axes that are mirrored


@dataclass(frozen=True)
class FlipAverage:
    """The mean over predictions of an image as it is and mirrored along Y, X and both (test-time augmentation).

    Z keeps its direction. Four times the work; for networks that were trained with flips.

    Args:
        inference: Runs the network over one view.
    """

    inference: Callable[..., Tensor]

    def __call__(
        self, network: Network, image: Tensor, multiple: tuple[int, ...], fixed: bool = False, unmirror: Unmirror = torch.flip
    ) -> Tensor:
        """Predict C(Z)YX → C'(Z)YX on the CPU.

        Args:
            network: BC(Z)YX → BC'(Z)YX.
            image: C(Z)YX.
            multiple: What the network's input must be a multiple of, (Z)YX.
            fixed: The network takes no other size than that.
            unmirror: Turns the output of a mirrored image back; outputs with a direction change their sign.
        """
        total = self.inference(network, image, multiple, fixed)
        for view in VIEWS:
            total = total + unmirror(self.inference(network, torch.flip(image, view), multiple, fixed), view)
        return total / (len(VIEWS) + 1)
