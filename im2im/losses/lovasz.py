"""The Lovász hinge: a convex surrogate of the Jaccard index (Yu and Blaschko, 2015; Berman, Triki and Blaschko, CVPR 2018)."""

import torch
from torch import Tensor

from im2im.ordering import descending_in_groups


def lovasz_weights(errors: Tensor, positive: Tensor, group: Tensor) -> Tensor:
    """Weigh errors of the pixels of many objects such that their weighted sum over an object is the Lovász extension of its Jaccard loss.

    With an object's errors in descending order, the weight of one is how much the Jaccard loss of all up to it exceeds that of all before
    it. For P positives, with p positives and n negatives before, that is 1 / (P + n) for a positive one and (P - p) / ((P + n)(P + n + 1))
    for a negative one.

    Args:
        errors: One minus the margin of each pair of an object and a pixel, float32 and not negative.
        positive: Whether the pixel is the object's; so is one at least of each object.
        group: Number of the object, from 0.

    Returns:
        A weight for each pair, without a graph.
    """
    order = descending_in_groups(errors, group)
    group, positive = group[order], positive[order]
    sizes, positives = torch.bincount(group), torch.bincount(group[positive])
    rank = torch.arange(len(order), device=order.device) - (sizes.cumsum(0) - sizes)[group]
    before = positive.cumsum(0) - positive.long() - (positives.cumsum(0) - positives)[group]
    union = (positives[group] + rank - before).double()
    weights = torch.where(positive, 1 / union, (positives[group] - before) / (union * (union + 1)))
    return torch.empty_like(weights).scatter_(0, order, weights).float()
