"""What the channels of an instance segmentation by embeddings mean (Neven et al., CVPR 2019; Lalit et al., 2022, "EmbedSeg").

A network puts out, for N axes, N offsets, N sigmas and one seed per pixel. A pixel's embedding is its own place plus its offset: where it
believes the centre of its object to be. Sigma says how near to a centre an embedding must lie to belong to it, the seed how near it lies.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

SHARPNESS = 10.0  # of sigma
LARGEST_EXPONENT = 60.0  # beyond it 1 / length² would overflow; the width is by then 1e-13 of the grid


@dataclass(frozen=True)
class EmbeddingLayout:
    """Channels of the network's output, and the grid on which embeddings lie.

    Args:
        voxel_size: Lengths of a voxel along (Z)YX; only their ratios count, so that ones serve where the size is unknown.
        extent: Number of lateral pixels that make up the unit of the grid: the longest offset along an axis.
    """

    voxel_size: Sequence[float]
    extent: float = 1024.0

    def __post_init__(self) -> None:
        """Refuse lengths that are none."""
        if len(self.voxel_size) not in (2, 3) or not all(math.isfinite(length) and length > 0 for length in self.voxel_size):
            raise ValueError(f"a voxel has two or three positive lengths, got {self.voxel_size}; change voxel_size")
        if not (math.isfinite(self.extent) and self.extent > 0):
            raise ValueError(f"the unit of the grid must be a positive number of pixels, got {self.extent}; change extent")

    @property
    def spatial_dims(self) -> int:
        """Number of axes."""
        return len(self.voxel_size)

    @property
    def channels(self) -> int:
        """Number of channels of the output."""
        return 2 * self.spatial_dims + 1

    @cached_property
    def spacing(self) -> tuple[float, ...]:
        """Distance of two neighbouring pixels along each axis, in units of the grid."""
        unit = min(self.voxel_size[-2:]) * self.extent
        return tuple(length / unit for length in self.voxel_size)

    def split(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split C..., raw or activated, into offsets N..., sigmas N... and seed (no channel).

        Raises:
            ValueError: The number of channels is another one.
        """
        if len(output) != self.channels:
            raise ValueError(
                f"embeddings along {self.spatial_dims} axes take {self.channels} channels, got {len(output)}; set out_channels"
            )
        return output[: self.spatial_dims], output[self.spatial_dims : -1], output[-1]

    def positions(self, pixels: Tensor, shape: Sequence[int]) -> Tensor:
        """Return the places on the grid, N x P in double precision, of P pixels given by their index into a flat (Z)YX image of a shape."""
        indices = torch.stack(torch.unravel_index(pixels, tuple(shape)))
        return indices * torch.tensor(self.spacing, dtype=torch.float64, device=pixels.device)[:, None]


def activate(raw: Tensor) -> Tensor:
    """Turn raw BC(Z)YX into offsets (tanh), sigmas (as they are) and seed (sigmoid), which can be averaged over tiles and networks."""
    axes = raw.shape[1] // 2
    return torch.cat((raw[:, :axes].tanh(), raw[:, axes:-1], raw[:, -1:].sigmoid()), dim=1)


def precision(sigma: Tensor) -> Tensor:
    """Return the factor of a squared distance of which sigma speaks: exp(10 sigma), finite for any sigma but NaN."""
    return (SHARPNESS * sigma).clamp(max=LARGEST_EXPONENT).exp()


def membership(distances: Tensor, precisions: Tensor) -> Tensor:
    """Return how much an embedding belongs to a centre, from 0 to 1: phi = exp(-sum of precision times squared distance), N... to ...."""
    return (-(precisions * distances.square()).sum(dim=0)).exp()
