"""A Gaussian filter as a layer."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv3d, pad

FARTHEST = 3.0  # standard deviations that the filter reaches


class Smoothing(nn.Module):
    """Gaussian filter of each channel, which is not learnt; the pixels at the border go on beyond it.

    Args:
        spatial_dims: 2 or 3.
        channels: Of the image.
        sigma: Standard deviation in pixels, of all axes or of each, (Z)YX; 0 leaves an axis as it is.
    """

    def __init__(self, spatial_dims: int, channels: int, sigma: float | Sequence[float]) -> None:
        super().__init__()
        sigmas = [float(one) for one in (sigma if isinstance(sigma, Sequence) else [sigma] * spatial_dims)]
        if len(sigmas) != spatial_dims or min(sigmas) < 0:
            raise ValueError(
                f"sigma is one number or one for each of {spatial_dims} axes, none below 0, got {sigma}; change network.residual"
            )
        self.channels = channels
        self.margins: list[list[int]] = []  # before and after each axis as torch pads, the last first
        for axis, one in enumerate(sigmas):
            if one:
                radius = math.ceil(FARTHEST * one)
                weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / one) ** 2)
                shape = [1, 1, *(-1 if place == axis else 1 for place in range(spatial_dims))]
                repeated = (weights / weights.sum()).reshape(shape).repeat(channels, *[1] * (spatial_dims + 1))
                self.register_buffer(f"weights_{axis}", repeated, persistent=False)
                self.margins.append([radius * (place == axis) for place in reversed(range(spatial_dims)) for _ in range(2)])

    def forward(self, image: Tensor) -> Tensor:
        """Filter BC(Z)YX, in float32 whatever the precision of the rest."""
        filtered = conv2d if image.ndim == 4 else conv3d
        with torch.autocast(image.device.type, enabled=False):
            smooth = image.float()
            for weights, margins in zip(self.buffers(), self.margins, strict=True):
                smooth = filtered(pad(smooth, margins, mode="replicate"), weights, groups=self.channels)
        return smooth
