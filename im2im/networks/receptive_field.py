"""How far a network looks, measured on the network itself."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import nn

from im2im.networks.stride import REFUSALS

FARTHEST = 512  # pixels from a place to the border of the image in which its influence is looked for


def receptive_field(network: nn.Module, in_channels: int, multiple: Sequence[int]) -> tuple[int, ...]:
    """Measure how many pixels away, along (Z)YX, an output can depend on the input.

    One stride of the input is made not a number. What becomes none in the output depends on it, whatever the weights. The image is long
    along one axis at a time and as short as the network takes along the others.

    Args:
        network: Any network that keeps the size of its input. It is copied, never changed.
        in_channels: Channels of its input.
        multiple: Pixels of which every size is a multiple, (Z)YX.

    Returns:
        Pixels on either side, (Z)YX: the halo with which tiles are predicted as in the whole image.

    Raises:
        ValueError: Every pixel depends on the whole image, or on pixels more than 512 away.
    """
    probe = copy.deepcopy(network).cpu().float().eval()
    return tuple(_along(probe, in_channels, tuple(multiple), axis) for axis in range(len(multiple)))


def _along(network: nn.Module, in_channels: int, multiple: tuple[int, ...], axis: int) -> int:
    """Look as far as is looked for at all: a dilated convolution leaves gaps, so that nearer edges may say nothing."""
    step = multiple[axis]
    margin = math.ceil(FARTHEST / step) * step
    size = [2 * length for length in multiple]  # a norm may need two pixels at the coarsest
    size[axis] = 2 * margin + step
    image = torch.zeros(1, in_channels, *size)
    image.narrow(2 + axis, margin, step).fill_(torch.nan)
    try:
        with torch.no_grad():
            places = network(image).isnan().movedim(2 + axis, 0).flatten(1).any(dim=1).nonzero().squeeze(1)
    except REFUSALS as error:
        raise ValueError(f"{type(network).__name__} takes no images of any size; set inference.halo to pixels, or to null") from error
    reach = max(margin - int(places[0]), int(places[-1]) - (margin + step - 1))
    if reach < margin:
        return reach
    raise ValueError(
        f"the network sees more than {FARTHEST} pixels far, got {type(network).__name__}; set inference.halo to a number of pixels "
        "for each axis, or to null"
    )
