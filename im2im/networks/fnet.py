"""The network of label-free prediction."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from im2im.networks.initialization import initialize, initialize_without_norm, start_embedding, start_residual
from im2im.networks.layers import NORMS, NormLayer, batch_norm, chosen_upsampling, convolution, interpolation, transposed_convolution
from im2im.networks.smoothing import Smoothing
from im2im.networks.stride import require_multiple


class FNet(nn.Module):
    """U-Net that learns its way down as well (Ounkomol et al., Nature Methods 2018, "Label-free prediction...").

    With the default channels and depth::

        source ─ block 32 ──────────────────────────────── cat ─ block 32 ─ conv3 ─ prediction
                   └ down ─ block 64 ─────────────── cat ─ block 64 ─ up ┘
                              └ down ─ block 128 ─ ... ─ up ┘
                                        (block 512 at the bottom)

    where ``block`` is twice [conv3, norm, ReLU], ``down`` is [conv2 of stride 2, norm, ReLU] at constant channels, ``up`` is
    [transposed conv2 of stride 2, norm, ReLU] to half of the channels, and ``cat`` joins (skip, up). No activation at the end.

    A transposed convolution of stride 2 computes even and odd pixels with different weights, which can leave a checkerboard in the
    prediction (Odena et al., Distill 2016). Linear upsampling computes all alike: ``up`` is then [conv1, norm, linear interpolation, ReLU].

    Args:
        spatial_dims: 2 or 3.
        in_channels: Channels of the source.
        out_channels: Channels of the prediction.
        channels: Of the first block; doubled at each level.
        depth: Number of times that the image is halved; sizes must be multiples of ``2**depth`` along every axis.
        norm_layer: Called with the number of channels; batch normalization unless given. ``torch.nn.Identity`` for none.
        upsampling: "transposed" or "linear".
        residual: Whether the prediction is the source plus the output of the last layer, which is 0 at first. Source and prediction must
            have as many channels. The standard deviation of a Gaussian filter lets the source be added after it, see :class:`.Smoothing`.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int = 1,
        out_channels: int = 1,
        channels: int = 32,
        depth: int = 4,
        norm_layer: NormLayer | None = None,
        upsampling: str = "transposed",
        residual: bool | float | Sequence[float] = False,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or batch_norm(spatial_dims)
        level = partial(block, spatial_dims, norm_layer)
        down = partial(convolution(spatial_dims), kernel_size=2, stride=2)
        up = partial(chosen_upsampling(upsampling, {"transposed": transposed_up, "linear": linear_up}), spatial_dims, norm_layer)
        widths = [channels * 2**halvings for halvings in range(depth)]  # 32, 64, 128, 256

        self.stride = (2**depth,) * spatial_dims
        self.encoder = nn.ModuleList(level(a, b) for a, b in pairwise([in_channels, *widths]))
        self.down = nn.ModuleList(unit(down(width, width), norm_layer(width)) for width in widths)
        self.bottom = level([in_channels, *widths][-1], channels * 2**depth)
        self.up = nn.ModuleList(up(2 * width, width) for width in reversed(widths))
        self.decoder = nn.ModuleList(level(2 * width, width) for width in reversed(widths))
        self.head = convolution(spatial_dims)(channels, out_channels, kernel_size=3, padding=1)
        (initialize if any(isinstance(layer, NORMS) for layer in self.modules()) else initialize_without_norm)(self)
        self.residual = Smoothing(spatial_dims, in_channels, 0.0 if residual is True else residual) if residual else None
        if residual:
            start_residual(self.head, in_channels)

    def forward(self, source: Tensor) -> Tensor:
        """Predict from BC(Z)YX an image of the same size; ValueError if an axis is no multiple of ``2**depth``."""
        if not torch.jit.is_tracing():  # where sizes are tensors, and a comparison of them is a warning
            require_multiple(source.shape[2:], self.stride)
        features, skips = source, []
        for encode, down in zip(self.encoder, self.down, strict=True):
            skips.append(encode(features))
            features = down(skips[-1])
        features = self.bottom(features)
        for up, decode in zip(self.up, self.decoder, strict=True):
            features = decode(torch.cat((skips.pop(), up(features)), dim=1))
        prediction = self.head(features)
        return prediction if self.residual is None else self.residual(source) + prediction

    def start_embedding(self, spatial_dims: int, sigma: float = 1.0) -> None:
        """Let the prediction be offsets of 0 and sigmas of ``sigma`` at first, see :func:`.start_embedding`."""
        start_embedding([self.head], spatial_dims, sigma)


def unit(layer: nn.Module, norm: nn.Module) -> nn.Sequential:
    """Follow a layer by a norm and ReLU."""
    return nn.Sequential(layer, norm, nn.ReLU(inplace=True))


def transposed_up(spatial_dims: int, norm_layer: NormLayer, in_channels: int, out_channels: int) -> nn.Sequential:
    """Double an image by weights of its own for even and for odd pixels."""
    return unit(transposed_convolution(spatial_dims)(in_channels, out_channels, kernel_size=2, stride=2), norm_layer(out_channels))


def linear_up(spatial_dims: int, norm_layer: NormLayer, in_channels: int, out_channels: int) -> nn.Sequential:
    """Double an image by interpolation; convolution and norm are computed before it, where there are fewer pixels."""
    conv1 = convolution(spatial_dims)(in_channels, out_channels, kernel_size=1)
    double = interpolation(spatial_dims, (2,) * spatial_dims)
    return nn.Sequential(conv1, norm_layer(out_channels), double, nn.ReLU(inplace=True))


def block(spatial_dims: int, norm_layer: NormLayer, in_channels: int, out_channels: int) -> nn.Sequential:
    """Two units of conv3, the first of which changes the number of channels."""
    conv3 = partial(convolution(spatial_dims), kernel_size=3, padding=1)
    return nn.Sequential(
        unit(conv3(in_channels, out_channels), norm_layer(out_channels)),
        unit(conv3(out_channels, out_channels), norm_layer(out_channels)),
    )
