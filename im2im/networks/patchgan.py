"""Discriminators that judge an image patch by patch."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from im2im.networks.initialization import initialize
from im2im.networks.layers import NormLayer, average_pool, convolution, instance_norm

Judgement = tuple[Tensor, list[Tensor]]
"""Scores, B1(Z)YX, one for each patch that is judged, and the features on the way there, each BC(Z)YX."""


class PatchGAN(nn.Module):
    """Scores overlapping patches; higher is more real (Isola et al., CVPR 2017, "Image-to-image translation...").

    Layout: [conv4 of stride 2, LeakyReLU], ``layers - 1`` times [conv4 of stride 2, norm, LeakyReLU] with doubled channels up to
    eightfold, the same once more at stride 1, then conv4 to one score. Padding is 1 all along: 256 pixels become 30 scores. Three layers
    see 70 pixels each. Convolutions have a bias, and the norm learns no scale.

    Y and X must not be smaller than ``smallest``: ``3 * 2**layers``, or ``2 * 2**layers`` without the block of stride 1. Z may have any
    number of planes: where a stack has shrunk to one before a convolution, that plane is taken twice.

    Args:
        spatial_dims: 2 or 3.
        in_channels: Of what it sees; a sequence is summed, such as [channels of the source, channels of the target] for images
            that are judged beside their source.
        channels: Of the first layer.
        layers: Number of times that the image is halved.
        stride_one_block: As in the paper; without, three layers see 46 pixels each.
        norm_layer: Called with the number of channels; instance normalization unless given.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int | Sequence[int],
        channels: int = 64,
        layers: int = 3,
        stride_one_block: bool = True,
        norm_layer: NormLayer | None = None,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(
                f"a PatchGAN halves the image at least once, got {layers} layers; set framework.discriminator's layers to 1 or more"
            )
        norm_layer = norm_layer or instance_norm(spatial_dims)
        conv4 = partial(convolution(spatial_dims), kernel_size=4, padding=1)
        strides = [2] * layers + [1] * stride_one_block
        widths = [channels * min(2**layer, 8) for layer in range(len(strides))]  # 64, 128, 256, 512
        first = in_channels if isinstance(in_channels, int) else sum(in_channels)

        self.smallest = (2 + stride_one_block) * 2**layers
        self.stages = nn.ModuleList([nn.Sequential(conv4(first, channels, stride=2), nn.LeakyReLU(0.2, inplace=True))])
        for (a, b), stride in zip(pairwise(widths), strides[1:], strict=True):
            self.stages.append(nn.Sequential(conv4(a, b, stride=stride), norm_layer(b), nn.LeakyReLU(0.2, inplace=True)))
        self.score = conv4(widths[-1], 1)
        initialize(self)

    def forward(self, image: Tensor) -> Judgement:
        """Score BC(Z)YX; ValueError if Y or X is smaller than ``smallest``."""
        if min(image.shape[-2:]) < self.smallest:
            raise ValueError(
                f"the discriminator needs {self.smallest} pixels along Y and X, got {tuple(image.shape[-2:])}; "
                "make patch_size larger, or the layers or scales of framework.discriminator fewer"
            )
        features = [self.stages[0](_thickened(image, 2))]
        for stage in self.stages[1:]:
            features.append(stage(_thickened(features[-1], 2)))
        return self.score(_thickened(features[-1], 2)), features


class MultiScale(nn.Module):
    """The same discriminator at several resolutions, each with weights of its own (Wang et al., CVPR 2018, "pix2pixHD").

    Args:
        discriminator: Makes one discriminator, that of one scale.
        spatial_dims: 2 or 3.
        scales: Their number; the first sees the image as it is, each further one an image of half the size along every axis.
    """

    def __init__(self, discriminator: Callable[[], nn.Module], spatial_dims: int, scales: int = 2) -> None:
        super().__init__()
        if scales < 1:
            raise ValueError(f"a discriminator has at least one scale, got {scales}; set framework.discriminator's scales to 1 or more")
        self.discriminators = nn.ModuleList(discriminator() for _ in range(scales))
        self.pool = average_pool(spatial_dims)(kernel_size=3, stride=2, padding=1, count_include_pad=False)

    def forward(self, image: Tensor) -> list[Judgement]:
        """Judge BC(Z)YX once per scale, the full resolution first."""
        judgements = [self.discriminators[0](image)]
        for discriminator in self.discriminators[1:]:
            image = self.pool(_thickened(image, 3))
            judgements.append(discriminator(image))
        return judgements


def _thickened(stack: Tensor, planes: int) -> Tensor:
    """Repeat the last plane of BCZYX until a kernel fits: 2 planes for kernel 4 with padding 1, 3 for pooling by 3."""
    missing = planes - stack.shape[2]
    return torch.cat((stack, *[stack[:, :, -1:]] * missing), dim=2) if missing > 0 else stack
