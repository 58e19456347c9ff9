"""The point of each object at which the embeddings of its pixels shall meet."""

from collections.abc import Callable

import torch
from torch import Tensor

SAMPLE = 2048  # number of pixels among which a medoid is sought, and to which distances are summed


def centres_of_pixels(positions: Tensor, owner: Tensor, count: int, mode: str) -> Tensor:
    """Find the centres of objects from their pixels.

    Args:
        positions: Of F pixels, N x F in double precision.
        owner: Number of each pixel's object, from 0; all occur.
        count: Number K of objects.
        mode: "centroid" is the mean of the pixels, which may lie outside of the object; "medoid" the pixel with the least sum of distances
            to the others, exact up to 2048 pixels, beyond which the sum is over 2048 of them, spread at random over the object, the same
            at every call; "approximate_medoid" the pixel nearest to the centroid. Of equals the first one counts.

    Returns:
        K x N.

    Raises:
        ValueError: For another mode.
    """
    if mode not in MODES:
        raise ValueError(f"the centre of an object is one of {', '.join(MODES)}, got {mode!r}; change centre")
    return MODES[mode](positions, owner, count)


def _centroid(positions: Tensor, owner: Tensor, count: int) -> Tensor:
    sizes = torch.bincount(owner, minlength=count)
    return torch.stack([torch.bincount(owner, along_axis, minlength=count) / sizes for along_axis in positions], dim=1)


def _approximate_medoid(positions: Tensor, owner: Tensor, count: int) -> Tensor:
    """Take the pixel nearest to the centroid."""
    centroids = _centroid(positions, owner, count).T.contiguous()
    # In single precision, so that two pixels equally far are so despite of rounding.
    distances = sum((place - centroid[owner]).square() for place, centroid in zip(positions, centroids, strict=True)).sqrt().float()
    nearest = distances.new_full((count,), torch.inf).scatter_reduce_(0, owner, distances, "amin")
    candidates = (distances <= nearest[owner]).nonzero().squeeze(1)
    first = candidates.new_full((count,), len(owner)).scatter_reduce_(0, owner[candidates], candidates, "amin")
    return positions[:, first].T


def _medoid(positions: Tensor, owner: Tensor, count: int) -> Tensor:
    by_object = positions[:, torch.argsort(owner, stable=True)].T.split(torch.bincount(owner, minlength=count).tolist())
    return torch.stack([_medoid_of_one(pixels) for pixels in by_object]) if count else positions.new_zeros(0, len(positions))


def _medoid_of_one(pixels: Tensor) -> Tensor:
    """Take the one of P x N places with the least sum of distances; of many, the best of a sample, then the best of those near it."""
    sample = pixels if len(pixels) <= SAMPLE else pixels[_spread(len(pixels)).to(pixels.device)]
    best = _best(sample, sample)
    if len(pixels) <= SAMPLE:
        return best
    nearest = (pixels - best).square().sum(dim=1).topk(SAMPLE, largest=False).indices.sort().values
    return _best(pixels[nearest], sample)


def _best(candidates: Tensor, others: Tensor) -> Tensor:
    distances = torch.cdist(candidates, others, compute_mode="donot_use_mm_for_euclid_dist")
    return candidates[distances.mean(dim=1).float().argmin()]


def _spread(count: int) -> Tensor:
    """Choose one index at random from each of 2048 equal parts; at even steps they would line up with the rows of an image."""
    within = torch.rand(SAMPLE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return ((torch.arange(SAMPLE) + within) * (count / SAMPLE)).long().clamp_(max=count - 1)


MODES: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "centroid": _centroid,
    "medoid": _medoid,
    "approximate_medoid": _approximate_medoid,
}
