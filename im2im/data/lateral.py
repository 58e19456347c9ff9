"""Random changes of patches in the plane, the same in 2D and 3D: each plane of a stack changes alike, and planes never mix."""

import math
from typing import Any

import numpy as np
import torch
from monai.transforms.transform import Randomizable
from scipy import ndimage
from torch.nn import functional as F

INTERPOLATIONS = ("bilinear", "nearest")


class Deformation(Randomizable):
    """Turn, scale and bend source, target and cost map together.

    Where there are no pixels to bring in, the source is mirrored, and so is an image as target. A mirrored piece would count as a part of
    the object that it mirrors, so labels (``nearest``) become background there and the cost map excludes it; if there is none, one is
    added. A cost map that is there excludes it for images as well.

    Args:
        prob: Share of the patches that change.
        angle: Largest turn in either direction, degrees.
        scale: Smallest and largest magnification; the logarithm is evenly distributed.
        elastic: Standard deviation of a shift that varies from place to place, pixels.
        spacing: Distance over which that shift varies, pixels.
        target_interpolation: ``bilinear`` for images, ``nearest`` for labels.

    Raises:
        ValueError: A setting is out of its range.
    """

    def __init__(
        self,
        prob: float = 0.8,
        angle: float = 180.0,
        scale: tuple[float, float] = (0.8, 1.25),
        elastic: float = 0.0,
        spacing: float = 32.0,
        target_interpolation: str = "bilinear",
    ) -> None:
        if target_interpolation not in INTERPOLATIONS:
            raise ValueError(f"Targets are resampled bilinear or nearest, got {target_interpolation!r}; change target_interpolation")
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"Magnifications rise from above 0, got {list(scale)}; change augmentation.transforms.deformation.scale")
        if elastic < 0 or spacing <= 0:
            raise ValueError(
                f"Bending needs a shift of 0 or more and a spacing above 0, got {elastic} and {spacing}; "
                "change augmentation.transforms.deformation.elastic or .spacing"
            )
        self.prob, self.angle, self.scale, self.elastic, self.spacing = prob, angle, scale, elastic, spacing
        self.target_interpolation = target_interpolation

    def __call__(self, sample: dict[str, Any]) -> dict[str, np.ndarray]:
        """Change a sample of arrays C(Z)YX."""
        arrays = {role: np.asarray(array, np.float32) for role, array in sample.items()}
        if self.target_interpolation == "nearest" and "cost_map" not in arrays:
            arrays["cost_map"] = np.ones_like(arrays["source"][:1])
        if self.R.random() >= self.prob:
            return arrays
        places = self.places(arrays["source"].shape[-2:])
        return {role: resample(array, places, *self._how(role)) for role, array in arrays.items()}

    def places(self, shape: tuple[int, ...]) -> np.ndarray:
        """Draw where each pixel of a plane of this shape comes from: 2YX (y, x), pixels."""
        angle = math.radians(self.R.uniform(-self.angle, self.angle))
        magnification = math.exp(self.R.uniform(*np.log(self.scale)))
        centre = (np.reshape(shape, (2, 1, 1)) - 1) / 2
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / magnification
        places = np.tensordot(turn, np.indices(shape) - centre, axes=1) + centre
        return places + self._shifts(shape) if self.elastic else places

    def _shifts(self, shape: tuple[int, ...]) -> np.ndarray:
        """Draw a smooth shift of each pixel, 2YX: random on a coarse grid, cubic in between."""
        coarse = self.R.normal(0, self.elastic, (2, *(math.ceil(length / self.spacing) + 4 for length in shape)))
        start = self.R.uniform(1, 2, 2).reshape(2, 1, 1)
        where = start + np.indices(shape) / self.spacing
        return np.stack([ndimage.map_coordinates(axis, where, order=3, mode="nearest") for axis in coarse])

    def _how(self, role: str) -> tuple[str, str]:
        """Give the interpolation and what lies outside."""
        if role == "cost_map" or (role == "target" and self.target_interpolation == "nearest"):
            return "nearest", "zeros"
        return "bilinear", "reflection"


class Blur(Randomizable):
    """Blur the source by a Gaussian in the plane.

    Args:
        prob: Share of the patches that change.
        sigma: Smallest and largest standard deviation, pixels.
    """

    def __init__(self, prob: float = 0.3, sigma: tuple[float, float] = (0.3, 1.0)) -> None:
        self.prob, self.sigma = prob, sigma

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Change the source, C(Z)YX, of a sample."""
        chosen, sigma = self.R.random() < self.prob, self.R.uniform(*self.sigma)
        if not chosen:
            return sample
        return {**sample, "source": ndimage.gaussian_filter(np.asarray(sample["source"], np.float32), sigma, mode="mirror", axes=(-2, -1))}


def resample(array: np.ndarray, places: np.ndarray, interpolation: str, outside: str) -> np.ndarray:
    """Take each pixel of every plane from another place of that plane.

    Args:
        array: C(Z)YX float32.
        places: 2YX (y, x), pixels.
        interpolation: "bilinear" or "nearest".
        outside: "reflection" at the outermost pixels, or "zeros".
    """
    planes = torch.from_numpy(np.ascontiguousarray(array)).reshape(1, -1, *array.shape[-2:])  # channels and slices alike
    last = np.maximum(np.array(array.shape[-2:]) - 1, 1).reshape(2, 1, 1)
    grid = torch.from_numpy((2 * places / last - 1)[::-1].astype(np.float32)).movedim(0, -1)  # YX2 (x, y), -1 to 1
    return F.grid_sample(planes, grid[None], interpolation, outside, align_corners=True).reshape(array.shape).numpy()
