"""The point of each object at which the embeddings of its pixels shall meet."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SAMPLE = 2048  # largest number of pixels among which a medoid is sought, and to which distances are summed


def centres(instances: Tensor, labels: Tensor, mode: str, voxel_size: Sequence[float]) -> Tensor:
    """Find the centres of objects, distances being physical ones: a voxel counts as long as it is.

    Args:
        instances: (Z)YX, the number of each pixel's object.
        labels: K positive numbers in ascending order, each of which occurs; pixels of other numbers take no part.
        mode: As in :func:`centres_of_pixels`.
        voxel_size: Of (Z)YX, in the unit of the result.

    Returns:
        K x N in double precision: the index along each axis times the voxel size.

    Raises:
        ValueError: For another mode.
    """
    indices = (instances > 0).nonzero().T
    numbers = instances[tuple(indices)]
    owner = torch.searchsorted(labels, numbers).clamp(max=max(len(labels) - 1, 0))
    wanted = labels[owner] == numbers if len(labels) else torch.zeros_like(numbers, dtype=torch.bool)
    positions = indices[:, wanted] * torch.tensor(voxel_size, dtype=torch.float64, device=instances.device)[:, None]
    return centres_of_pixels(positions, owner[wanted], len(labels), mode)


def centres_of_pixels(positions: Tensor, owner: Tensor, count: int, mode: str) -> Tensor:
    """Find the centres of objects from their pixels.

    Args:
        positions: Of F pixels, N x F in double precision.
        owner: Number of each pixel's object, from 0; all occur.
        count: Number K of objects.
        mode: "centroid" is the mean of the pixels, which may lie outside of the object; "medoid" the pixel with the least sum of distances
            to the others, exact up to 2048 pixels, beyond which every second, third … one is looked at; "approximate_medoid" the pixel
            nearest to the centroid. Of equals the first one counts.

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
    """Take the one of P x N places with the least sum of distances to all."""
    sample = pixels[:: -(-len(pixels) // SAMPLE)]
    sums = torch.cdist(sample, sample, compute_mode="donot_use_mm_for_euclid_dist").mean(dim=1)
    return sample[sums.float().argmin()]


MODES: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "centroid": _centroid,
    "medoid": _medoid,
    "approximate_medoid": _approximate_medoid,
}
