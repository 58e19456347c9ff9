"""The Lovász hinge of many objects' memberships at once, in the memory of the image.

Nothing is kept for the pairs of an object and a pixel: the gradient is found together with the loss. On a CPU object by object, with
compiled loops; elsewhere for many objects at a time.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from im2im.embedding import membership
from im2im.grid import Cells, distance, near, sort_into_cells, volume
from im2im.losses.lovasz import lovasz_weights
from im2im.losses.neighbours import Neighbours
from im2im.ordering import descending

Array = NDArray[Any]
Result = tuple[Tensor, Tensor, Tensor]  # sum over objects, and its gradients of embeddings N x P and precisions N x K
NEGLIGIBLE = 1e-7  # membership below which a pixel of the background is left out of an object's loss
LARGEST_DISTANCE = -math.log(NEGLIGIBLE)  # squared and times precision
SMALLEST_BUDGET = 1 << 20  # pairs of an object and a pixel looked at together, where the image has fewer pixels


class Objects(NamedTuple):
    """The K objects of one sample of P pixels, F of which lie in an object."""

    centres: Tensor  # N x K
    sizes: Tensor  # K
    inside: Tensor  # which pixels lie in an object, F
    owner: Tensor  # in which, F


class InstanceHinge(torch.autograd.Function):
    """Mean over objects of the Lovász hinge of 2 phi - 1."""

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, precisions: Tensor, objects: Objects) -> Tensor:
        """Take embeddings N x P and precisions N x K."""
        count = max(precisions.shape[1], 1)
        find = object_by_object if embeddings.device.type == "cpu" else many_at_a_time
        total, *gradients = find(embeddings, precisions, objects)
        ctx.save_for_backward(*(gradient / count for gradient in gradients))
        return total / count + 0 * embeddings.sum().float()  # a NaN shall show, wherever it is

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients."""
        by_embedding, by_precision = ctx.saved_tensors
        return gradients[0] * by_embedding, gradients[0] * by_precision, None


def many_at_a_time(embeddings: Tensor, precisions: Tensor, objects: Objects) -> Result:
    """Sum on any device, in few large steps."""
    total = precisions.new_zeros(())
    by_embedding, by_precision = torch.zeros_like(embeddings, dtype=precisions.dtype), torch.zeros_like(precisions)
    for group, pixel, positive, distances in _pairs(embeddings, precisions, objects):
        scale = precisions.index_select(1, group)
        phi = membership(distances, scale)
        errors = 2 * torch.where(positive, 1 - phi, phi)
        weights = lovasz_weights(errors, positive, group - group.min())
        total += (weights * errors).sum()
        slope = torch.where(positive, -2, 2) * weights * phi
        by_embedding.index_add_(1, pixel, -2 * slope * scale * distances)
        by_precision.index_add_(1, group, -slope * distances.square())
    return total, by_embedding, by_precision


