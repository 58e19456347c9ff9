"""How the predictions of overlapping tiles become one image."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor

from im2im.inference.planning import Tile

Predictions = Iterable[tuple[Tile, Tensor]]


class Blending(Protocol):
    """Anything that can join the predictions of tiles."""

    def __call__(self, predictions: Predictions, shape: tuple[int, ...]) -> Tensor:
        """Return one image.

        Args:
            predictions: Each tile with the prediction of all that it reads, C(Z)YX; consumed one by one.
            shape: (Z)YX of the image.

        Returns:
            C(Z)YX, of the predictions' channels, type and device.
        """
        ...


@dataclass(frozen=True)
class Crop:
    """Cut off the halo of every tile: each pixel comes from the one tile in whose middle it lies, and is written once."""

    def __call__(self, predictions: Predictions, shape: tuple[int, ...]) -> Tensor:
        """Return one image, see :class:`Blending`."""
        result, predictions = _allocated(predictions, shape)
        for tile, prediction in predictions:
            result[(slice(None), *tile.write)] = prediction[(slice(None), *tile.inner)]
        return result


@dataclass(frozen=True)
class Gaussian:
    """Average overlapping tiles, weighted by a Gaussian around the centre of each (as nnU-Net does, Isensee et al., 2021).

    Args:
        sigma: Standard deviation as a fraction of the tile's length along each axis.

    Raises:
        ValueError: ``sigma`` is not positive.
    """

    sigma: float = 0.125

    def __post_init__(self) -> None:
        """Refuse a width that gives no weights."""
        if not self.sigma > 0:
            raise ValueError(f"The width of the Gaussian must be positive, got {self.sigma}; raise inference.blending.sigma")

    def __call__(self, predictions: Predictions, shape: tuple[int, ...]) -> Tensor:
        """Return one image, see :class:`Blending`."""
        result, predictions = _allocated(predictions, shape)
        total = result.new_zeros(shape)
        weights: dict[tuple[int, ...], Tensor] = {}
        result.zero_()
        for tile, prediction in predictions:
            size = tuple(prediction.shape[1:])
            if size not in weights:
                weights[size] = self.importance(size).to(result)
            result[(slice(None), *tile.read)].addcmul_(prediction, weights[size])
            total[tile.read] += weights[size]
        return result.div_(total)

    def importance(self, size: tuple[int, ...]) -> Tensor:
        """Return the weight of every pixel of a tile of ``size`` (Z)YX: 1 in its centre, never below 0.001."""
        importance = torch.ones(())
        for length in size:
            distance = torch.arange(length) - (length - 1) / 2
            importance = importance[..., None] * torch.exp(-0.5 * (distance / (self.sigma * length)) ** 2)
        return importance.clamp(min=1e-3)


def _allocated(predictions: Predictions, shape: tuple[int, ...]) -> tuple[Tensor, Iterator[tuple[Tile, Tensor]]]:
    """Return the whole result, still empty, as large and of such channels as the first prediction has; and all predictions."""
    predictions = iter(predictions)
    tile, prediction = next(predictions)
    return prediction.new_empty((prediction.shape[0], *shape)), chain([(tile, prediction)], predictions)
