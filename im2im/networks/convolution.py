"""3D convolutions of one image that a CPU computes as fast as those of several, and rightly in bfloat16."""

import logging
from functools import cache

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


class Conv3d(nn.Conv3d):
    """As :class:`torch.nn.Conv3d`, with the same weights and the same result.

    On a CPU torch leaves a single image of few channels and lines to a kernel that is up to ten times slower than the one for batches
    (torch 2.13: where batch × channels × planes × lines is at most 20,480). Prediction sees images one by one.

    In bfloat16 on a CPU torch 2.13 computes what was left in memory where a kernel is longer than an axis of the image: seen with one
    channel, one plane and weights channels-last. Such layers compute in single precision.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self._wrong_in_bfloat16(input):
            _tell()
            with torch.autocast("cpu", enabled=False):
                exact = self._conv_forward(input.float(), weight.float(), bias if bias is None else bias.float())
            return exact.to(torch.bfloat16)
        if not self._suits(input):
            return super()._conv_forward(input, weight, bias)
        return torch.ops.aten.mkldnn_convolution(input, weight, bias, self.padding, self.stride, self.dilation, self.groups)

    def _suits(self, input: Tensor) -> bool:
        """Tell whether torch may be told which kernel to take: one image in single precision on a CPU, and nobody is recording."""
        if torch.jit.is_tracing() or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
            return False
        plain = self.padding_mode == "zeros" and not isinstance(self.padding, str)
        there = input.device.type == "cpu" and input.dtype == torch.float32 and len(input) == 1 and input.ndim == 5 and input.numel() > 0
        return bool(plain and there and torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled)

    def _wrong_in_bfloat16(self, input: Tensor) -> bool:
        """Tell whether a CPU would compute this in bfloat16 with a kernel that is longer than an axis of the image."""
        if torch.jit.is_tracing() or input.device.type != "cpu":
            return False
        reduced = input.dtype == torch.bfloat16
        if torch.is_autocast_enabled("cpu"):
            reduced = torch.get_autocast_dtype("cpu") == torch.bfloat16
        return reduced and exceeds(self, input)


def exceeds(convolution: nn.Conv3d, image: Tensor) -> bool:
    """Tell whether a kernel is longer than an axis of the image ...ZYX."""
    extents = [step * (taps - 1) + 1 for step, taps in zip(convolution.dilation, convolution.kernel_size, strict=True)]
    return any(extent > pixels for extent, pixels in zip(extents, image.shape[-3:], strict=True))


@cache
def _said() -> None:
    log.info("bfloat16: layers whose kernel is longer than an axis of the image compute in single precision, for torch is wrong there")


def _tell() -> None:
    """Say it once, and not while a program is made of the network."""
    if not torch.compiler.is_compiling():
        _said()


def fast_for_one(network: nn.Module) -> nn.Module:
    """Let every plain 3D convolution of a network, whoever wrote it, be one of these; the network itself is changed and returned."""
    for module in network.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = Conv3d
    return network
