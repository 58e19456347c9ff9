"""What a target means."""

from typing import Any, Protocol

import numpy as np
from torch import Tensor

from im2im.normalization import Affine, Normalization

Batch = dict[str, Any]


class Task(Protocol):
    """Loss, metrics and meaning of a prediction; the same in every framework.

    A batch holds "source", "target" and, where there is one, "cost_map" as BC(Z)YX, and "name" as a list. Arrays are C(Z)YX::

        network → prediction ─ loss ─ target                         (training)
                      └ activate → output ┬ interpret ─ score ─ target   (validation, evaluation)
                                          └ decode → what is written     (prediction)
    """

    normalization: Normalization
    objects: bool
    outputs: tuple[str, ...]

    def out_channels(self, target_channels: int) -> int:
        """Give the channels that a network must put out for a target of so many channels."""
        ...

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Compare a prediction BC(Z)YX with the batch's target; a scalar."""
        ...

    def cost_map(self, batch: Batch) -> Tensor | None:
        """Give B1(Z)YX, 0 where the batch's target says nothing; None where all of it counts."""
        ...

    def activate(self, prediction: Tensor) -> Tensor:
        """Bring a network's prediction BC(Z)YX into its range; what is averaged over tiles, views and runs."""
        ...

    def present(self, target: Tensor) -> Tensor:
        """Show a target BC(Z)YX as an activated prediction would ideally be; what a discriminator compares."""
        ...

    def interpret(self, output: np.ndarray) -> np.ndarray:
        """Turn an activated prediction into what is compared with the target: intensities, classes or objects."""
        ...

    def truth(self, target: np.ndarray) -> np.ndarray:
        """Turn a target into what an interpreted prediction is compared with."""
        ...

    def score(self, found: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None = None) -> dict[str, float]:
        """Compute every metric of one image from an interpreted prediction and a target; the first metric ranks images."""
        ...

    def parts(self, found: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None = None) -> list[dict[str, Any]]:
        """Give a row for each class or object of one image; none where an image has no parts."""
        ...

    def require_local(self) -> None:
        """Raise ValueError unless a part of an image is decoded as it would be in the whole, but for what lies near the part's border."""
        ...

    def decode(self, output: np.ndarray, scale: Affine, name: str) -> np.ndarray:
        """Turn an activated prediction into one of the ``outputs`` that the user gets.

        Args:
            output: Activated prediction.
            scale: Typical normalization of the training targets.
            name: Which output.
        """
        ...


def require_output(name: str, outputs: tuple[str, ...]) -> None:
    """Raise ValueError unless there is an output of that name."""
    if name not in outputs:
        raise ValueError(f"this task puts out {', '.join(outputs)}, got {name}; choose among them with mode.outputs")
