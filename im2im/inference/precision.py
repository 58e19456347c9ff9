"""Prediction in numbers of fewer bits, two to four times faster."""

from dataclasses import dataclass

import torch
from torch import Tensor

from im2im.inference.averaging import Network

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Reduced:
    """A network whose convolutions compute in bfloat16 or half precision.

    Args:
        network: BC(Z)YX → BC'(Z)YX.
        name: "bf16" or "fp16".
    """

    network: Network
    name: str

    def __call__(self, batch: Tensor) -> Tensor:
        """BC(Z)YX → BC'(Z)YX in single precision."""
        with torch.autocast(batch.device.type, TYPES[self.name]):
            return self.network(batch).float()


def require_precision(name: str, device: torch.device) -> None:
    """Raise ValueError for another precision, or one that the device does not compute in."""
    if name not in TYPES:
        raise ValueError(f"predictions are computed in {', '.join(TYPES)} or single precision, got {name}; set inference.precision=null")
    if name == "fp16" and device.type == "cpu":
        raise ValueError("CPUs do not compute in half precision, got inference.precision=fp16; set inference.precision=bf16")
