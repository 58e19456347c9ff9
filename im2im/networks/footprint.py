"""How much memory a network takes, measured on the network itself."""

import copy
import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, UntypedStorage, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from im2im.networks.stride import REFUSALS


class Footprint(NamedTuple):
    """What a network takes for each voxel that it predicts: bytes of feature maps at a time; and the channels that it puts out."""

    bytes_per_voxel: float
    out_channels: int


def footprint(network: nn.Module, in_channels: int, size: Sequence[int]) -> Footprint:
    """Measure how much memory a network takes.

    It is run once, without arithmetic where its layers allow, and the largest sum of all tensors that are alive at a time is what counts,
    input and output included, its weights not.

    Args:
        network: Any network. It is copied, never changed.
        in_channels: Channels of its input.
        size: (Z)YX of an image that it takes, such as a training patch.

    Raises:
        ValueError: The network does not take this size.
    """
    reason = ""
    for device in ("meta", "cpu"):
        copied, counter = copy.deepcopy(network).to(device).eval(), Alive()
        try:
            with torch.no_grad(), counter:
                output = copied(torch.zeros(1, in_channels, *size, device=device))
        except REFUSALS as error:
            reason = str(error).partition("\n")[0]
            continue
        return Footprint(counter.peak / math.prod(size), output.shape[1])
    raise ValueError(f"the network takes no images of {tuple(size)} pixels, got: {reason}; change patch_size")


class Alive(TorchDispatchMode):
    """Adds up the bytes of all tensors made inside of it for as long as they are alive.

    Args:
        but: Device whose tensors do not count.
    """

    def __init__(self, but: str = "") -> None:
        super().__init__()
        self.but = but
        self.now, self.peak = 0, 0
        self.alive: set[int] = set()

    def forget(self) -> None:
        """Take the peak from now on."""
        self.peak = self.now

    def __torch_dispatch__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.device.type != self.but:
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.alive:
            self.alive.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.now -= size
