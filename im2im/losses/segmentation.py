"""Criteria of semantic segmentation: logits against class indices.

A criterion is called with a prediction BK(Z)YX, one logit per class (K = 1: one logit of the foreground against 0 of the background), a
target B1(Z)YX of class indices, 0 the background, and a cost map B1(Z)YX or none, the weight of each pixel in every term. A pixel whose
weight is not above 0 is excluded: it has no influence on the loss and a gradient of exactly 0, whatever stands there. The arithmetic is in
float32.

The overlaps are own code, not MONAI's: those take no weights, and to weigh both of their images beforehand would square the weight in the
intersection but not in the sizes. ``class_weights`` has one number per class, the background's first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from im2im.losses.reconstruction import pixel_weights, weighted_mean


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy, averaged over pixels as ``torch.nn.CrossEntropyLoss`` does.

    Args:
        class_weights: Of the pixels of each class.
    """

    class_weights: Sequence[float] | None = None

    def __call__(self, prediction: Tensor, target: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Return the mean over all pixels of the batch."""
        return Focal(0, self.class_weights)(prediction, target, cost_map)


@dataclass(frozen=True)
class Focal:
    """Cross-entropy that turns from the pixels already right to those still wrong (Lin et al., 2017).

    Args:
        gamma: How far it turns; 0 is cross-entropy.
        class_weights: Of the pixels of each class, alpha in the paper.
    """

    gamma: float = 2.0
    class_weights: Sequence[float] | None = None

    def __call__(self, prediction: Tensor, target: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Return the mean over all pixels of the batch."""
        logarithms, classes, weights = _masked(prediction, target, cost_map)
        of_target = logarithms.gather(1, classes)  # B1(Z)YX
        wrong = -torch.expm1(of_target)  # 1 - p, exact where p is nearly 1
        factor = 1.0 if self.gamma == 0 else wrong.clamp_min(torch.finfo(wrong.dtype).tiny) ** self.gamma
        of_class = _class_weights(self.class_weights, logarithms)[classes]
        return weighted_mean(-factor * of_target, weights * of_class)


@dataclass(frozen=True)
class Tversky:
    """One minus Tversky's index, an overlap in which the two kinds of error have prices of their own (Salehi et al., 2017).

    The index is TP / (TP + alpha·FP + beta·FN) in sums of probabilities, of each class in each image.

    Args:
        alpha: Price of false positives.
        beta: Price of false negatives; above ``alpha`` it draws the network to small structures.
        include_background: Whether class 0 counts.
        class_weights: Of each class in the mean.
        whole_batch: Add up over the batch before dividing, which is steadier where many patches lack a class.
        smooth: Added above and below the bar. A class that is nowhere has index 1, with 0 too.
    """

    alpha: float = 0.3
    beta: float = 0.7
    include_background: bool = False
    class_weights: Sequence[float] | None = None
    whole_batch: bool = False
    smooth: float = 1e-5

    def __call__(self, prediction: Tensor, target: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Return the mean over classes and over the images of which any pixel counts."""
        overlap, predicted, wanted, counts = _sums(prediction, target, cost_map)
        if self.whole_batch:
            overlap, predicted, wanted = (sums.sum(dim=0, keepdim=True) for sums in (overlap, predicted, wanted))
            counts = counts.any(dim=0, keepdim=True)
        errors = self.alpha * (predicted - overlap) + self.beta * (wanted - overlap)
        sizes = overlap + errors + self.smooth  # B K
        indices = (overlap + self.smooth) / sizes.clamp_min(torch.finfo(sizes.dtype).tiny)
        losses = 1 - torch.where(sizes > 0, indices, 1)
        first = 0 if self.include_background else 1
        weights = _class_weights(self.class_weights, losses)[first:]
        return _mean_over_images(losses[:, first:] @ weights / weights.sum(), counts)


@dataclass(frozen=True)
class Dice:
    """One minus Dice's coefficient 2TP / (2TP + FP + FN), in sums of probabilities (Milletari et al., 2016, without its squares).

    Args:
        include_background: Whether class 0 counts.
        class_weights: Of each class in the mean.
        whole_batch: Add up over the batch before dividing, which is steadier where many patches lack a class.
        smooth: Added above and below the bar. A class that is nowhere has coefficient 1, with 0 too.
    """

    include_background: bool = False
    class_weights: Sequence[float] | None = None
    whole_batch: bool = False
    smooth: float = 1e-5

    def __call__(self, prediction: Tensor, target: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Return the mean over classes and over the images of which any pixel counts."""
        halves = Tversky(0.5, 0.5, self.include_background, self.class_weights, self.whole_batch, self.smooth / 2)
        return halves(prediction, target, cost_map)


@dataclass(frozen=True)
class GeneralizedDice:
    """One minus a single Dice coefficient of all classes, each divided by the square of its size (Sudre et al., 2017).

    A class that an image lacks has the weight of that image's rarest class, so that predicting it has a price.

    Args:
        include_background: Whether class 0 counts, as in the paper.
    """

    include_background: bool = True

    def __call__(self, prediction: Tensor, target: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Return the mean over the images of which any pixel counts."""
        overlap, predicted, wanted, counts = _sums(prediction, target, cost_map)
        first = 0 if self.include_background else 1
        overlap, predicted, wanted = overlap[:, first:], predicted[:, first:], wanted[:, first:]
        rarest = wanted.masked_fill(wanted == 0, torch.inf).amin(dim=1, keepdim=True)
        rarest = rarest.masked_fill(rarest.isinf(), 1)  # an image of background alone
        weights = torch.where(wanted == 0, rarest, wanted).square().reciprocal()
        sizes = (weights * (predicted + wanted)).sum(dim=1)
        coefficients = 2 * (weights * overlap).sum(dim=1) / sizes.clamp_min(torch.finfo(sizes.dtype).tiny)
        return _mean_over_images(1 - coefficients, counts)


def _masked(prediction: Tensor, target: Tensor, cost_map: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-probabilities BK(Z)YX, class indices and weights B1(Z)YX; masked before the softmax, a NaN cannot reach a gradient."""
    expected = (prediction.shape[0], 1, *prediction.shape[2:])
    for name, image in {"target": target, "cost_map": cost_map}.items():
        if image is not None and tuple(image.shape) != expected:
            raise ValueError(f"{name} must have shape {expected}, got {tuple(image.shape)}; give data.root one image of one channel for it")
    weights = pixel_weights(cost_map, prediction)
    logits = prediction.float().masked_fill(weights == 0, 0)
    if logits.shape[1] == 1:
        logits = torch.cat((torch.zeros_like(logits), logits), dim=1)
    target = target.float().masked_fill(weights == 0, 0)
    classes = target.long()
    wrong = (classes != target) | (classes < 0) | (classes >= logits.shape[1])
    if wrong.any():
        value = target[wrong][0].item()
        raise ValueError(f"a target pixel must be a class index from 0 to {logits.shape[1] - 1}, got {value:g}; change task.classes")
    return log_softmax(logits, dim=1), classes, weights


def _sums(prediction: Tensor, target: Tensor, cost_map: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Add up what prediction and target share and what either has, B K, and tell of which images any pixel counts, B."""
    logarithms, classes, weights = _masked(prediction, target, cost_map)
    probabilities = (weights * logarithms.exp()).flatten(2)
    wanted = classes.flatten(2) == torch.arange(logarithms.shape[1], device=classes.device)[:, None]  # B K pixels
    sums = [image.sum(dim=-1) for image in (probabilities * wanted, probabilities, weights.flatten(2) * wanted)]
    return sums[0], sums[1], sums[2], weights.flatten(1).any(dim=1)


def _class_weights(given: Sequence[float] | None, like: Tensor) -> Tensor:
    """Return one weight for each channel of ``like``."""
    classes = like.shape[1]
    if given is not None and len(given) != classes:
        raise ValueError(f"there must be one weight for each of the {classes} classes, got {list(given)}; change criterion.class_weights")
    return torch.ones(classes, device=like.device) if given is None else torch.tensor(given, dtype=torch.float32, device=like.device)


def _mean_over_images(losses: Tensor, counts: Tensor) -> Tensor:
    return (losses * counts).sum() / counts.sum().clamp_min(1)
