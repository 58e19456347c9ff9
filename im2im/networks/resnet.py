"""The generator of style transfer and of translation without pairs."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from im2im.networks.fnet import unit
from im2im.networks.initialization import initialize
from im2im.networks.layers import NormLayer, convolution, instance_norm, transposed_convolution
from im2im.networks.stride import require_multiple


class ResNetGenerator(nn.Module):
    """Residual blocks at a reduced size (Johnson et al., ECCV 2016, "Perceptual losses..."; Zhu et al., ICCV 2017, "CycleGAN").

    Layout: [conv7, norm, ReLU], ``downsamplings`` times [conv3 of stride 2, norm, ReLU] with doubled channels, the residual blocks, as many
    times [transposed conv3 of stride 2, norm, ReLU] with half of the channels, conv7. Convolutions of stride 1 see the image mirrored
    at its border.

    Args:
        spatial_dims: 2 or 3; sizes must be multiples of ``2**downsamplings`` along every axis.
        in_channels: Channels of the source.
        out_channels: Channels of the prediction.
        channels: Of the first layer.
        downsamplings: Number of times that the image is halved.
        blocks: Number of residual blocks; 6 are usual for images of 128 pixels, 9 for larger ones.
        norm_layer: Called with the number of channels; instance normalization unless given.
        tanh: Whether the prediction is squeezed into [-1, 1], for targets that lie there.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int = 1,
        out_channels: int = 1,
        channels: int = 64,
        downsamplings: int = 2,
        blocks: int = 9,
        norm_layer: NormLayer | None = None,
        tanh: bool = False,
    ) -> None:
        super().__init__()
        norm_layer, conv = norm_layer or instance_norm(spatial_dims), convolution(spatial_dims)
        halve = partial(conv, kernel_size=3, stride=2, padding=1)
        double = partial(transposed_convolution(spatial_dims), kernel_size=3, stride=2, padding=1, output_padding=1)
        widths = [channels * 2**halvings for halvings in range(downsamplings)]  # 64, 128

        self.stride = (2**downsamplings,) * spatial_dims
        self.first = nn.Sequential(Mirror(3), unit(conv(in_channels, channels, kernel_size=7), norm_layer(channels)))
        self.down = nn.Sequential(*(unit(halve(width, 2 * width), norm_layer(2 * width)) for width in widths))
        self.blocks = nn.Sequential(*(Residual(spatial_dims, channels * 2**downsamplings, norm_layer) for _ in range(blocks)))
        self.up = nn.Sequential(*(unit(double(2 * width, width), norm_layer(width)) for width in reversed(widths)))
        self.head = nn.Sequential(Mirror(3), conv(channels, out_channels, kernel_size=7), nn.Tanh() if tanh else nn.Identity())
        initialize(self)

    def forward(self, source: Tensor) -> Tensor:
        """Predict from BC(Z)YX an image of the same size; ValueError if an axis is no multiple of ``2**downsamplings``."""
        if not torch.jit.is_tracing():  # where sizes are tensors, and a comparison of them is a warning
            require_multiple(source.shape[2:], self.stride)
        return self.head(self.up(self.blocks(self.down(self.first(source)))))


class Residual(nn.Module):
    """Adds [conv3, norm, ReLU, conv3, norm] to what comes in; no activation behind the sum."""

    def __init__(self, spatial_dims: int, channels: int, norm_layer: NormLayer) -> None:
        super().__init__()
        conv3 = partial(convolution(spatial_dims), channels, channels, kernel_size=3)
        self.residual = nn.Sequential(
            Mirror(1), unit(conv3(), norm_layer(channels)), Mirror(1), nn.Sequential(conv3(), norm_layer(channels))
        )

    def forward(self, features: Tensor) -> Tensor:
        """Change BC(Z)YX at its size."""
        return features + self.residual(features)


class Mirror(nn.Module):
    """Lengthens BC(Z)YX by so many mirrored pixels at both ends of every axis.

    Axes that are too short to be mirrored, such as the few planes of a stack, repeat their border instead.
    """

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels

    def forward(self, features: Tensor) -> Tensor:
        """Lengthen the image."""
        traced = torch.jit.is_tracing()  # where sizes are tensors, and what follows from them would not be traced
        short = [not traced and length <= self.pixels for length in features.shape[2:]]
        if not all(short):
            features = F.pad(features, self._at([not axis for axis in short]), mode="reflect")
        return F.pad(features, self._at(short), mode="replicate") if any(short) else features

    def _at(self, axes: list[bool]) -> list[int]:
        """Return the pixels of both ends of the chosen axes, the last axis first."""
        return [self.pixels * chosen for chosen in reversed(axes) for _ in range(2)]
