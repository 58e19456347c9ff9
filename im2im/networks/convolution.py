"""3D convolutions of one image that a CPU computes as fast as those of several."""

import torch
from torch import Tensor, nn


class Conv3d(nn.Conv3d):
    """As :class:`torch.nn.Conv3d`, with the same weights and the same result.

    On a CPU torch leaves a single image of few channels and lines to a kernel that is up to ten times slower than the one for batches
    (torch 2.13: where batch × channels × planes × lines is at most 20,480). Prediction sees images one by one.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not self._suits(input):
            return super()._conv_forward(input, weight, bias)
        return torch.ops.aten.mkldnn_convolution(input, weight, bias, self.padding, self.stride, self.dilation, self.groups)

    def _suits(self, input: Tensor) -> bool:
        """Tell whether torch may be told which kernel to take: one image in single precision on a CPU, and nobody is recording."""
        plain = self.padding_mode == "zeros" and not isinstance(self.padding, str)
        there = input.device.type == "cpu" and input.dtype == torch.float32 and len(input) == 1 and input.ndim == 5 and input.numel() > 0
        recorded = torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling() or torch.jit.is_tracing()
        return bool(plain and there and not recorded and torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled)


def fast_for_one(network: nn.Module) -> nn.Module:
    """Let every plain 3D convolution of a network, whoever wrote it, be one of these; the network itself is changed and returned."""
    for module in network.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = Conv3d
    return network