def _pairs(embeddings: Tensor, precisions: Tensor, objects: Objects) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Yield all pairs that count, for some objects at a time.

    Yields:
        Number of the object, number of the pixel, whether it is the object's, and its embedding's distances from the centre (N x pairs).
    """
    if not len(objects.sizes):
        return
    reach = (LARGEST_DISTANCE / precisions.double()).sqrt().nan_to_num()
    search = Neighbours(embeddings.nan_to_num(), reach.median(dim=1).values.tolist())
    owner = torch.full_like(embeddings[0], -1, dtype=torch.long).scatter_(0, objects.inside, objects.owner)
    by_object = objects.inside[torch.argsort(objects.owner)]
    ends = [0, *objects.sizes.cumsum(0).tolist()]
    for first, last, group, pixel in search.pairs(objects.centres, reach, max(len(owner), SMALLEST_BUDGET)):
        distances = distances_from_centre(embeddings, objects.centres, pixel, group)
        near = membership(distances, precisions.index_select(1, group)) > NEGLIGIBLE
        others = near.logical_and_(owner[pixel] != group).nonzero().squeeze(1)
        own = by_object[ends[first] : ends[last]]
        positive = torch.arange(len(own) + len(others), device=own.device) < len(own)
        groups = torch.cat((owner[own], group[others]))
        distances = torch.cat(
            (distances_from_centre(embeddings, objects.centres, own, owner[own]), distances.index_select(1, others)), dim=1
        )
        yield groups, torch.cat((own, pixel[others])), positive, distances


def distances_from_centre(embeddings: Tensor, centres: Tensor, pixel: Tensor, group: Tensor) -> Tensor:
    """Subtract in double precision: a place on the grid is much larger than a distance that matters."""
    return (embeddings.index_select(1, pixel) - centres.index_select(1, group)).float()


class _Target(NamedTuple):
    """One object: its number, its pixels, its centre and precisions along three axes."""

    number: int
    pixels: Array
    centre: Array
    scale: Array


def object_by_object(embeddings: Tensor, precisions: Tensor, objects: Objects) -> Result:
    """Sum on a CPU, one object after the other."""
    axes, count = precisions.shape
    places, scales, centres = (volume(values.nan_to_num().numpy()) for values in (embeddings, precisions, objects.centres))
    by_embedding, by_precision, total = np.zeros_like(places), np.zeros_like(scales), 0.0
    if count:
        cells = sort_into_cells(places, np.median(scales, axis=0), LARGEST_DISTANCE)
        owner = torch.full((len(places),), -1).scatter_(0, objects.inside, objects.owner).numpy()
        by_object = objects.inside[torch.argsort(objects.owner, stable=True)].split(objects.sizes.tolist())
        found = np.empty(len(places), np.int64)
        for index, pixels in enumerate(by_object):
            target = _Target(index, pixels.numpy(), centres[index], scales[index])
            errors, candidates = _candidates(target, places, owner, cells, found)
            order = descending(errors)
            total += _descend(errors[order], candidates[order], target, places, owner, by_embedding, by_precision)
    gradients = [torch.from_numpy(gradient.T[3 - axes :]).to(precisions.dtype) for gradient in (by_embedding, by_precision)]
    return torch.tensor(total, dtype=precisions.dtype), gradients[0], gradients[1]


@njit(nogil=True)
def _candidates(target: _Target, places: Array, owner: Array, cells: Cells, found: Array) -> tuple[Array, Array]:
    """List errors and pixels of the object, and of the others whose membership counts."""
    count = near(target.centre, target.scale, LARGEST_DISTANCE, cells, found)
    errors = np.empty(len(target.pixels) + count, np.float32)
    pixels = np.empty(len(errors), np.int64)
    last = 0
    for pixel in target.pixels:
        errors[last] = -2 * math.expm1(-distance(target.centre, target.scale, places, pixel))
        pixels[last] = pixel
        last += 1
    for place in found[:count]:
        pixel = cells.order[place]
        if owner[pixel] != target.number:
            errors[last] = 2 * math.exp(-distance(target.centre, target.scale, cells.places, place))
            pixels[last] = pixel
            last += 1
    return errors[:last], pixels[:last]


@njit(nogil=True)
def _descend(errors: Array, pixels: Array, target: _Target, places: Array, owner: Array, by_embedding: Array, by_precision: Array) -> float:
    """Return the Lovász extension of the Jaccard loss of errors in descending order (see lovasz.py), and add its gradients."""
    total, ahead, union = 0.0, 0, len(target.pixels)
    for error, pixel in zip(errors, pixels):  # noqa: B905 (numba knows no strict)
        if owner[pixel] == target.number:
            weight = 1 / union
            slope = -2 * weight * (1 - error / 2)
            ahead += 1
        else:
            weight = (len(target.pixels) - ahead) / (union * (union + 1.0))
            slope = weight * error
            union += 1
        total += weight * error
        for axis in range(3):
            away = places[pixel, axis] - target.centre[axis]
            by_embedding[pixel, axis] -= 2 * slope * target.scale[axis] * away
            by_precision[target.number, axis] -= slope * away**2
    return total
