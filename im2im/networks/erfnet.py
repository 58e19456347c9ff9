"""One encoder, and a decoder for each thing that is predicted."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from im2im.networks.fnet import unit
from im2im.networks.initialization import start_embedding
from im2im.networks.layers import batch_norm, channel_dropout, convolution, max_pool, transposed_convolution
from im2im.networks.stride import require_multiple

EPS = 1e-3  # of the batch normalization


class BranchedERFNet(nn.Module):
    """ERFNet (Romera et al., IEEE T-ITS 2018) with several decoders (Neven et al., CVPR 2019, "Instance segmentation by jointly...").

    With the default channels::

        source ─ down 16 ─ down 64 ─ 5 residual ─ down 128 ─ 8 residual ┬ up 64 ─ 2 residual ─ up 16 ─ 2 residual ─ up ─ branch 1
                                                                        └ up 64 ─ ...                              ─ up ─ branch 2

    where ``down`` is :class:`Downsampling`, ``residual`` is :class:`FactorizedResidual`, and ``up`` a transposed convolution of stride 2,
    with batch norm and ReLU but in the last. The prediction joins the branches in their order.

    Args:
        spatial_dims: 2 or 3; sizes must be multiples of 8 along every axis.
        in_channels: Channels of the source.
        out_channels: Channels of the prediction.
        branches: Channels that each decoder gives, ``out_channels`` together. The last channel has one of its own unless given, such as
            the seed beside the offsets and sigmas of an embedding.
        channels: Of the first level; four and eight times as many in the second and third.
        dropout: Probability that a channel is dropped, in the third level.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int = 1,
        out_channels: int = 1,
        branches: Sequence[int] | None = None,
        channels: int = 16,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        branches = branches or ([out_channels - 1, 1] if out_channels > 1 else [out_channels])
        if min(branches) < 1 or sum(branches) != out_channels:
            raise ValueError(
                f"the branches must add up to the {out_channels} channels of the prediction, got {list(branches)}; change network.branches"
            )
        down, residual = partial(Downsampling, spatial_dims), partial(FactorizedResidual, spatial_dims)
        middle, deep = 4 * channels, 8 * channels  # 64, 128

        self.stride = (8,) * spatial_dims
        self.encoder = nn.Sequential(
            down(in_channels, channels),
            down(channels, middle),
            *(residual(middle, dropout=0.03) for _ in range(5)),
            down(middle, deep),
            *(residual(deep, dropout=dropout, dilation=dilation) for dilation in 2 * [2, 4, 8, 16]),
        )
        self.decoders = nn.ModuleList(_decoder(spatial_dims, (deep, middle, channels), branch) for branch in branches)

    def forward(self, source: Tensor) -> Tensor:
        """Predict from BC(Z)YX an image of the same size; ValueError if an axis is no multiple of 8."""
        if not torch.jit.is_tracing():  # where sizes are tensors, and a comparison of them is a warning
            require_multiple(source.shape[2:], self.stride)
        features = self.encoder(source)
        return torch.cat([decode(features) for decode in self.decoders], dim=1)

    def start_embedding(self, spatial_dims: int, sigma: float = 1.0) -> None:
        """Let the prediction be offsets of 0 and sigmas of ``sigma`` at first, see :func:`.start_embedding`."""
        start_embedding([list(decoder.children())[-1] for decoder in self.decoders], spatial_dims, sigma)


class Downsampling(nn.Module):
    """Halves an image: the maxima over 2 pixels beside a convolution of stride 2, then batch norm and ReLU.

    The convolution gives what ``out_channels`` has more than ``in_channels``; all of them, without the maxima, where that is nothing.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        learnt = out_channels - in_channels if in_channels < out_channels else out_channels
        self.conv = convolution(spatial_dims)(in_channels, learnt, kernel_size=3, stride=2, padding=1)
        self.pool = max_pool(spatial_dims)(2) if learnt < out_channels else None
        self.norm = batch_norm(spatial_dims)(out_channels, eps=EPS)

    def forward(self, features: Tensor) -> Tensor:
        """Halve BC(Z)YX."""
        halves = [self.conv(features)] if self.pool is None else [self.conv(features), self.pool(features)]
        return torch.relu(self.norm(torch.cat(halves, dim=1)))


class FactorizedResidual(nn.Module):
    """Twice a convolution over 3 pixels along each axis in turn, instead of one over all; added to what came in ("non-bottleneck-1D").

    Args:
        spatial_dims: 2 or 3.
        channels: In and out.
        dropout: Probability that a channel of the sum's second part is dropped.
        dilation: Of the second round of convolutions.
    """

    def __init__(self, spatial_dims: int, channels: int, dropout: float = 0.0, dilation: int = 1) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_round(spatial_dims, channels, dilation=1),
            nn.ReLU(inplace=True),
            *_round(spatial_dims, channels, dilation),
            channel_dropout(spatial_dims)(dropout),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Change BC(Z)YX at its size."""
        return torch.relu(features + self.residual(features))


def _round(spatial_dims: int, channels: int, dilation: int) -> list[nn.Module]:
    """Return one convolution along each axis, ReLU between them, and a norm at the end.

    Weights at a distance start at 0. In small patches they see nothing but padding and learn nothing; at random values they would come to
    life in an image larger than the patches.
    """
    layers: list[nn.Module] = []
    for axis in range(spatial_dims):
        kernel = tuple(3 if other == axis else 1 for other in range(spatial_dims))
        reach = tuple(dilation if other == axis else 0 for other in range(spatial_dims))
        conv = convolution(spatial_dims)(channels, channels, kernel, padding=reach, dilation=tuple(max(1, pixels) for pixels in reach))
        if dilation > 1:
            with torch.no_grad():
                weight = conv.get_parameter("weight")
                weight.mul_(weight.new_tensor([0.0, 1.0, 0.0]).reshape(kernel))
        layers += [conv, nn.ReLU(inplace=True)]
    return [*layers[:-1], batch_norm(spatial_dims)(channels, eps=EPS)]


def _decoder(spatial_dims: int, widths: Sequence[int], out_channels: int) -> nn.Sequential:
    """Return what doubles an image once from each width to the next and once more to the prediction."""
    up, layers = transposed_convolution(spatial_dims), []
    for a, b in pairwise(widths):
        doubled = up(a, b, kernel_size=3, stride=2, padding=1, output_padding=1)
        layers += [
            unit(doubled, batch_norm(spatial_dims)(b, eps=EPS)),
            FactorizedResidual(spatial_dims, b),
            FactorizedResidual(spatial_dims, b),
        ]
    return nn.Sequential(*layers, up(widths[-1], out_channels, kernel_size=2, stride=2))
