"""The U-Net of stacks whose planes lie far apart."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from im2im.networks.fnet import unit
from im2im.networks.initialization import start_embedding, start_residual
from im2im.networks.layers import batch_norm, chosen_upsampling, convolution, interpolation, max_pool, transposed_convolution
from im2im.networks.smoothing import Smoothing
from im2im.networks.stride import require_multiple


class AnisotropicUNet(nn.Module):
    """U-Net that halves an image along Y and X alone, and once before it looks at it.

    After Çiçek et al., MICCAI 2016 ("3D U-Net"), in the form that MMV_Im2Im gives it (Sonneck et al., GigaScience 2024), there also for the
    embeddings of EmbedSeg (Lalit et al., Medical Image Analysis 2022). With the default channels::

        source ─ pool (1, k, k) ─ encode 64 ──────────────────── cat ─ decode 64 ─ up (1, k, k) ─ decode 64 ─ conv1 ─ prediction
                                    └ pool ─ encode 128 ─── cat ─ decode 128 ─ up ┘
                                               └ pool ─ ... ─ up ┘
                                                    (encode 512 at the bottom)

    where ``encode`` and ``decode`` are twice [conv3, batch norm, ReLU], ``pool`` takes the maximum over (1, 2, 2) pixels, ``up`` is a
    transposed convolution by (1, 2, 2) at constant channels, and ``cat`` joins (skip, up). No activation at the end. In 2D the same
    without Z.

    With linear upsampling ``up`` is [conv1, linear interpolation by (1, 2, 2)], which leaves no checkerboard, see :class:`.FNet`.

    Args:
        spatial_dims: 2 or 3. Y and X must be multiples of ``8 * first_pool``; Z may have any number of planes.
        in_channels: Channels of the source.
        out_channels: Channels of the prediction.
        first_pool: By how much Y and X shrink before the first convolution.
        channels: Of the first convolution.
        upsampling: "transposed" or "linear".
        residual: Whether the prediction is the source plus the output of the last layer, which is 0 at first. Source and prediction must
            have as many channels. The standard deviation of a Gaussian filter lets the source be added after it, see :class:`.Smoothing`.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int = 1,
        out_channels: int = 1,
        first_pool: int = 2,
        channels: int = 32,
        upsampling: str = "transposed",
        residual: bool | float | Sequence[float] = False,
    ) -> None:
        super().__init__()
        if first_pool < 1:
            raise ValueError(f"the first pooling takes 1 pixel or more, got {first_pool}; set network.first_pool=2")
        pool = max_pool(spatial_dims)
        up = partial(chosen_upsampling(upsampling, {"transposed": _transposed_up, "linear": _linear_up}), spatial_dims)
        widths = [2 * channels, 4 * channels, 8 * channels]  # 64, 128, 256
        first, step = _lateral(first_pool, spatial_dims), _lateral(2, spatial_dims)

        self.stride = _lateral(8 * first_pool, spatial_dims)
        self.first_pool, self.pool = pool(first), pool(step)
        self.encoder = nn.ModuleList(
            _block(spatial_dims, a, b // 2, b) for a, b in zip([in_channels, *widths], [*widths, 16 * channels], strict=True)
        )
        self.up = nn.ModuleList(up(2 * width, step) for width in reversed(widths))
        self.decoder = nn.ModuleList(_block(spatial_dims, 3 * width, width, width) for width in reversed(widths))
        self.last_up = up(widths[0], first)
        self.last = _block(spatial_dims, widths[0], widths[0], widths[0])
        self.head = convolution(spatial_dims)(widths[0], out_channels, kernel_size=1)
        self.residual = Smoothing(spatial_dims, in_channels, 0.0 if residual is True else residual) if residual else None
        if residual:
            start_residual(self.head, in_channels)

    def forward(self, source: Tensor) -> Tensor:
        """Predict from BC(Z)YX an image of the same size; ValueError if Y or X is no multiple of ``8 * first_pool``."""
        if not torch.jit.is_tracing():  # where sizes are tensors, and a comparison of them is a warning
            require_multiple(source.shape[2:], self.stride)
        *levels, bottom = self.encoder
        features, skips = self.first_pool(source), []
        for encode in levels:
            skips.append(encode(features))
            features = self.pool(skips[-1])
        features = bottom(features)
        for up, decode in zip(self.up, self.decoder, strict=True):
            features = decode(torch.cat((skips.pop(), up(features)), dim=1))
        prediction = self.head(self.last(self.last_up(features)))
        return prediction if self.residual is None else self.residual(source) + prediction

    def start_embedding(self, spatial_dims: int, sigma: float = 1.0) -> None:
        """Let the prediction be offsets of 0 and sigmas of ``sigma`` at first, see :func:`.start_embedding`."""
        start_embedding([self.head], spatial_dims, sigma)


def _lateral(pixels: int, spatial_dims: int) -> tuple[int, ...]:
    """Return so many pixels along Y and X, and one along Z."""
    return (1, pixels, pixels)[-spatial_dims:]


def _transposed_up(spatial_dims: int, channels: int, step: Sequence[int]) -> nn.Module:
    return transposed_convolution(spatial_dims)(channels, channels, step, stride=step)


def _linear_up(spatial_dims: int, channels: int, step: Sequence[int]) -> nn.Module:
    return nn.Sequential(convolution(spatial_dims)(channels, channels, kernel_size=1), interpolation(spatial_dims, step))


def _block(spatial_dims: int, in_channels: int, middle: int, out_channels: int) -> nn.Sequential:
    conv3, norm = partial(convolution(spatial_dims), kernel_size=3, padding=1), batch_norm(spatial_dims)
    return nn.Sequential(unit(conv3(in_channels, middle), norm(middle)), unit(conv3(middle, out_channels), norm(out_channels)))
