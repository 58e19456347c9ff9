"""Criteria for images of real numbers, all of which leave out the pixels whose cost map is not above 0.

A criterion is called with prediction and target, BC(Z)YX of the same shape, and a cost map of the same shape or with one channel, or none.
An excluded pixel has no influence on the loss and a gradient of exactly 0, even where the target is NaN there. ValueError for other shapes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss


@dataclass(frozen=True)
class L1:
    """Mean absolute error."""

    of_images = True  # not of classes

    def __call__(self, prediction: Tensor, target: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Return the error, averaged over all pixels of the batch with the cost map as weight."""
        return weighted_mean(_residual(prediction, target, cost_map).abs(), cost_map)


@dataclass(frozen=True)
class MSE:
    """Mean squared error."""

    of_images = True  # not of classes

    def __call__(self, prediction: Tensor, target: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Return the error, averaged over all pixels of the batch with the cost map as weight."""
        return weighted_mean(_residual(prediction, target, cost_map).square(), cost_map)


@dataclass(frozen=True)
class SmoothL1:
    """Squared error for small residuals, absolute for large ones: Huber's loss divided by ``beta`` (Girshick, 2015).

    Args:
        beta: Residual, in units of the normalized target, from which on the error is absolute.
    """

    beta: float = 1.0

    of_images = True  # not of classes

    def __call__(self, prediction: Tensor, target: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Return the error, averaged over all pixels of the batch with the cost map as weight."""
        residual = _residual(prediction, target, cost_map)
        return weighted_mean(smooth_l1_loss(residual, torch.zeros_like(residual), reduction="none", beta=self.beta), cost_map)


@dataclass(frozen=True)
class Correlation:
    """One minus Pearson's correlation, which is blind to offset and gain.

    Args:
        smallest_variance: Taken for the variance of an image that varies less, so that a constant one has correlation 0, never NaN.
    """

    smallest_variance: float = 1e-12

    of_images = True  # not of classes

    def __call__(self, prediction: Tensor, target: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Return the mean over the images of the batch (each channel of each sample) of which any pixel counts."""
        require_same_shape(prediction, target, cost_map)
        weights = pixel_weights(cost_map, prediction).expand_as(prediction).flatten(2)  # B C pixels
        first, second = (image.float().flatten(2).masked_fill(weights == 0, 0) for image in (prediction, target))
        counts = weights.sum(dim=-1) > 0
        losses = (1 - self._correlation(first, second, weights)) * counts
        return losses.sum() / counts.sum().clamp_min(1)

    def _correlation(self, first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
        """Correlate along the last axis."""
        shares = weights / weights.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
        first, second = (image - (shares * image).sum(dim=-1, keepdim=True) for image in (first, second))
        deviations = [(shares * image.square()).sum(dim=-1).clamp_min(self.smallest_variance).sqrt() for image in (first, second)]
        return (shares * first * second).sum(dim=-1) / (deviations[0] * deviations[1])


def weighted_mean(per_pixel: Tensor, cost_map: Tensor | None = None) -> Tensor:
    """Average over all pixels of a batch with a cost map as weight.

    Args:
        per_pixel: Loss of each pixel, BC(Z)YX.
        cost_map: Weights, BC(Z)YX or B1(Z)YX, 0 and below for what is excluded, whatever the loss there; all 1 if absent.

    Returns:
        A scalar; 0, with a graph, where everything is excluded.
    """
    if cost_map is None:
        return per_pixel.mean()
    weights = pixel_weights(cost_map, per_pixel).to(per_pixel.dtype).expand_as(per_pixel)
    total = (per_pixel * weights).masked_fill(weights == 0, 0).sum()
    return total / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


def pixel_weights(cost_map: Tensor | None, like: Tensor) -> Tensor:
    """Return how much each pixel counts, float32: its cost map where that is above 0, else nothing; 1 if there is none, B1(Z)YX."""
    if cost_map is None:
        return torch.ones_like(like[:, :1], dtype=torch.float32)
    return cost_map.float().masked_fill(~(cost_map > 0), 0)


def require_same_shape(prediction: Tensor, target: Tensor, cost_map: Tensor | None) -> None:
    """Refuse a prediction or cost map that does not fit the target.

    Raises:
        ValueError: Naming both shapes.
    """
    predicted, wanted = tuple(prediction.shape), tuple(target.shape)
    if predicted != wanted:
        raise ValueError(
            f"prediction and target must have one shape, got {predicted} and {wanted}; set out_channels to the target's channels"
        )
    one_channel = (wanted[0], 1, *wanted[2:])
    if cost_map is not None and tuple(cost_map.shape) not in (wanted, one_channel):
        got = tuple(cost_map.shape)
        raise ValueError(f"a cost map must have shape {wanted} or {one_channel}, got {got}; replace the cost_map images under data.root")


def _residual(prediction: Tensor, target: Tensor, cost_map: Tensor | None) -> Tensor:
    """Subtract in float32, with 0 where excluded: masked here, before any power or root, a NaN cannot reach a gradient."""
    require_same_shape(prediction, target, cost_map)
    residual = prediction.float() - target.float()
    return residual if cost_map is None else residual.masked_fill(~(cost_map > 0), 0)
