"""Distance of two images as a discriminator sees them."""

from collections.abc import Sequence

import torch
from torch import Tensor


def feature_matching(real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
    """L1 distance between the features of real and of fake images (Wang et al., CVPR 2018, "pix2pixHD", equation 4).

    Each layer contributes the mean over the whole batch, channels and pixels; layers are summed, as in the paper, and scales averaged, so
    that a weight means the same for any number of scales. Nothing flows back through the real features.

    Args:
        real: Features of the real images, for each scale one BC(Z)YX per layer.
        fake: Features of the fake images, of the same shapes.

    Returns:
        A scalar.

    Raises:
        ValueError: If the two differ in the number of scales or layers.
    """
    return torch.stack([_of_scale(*pair) for pair in zip(real, fake, strict=True)]).mean()


def _of_scale(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    distances = [(a.detach().float() - b.float()).abs().mean() for a, b in zip(real, fake, strict=True)]
    return torch.stack(distances).sum()
