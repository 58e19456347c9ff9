"""The structural similarity of images, to be maximized."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from im2im.losses.reconstruction import require_same_shape, weighted_mean

RADIUS = 5  # of the window: 11 taps, as in im2im.metrics.ssim


@dataclass(frozen=True)
class SSIM:
    """One minus the structural similarity (Wang et al., 2004), with the Gaussian window of its metric: sigma 1.5 and 11 taps.

    The outermost 5 pixels, whose windows reach over the border, are left out of the mean, except along an axis no longer than 10. Excluded
    pixels are 0 in both images for the windows around them, and are left out of the mean.

    Args:
        data_range: Largest minus smallest value that a target can have; None takes that of each image's target, 1 where it is constant.
    """

    data_range: float | None = None

    of_images = True  # not of classes

    def __call__(self, prediction: Tensor, target: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Compare BC(Z)YX with BC(Z)YX; return the mean over all pixels of the batch with the cost map as weight."""
        require_same_shape(prediction, target, cost_map)
        included = torch.ones_like(target, dtype=torch.bool) if cost_map is None else (cost_map > 0).expand_as(target)
        first, second = (image.float().masked_fill(~included, 0) for image in (prediction, target))
        peak = _range(second, included) if self.data_range is None else torch.tensor(self.data_range)
        inside = (slice(None), slice(None), *map(_inside, target.shape[2:]))
        return weighted_mean(1 - _similarity(first, second, peak), None if cost_map is None else cost_map[inside])


def _range(target: Tensor, included: Tensor) -> Tensor:
    """Return the range of each image of a batch, B11(1)1; excluded pixels take no part."""
    highest = target.masked_fill(~included, -math.inf).flatten(1).amax(dim=1)
    lowest = target.masked_fill(~included, math.inf).flatten(1).amin(dim=1)
    ranges = highest - lowest
    return torch.where(ranges > 0, ranges, 1.0).reshape(-1, *[1] * (target.ndim - 1))


def _similarity(first: Tensor, second: Tensor, peak: Tensor) -> Tensor:
    """Return the local similarities (equation 13 of the paper, its constants K 0.01 and 0.03) at the pixels that count."""
    offset = second.flatten(2).mean(dim=2).reshape(*second.shape[:2], *[1] * (second.ndim - 2))
    first, second = first - offset, second - offset  # changes no variance, and keeps the digits of the squares small
    mean_1, mean_2 = _blur(first), _blur(second)
    covariance = _blur(first * second) - mean_1 * mean_2
    variances = (_blur(first**2 + second**2) - mean_1**2 - mean_2**2).clamp_min(0)  # of both, added; rounding may go below
    mean_1, mean_2 = mean_1 + offset, mean_2 + offset
    c_1, c_2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    return (2 * mean_1 * mean_2 + c_1) * (2 * covariance + c_2) / ((mean_1**2 + mean_2**2 + c_1) * (variances + c_2))


def _blur(image: Tensor) -> Tensor:
    """Average BC(Z)YX over the windows that fit, along axes no longer than 10 over all windows, the image mirrored at its ends.

    Added up tap by tap, not by a convolution: those are done with 10 bits of mantissa on recent GPUs, and with 7 under autocast, which is
    too little for the difference of two squares.
    """
    taps = torch.arange(-RADIUS, RADIUS + 1).square().div(-2 * 1.5**2).exp()
    weights = (taps / taps.sum()).tolist()
    for axis in range(2, image.ndim):
        length = image.shape[axis]
        if length <= 2 * RADIUS:
            places = torch.arange(-RADIUS, length + RADIUS, device=image.device) % (2 * length)
            image = image.index_select(axis, torch.minimum(places, 2 * length - 1 - places))
        length = image.shape[axis] - 2 * RADIUS
        blurred = weights[0] * image.narrow(axis, 0, length)
        for start, weight in enumerate(weights[1:], 1):
            blurred = torch.add(blurred, image.narrow(axis, start, length), alpha=weight)
        image = blurred
    return image


def _inside(length: int) -> slice:
    return slice(RADIUS, length - RADIUS) if length > 2 * RADIUS else slice(0, length)
