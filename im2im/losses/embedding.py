"""The loss of instance segmentation by embeddings (Neven et al., CVPR 2019; Lalit et al., 2022, "EmbedSeg")."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from im2im.embedding import EmbeddingLayout, membership, precision
from im2im.losses.centres import MODES, centres_of_pixels
from im2im.losses.hinge import InstanceHinge, Objects, distances_from_centre


@dataclass(frozen=True)
class EmbeddingLoss:
    """Pixels of an object shall meet at its centre, within a distance that they agree upon, and know how well they do.

    The mean over the samples of the weighted sum of three terms: the Lovász hinge of each object's memberships against its mask, averaged
    over objects; the variance of sigma within each object, averaged over objects and axes; and the squared error of the seed, which shall
    be 0 in the background and the membership in an object, averaged over pixels. Of a sample without objects only the seed counts.

    Args:
        voxel_size: Lengths of a voxel along (Z)YX; only their ratios count.
        extent: Number of lateral pixels that the longest offset spans.
        centre: "approximate_medoid", "medoid" or "centroid", see :func:`im2im.losses.centres.centres_of_pixels`.
        foreground_weight: Of an object's pixel relative to one of the background, in the term of the seed.
        instance_weight: Of the first term.
        variance_weight: Of the second.
        seed_weight: Of the third.
    """

    voxel_size: Sequence[float]
    extent: float = 1024.0
    centre: str = "approximate_medoid"
    foreground_weight: float = 10.0
    instance_weight: float = 1.0
    variance_weight: float = 10.0
    seed_weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        EmbeddingLayout(self.voxel_size, self.extent)
        if self.centre not in MODES:
            raise ValueError(f"the centre of an object is one of {', '.join(MODES)}, got {self.centre!r}; change centre")

    def __call__(self, prediction: Tensor, instances: Tensor, cost_map: Tensor | None = None) -> Tensor:
        """Compare in single precision, also under autocast.

        Args:
            prediction: Raw output, BC(Z)YX: N offsets, N sigmas, one seed.
            instances: Number of each pixel's object, 0 for background, B1(Z)YX.
            cost_map: A pixel where it is not above 0 takes part in no term; B1(Z)YX.

        Raises:
            ValueError: For other shapes.
        """
        _require_shapes(prediction, instances, cost_map, len(self.voxel_size))
        costs = [None] * len(prediction) if cost_map is None else cost_map
        with torch.autocast(prediction.device.type, enabled=False):
            losses = [self._of_sample(*sample) for sample in zip(prediction.float(), instances.long(), costs, strict=True)]
        return torch.stack(losses).mean()

    def _of_sample(self, raw: Tensor, instances: Tensor, cost_map: Tensor | None) -> Tensor:
        """Weigh the three terms of C(Z)YX and 1(Z)YX."""
        layout = EmbeddingLayout(self.voxel_size, self.extent)
        taking_part = torch.ones_like(instances, dtype=torch.bool) if cost_map is None else cost_map > 0
        pixels = taking_part.flatten().nonzero().squeeze(1)
        offsets, sigmas, seed = layout.split(raw.flatten(1).index_select(1, pixels))  # N P, N P, P
        positions = layout.positions(pixels, instances.shape[1:])
        objects = self._objects(instances.flatten()[pixels], positions)
        sigma = _mean_by_owner(sigmas, objects)
        embeddings = offsets.tanh() + positions
        instance = InstanceHinge.apply(embeddings, precision(sigma), objects)
        terms = (instance, _variance(sigmas, sigma, objects), self._seed(seed, embeddings, sigma, objects))
        return sum(weight * term for weight, term in zip(self._weights(), terms, strict=True))

    def _objects(self, instances: Tensor, positions: Tensor) -> Objects:
        foreground = (instances > 0).nonzero().squeeze(1)
        labels, owner = instances[foreground].unique(return_inverse=True)
        places = centres_of_pixels(positions[:, foreground], owner, len(labels), self.centre)
        return Objects(places.T.contiguous(), torch.bincount(owner, minlength=len(labels)), foreground, owner)

    def _seed(self, seed: Tensor, embeddings: Tensor, sigma: Tensor, objects: Objects) -> Tensor:
        """Average the weighted squared error of the seed over all pixels that take part."""
        wanted, weights = torch.zeros_like(seed), torch.ones_like(seed)
        wanted[objects.inside] = membership(*_own(embeddings.detach(), sigma.detach(), objects))
        weights[objects.inside] = self.foreground_weight
        return (weights * (seed.sigmoid() - wanted).square()).sum() / max(len(seed), 1)

    def _weights(self) -> tuple[float, float, float]:
        return self.instance_weight, self.variance_weight, self.seed_weight


def _own(embeddings: Tensor, sigma: Tensor, objects: Objects) -> tuple[Tensor, Tensor]:
    """Give distances from the own centre, and precisions, N x F each, of the pixels in objects."""
    distances = distances_from_centre(embeddings, objects.centres, objects.inside, objects.owner)
    return distances, precision(sigma).index_select(1, objects.owner)


def _mean_by_owner(sigmas: Tensor, objects: Objects) -> Tensor:
    """Average N x P over each object's pixels, N x K."""
    sums = sigmas.new_zeros(len(sigmas), len(objects.sizes)).index_add(1, objects.owner, sigmas.index_select(1, objects.inside))
    return sums / objects.sizes


def _variance(sigmas: Tensor, mean: Tensor, objects: Objects) -> Tensor:
    """Average the squared deviation of N x P from N x K over the pixels of each object, then over axes and objects."""
    deviations = sigmas.index_select(1, objects.inside) - mean.detach().index_select(1, objects.owner)
    return (deviations.square() / objects.sizes[objects.owner]).sum() / max(mean.numel(), 1)


def _require_shapes(prediction: Tensor, instances: Tensor, cost_map: Tensor | None, spatial_dims: int) -> None:
    predicted = tuple(prediction.shape)
    if len(predicted) != spatial_dims + 2:
        raise ValueError(f"voxel_size has {spatial_dims} lengths, but the prediction has the shape {predicted}; change voxel_size")
    wanted = (predicted[0], 1, *predicted[2:])
    for name, image in (("instances", instances), ("cost map", cost_map)):
        if image is not None and tuple(image.shape) != wanted:
            raise ValueError(f"{name} must have shape {wanted}, got {tuple(image.shape)}; replace the images under data.root")
