"""From embeddings to objects (Neven et al., CVPR 2019; Lalit et al., 2022, "EmbedSeg")."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from im2im.embedding import EmbeddingLayout, precision
from im2im.grid import Cells, near, sort_into_cells, volume
from im2im.ordering import descending

Array = NDArray[Any]
LARGEST_DISTANCE = math.log(2)  # squared and times precision: where phi is one half
SAMPLE = 4096  # candidates from which the size of cells is chosen


@dataclass(frozen=True)
class Clustering:
    """Greedy clustering: the pixel of the highest seed proposes an object, again and again.

    The pixels whose seed exceeds ``foreground`` can belong to objects. The one with the highest seed among those not yet clustered proposes
    all of them with phi > 1/2, as its own embedding and sigma have it. If these are more than ``min_size``, clustered ones included, and
    more than half of them are not yet clustered, then all of them that have no label yet become an object: a label once given stays, unlike
    in the published code, so that an object may be smaller than what proposed it. Either way, as there, the proposed pixels count as
    clustered from then on. Of equal seeds the first pixel comes first.

    What belongs together is decided on the grid of the whole image, so that it does not matter from which tiles the output was stitched.

    Args:
        voxel_size: Lengths of a voxel along (Z)YX; only their ratios count.
        extent: Number of lateral pixels that the longest offset spans, as in training.
        seed_threshold: Smallest seed that proposes an object.
        foreground: Seed above which a pixel can belong to one.
        min_size: Number of pixels that a proposal must exceed.
    """

    voxel_size: Sequence[float]
    extent: float = 1024.0
    seed_threshold: float = 0.5
    foreground: float = 0.5
    min_size: int = 10

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        EmbeddingLayout(self.voxel_size, self.extent)
        for name, threshold in (("seed_threshold", self.seed_threshold), ("foreground", self.foreground)):
            if not 0 <= threshold <= 1:
                raise ValueError(f"a seed lies between 0 and 1, got {threshold}; change {name}")

    def __call__(self, prediction: Array) -> NDArray[np.int32]:
        """Label the objects from 1 on, by descending seed.

        Args:
            prediction: Activated output C(Z)YX: N offsets in [-1, 1], N sigmas, one seed in [0, 1]. A pixel with a NaN is background.

        Returns:
            (Z)YX, 0 for background.

        Raises:
            ValueError: For another number of axes or channels.
        """
        layout = EmbeddingLayout(self.voxel_size, self.extent)
        if prediction.ndim != layout.spatial_dims + 1:
            raise ValueError(f"voxel_size has {layout.spatial_dims} lengths, got a prediction of {prediction.shape}; change voxel_size")
        offsets, sigmas, seed = layout.split(torch.from_numpy(np.require(prediction, np.float32, ("C", "W"))).flatten(1))
        pixels = (seed > self.foreground).nonzero().squeeze(1)
        offsets, sigmas = (channels.index_select(1, pixels) for channels in (offsets, sigmas))
        finite = torch.isfinite(offsets.sum(dim=0) + sigmas.sum(dim=0))
        if not finite.all():
            pixels, offsets, sigmas = pixels[finite], offsets[:, finite], sigmas[:, finite]
        embeddings = layout.positions(pixels, prediction.shape[1:]) + offsets
        precisions = precision(sigmas)
        labels = np.zeros(seed.shape, np.int32)
        labels[pixels.numpy()] = self._cluster(volume(embeddings.numpy()), volume(precisions.numpy()), seed[pixels].numpy())
        return labels.reshape(prediction.shape[1:])

    def _cluster(self, embeddings: Array, precisions: Array, seeds: Array) -> NDArray[np.int32]:
        """Label M pixels, with M x 3 embeddings and precisions."""
        candidates = np.flatnonzero(seeds >= self.seed_threshold)
        candidates = candidates[descending(seeds[candidates])]
        if not len(candidates):
            return np.zeros(len(seeds), np.int32)
        typical = np.median(precisions[candidates[:: 1 + len(candidates) // SAMPLE]], axis=0)
        cells = sort_into_cells(embeddings, typical, LARGEST_DISTANCE)
        return _propose(candidates, embeddings, precisions, cells, self.min_size)


@njit(nogil=True)
def _propose(candidates: Array, embeddings: Array, precisions: Array, cells: Cells, min_size: int) -> NDArray[np.int32]:
    """Go through the candidates, indices by descending seed, and label M pixels."""
    labels, clustered = np.zeros(len(embeddings), np.int32), np.zeros(len(embeddings), np.bool_)
    found = np.empty(len(embeddings), np.int64)
    last, free = 0, len(embeddings)
    for seed in candidates:
        if 2 * free <= min_size:
            break  # more than half of more than this many can no longer be free
        if clustered[seed]:
            continue
        proposed = cells.order[found[: near(embeddings[seed], precisions[seed], LARGEST_DISTANCE, cells, found)]]
        fresh = len(proposed) - int(np.count_nonzero(clustered[proposed]))
        clustered[proposed] = True
        free -= fresh
        if len(proposed) > min_size and 2 * fresh > len(proposed):
            last += 1
            for pixel in proposed:
                if labels[pixel] == 0:
                    labels[pixel] = last
    return labels
