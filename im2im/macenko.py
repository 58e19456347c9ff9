"""Stain normalization of histology by Macenko et al. ("A method for normalizing histology slides", ISBI 2009).

A slide is white light through two dyes. By Beer and Lambert the optical density of a pixel is a mixture of their colours, weighted by
the amounts. Both colours are found in the image and replaced by those of a reference, amounts in proportion. All of it is one 3x3 matrix
between optical densities, fitted on the coloured pixels of a whole image, so that it does not matter how much of a slide is blank, and
applied pixel by pixel.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from im2im.large import LargeArray

WHITE = 240.0  # intensity of the light, on the scale 0 to 255
FAINTEST = 0.15  # optical density that a coloured pixel has in every channel
FEWEST = 50  # coloured pixels that a fit needs
SAMPLED = 1 << 20  # pixels that a fit looks at
SMALLEST_ANGLE = math.radians(2)  # between two dyes; below, the image has one colour
REFERENCE = np.array([[0.5626, 0.2159], [0.7201, 0.8012], [0.4062, 0.5581]])  # RGB x (hematoxylin, eosin)
REFERENCE_MAXIMA = np.array([1.9705, 1.0308])  # amounts of the reference, 99th percentiles
UNCHANGED = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class StainTransform:
    """Normalized colours of one slide.

    Attributes:
        matrix: 3x3, optical density of the slide to that of the reference.
        brightest: Value that stands for 255: 255, 65535 or 1.
        out_min: What black becomes, and pixels that are not finite.
        out_max: What 255 becomes.
    """

    matrix: tuple[tuple[float, ...], ...] = UNCHANGED
    brightest: float = 255.0
    out_min: float = -1.0
    out_max: float = 1.0

    def apply(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Normalize the fitted image or a patch of it.

        Args:
            image: RGB, 3(Z)YX.

        Returns:
            RGB from ``out_min`` to ``out_max``, a new array of the same shape, finite everywhere.

        Raises:
            ValueError: There are not 3 channels.
        """
        image = _require_rgb(image)
        density = optical_density(image, self.brightest)
        density = np.asarray(self.matrix, np.float32) @ density.reshape(3, -1)
        colour = np.clip(WHITE * np.exp(-density) - 1, 0, 255).reshape(image.shape)
        result = (self.out_min + (self.out_max - self.out_min) / 255 * colour).astype(np.float32, copy=False)
        if image.dtype.kind == "f":
            result[:, ~np.isfinite(image).all(axis=0)] = self.out_min
        return result


@dataclass(frozen=True)
class Macenko:
    """Colours of hematoxylin and a second dye to those of a reference, then 0 to 255 to ``out_min`` to ``out_max``.

    An image without two colours (a blank tile, one dye, fewer than 50 coloured pixels) keeps its own. Integers up to 255 are taken as
    8 bits, larger ones as 16 (65535 is white), floats up to 1 as parts of white; the fitted image decides.

    Args:
        out_min: What black becomes.
        out_max: What white becomes.

    Raises:
        ValueError: Not ``out_min < out_max``.
    """

    out_min: float = -1.0
    out_max: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a range in the wrong order."""
        if not self.out_min < self.out_max:
            raise ValueError(
                f"The range must rise, got {self.out_min} to {self.out_max}; change normalization.out_min or normalization.out_max"
            )

    def fit(self, image: NDArray[Any] | LargeArray) -> StainTransform:
        """Find the two colours of an RGB image (3(Z)YX).

        Raises:
            ValueError: There are not 3 channels.
        """
        pixels = _sample_large(image) if isinstance(image, LargeArray) else _sample(_require_rgb(image))
        brightest = _brightest(pixels)
        density = coloured(optical_density(pixels, brightest))
        return StainTransform(_to_reference(density, stain_colours(density)), brightest, self.out_min, self.out_max)


def optical_density(image: NDArray[Any], brightest: float = 255.0) -> NDArray[np.float32]:
    """Return ``-ln((I + 1) / 240)`` with I on the scale 0 to 255; values beyond it are cut off, NaN counts as black."""
    intensity = np.nan_to_num(np.asarray(image).astype(np.float32) * np.float32(255 / brightest), nan=0, posinf=255, neginf=0)
    return np.asarray(-np.log((np.clip(intensity, 0, 255) + 1) / np.float32(WHITE)))


def coloured(density: NDArray[Any]) -> NDArray[np.float64]:
    """Keep the pixels, RGB x pixels, that take some of the light in every channel: blank glass says nothing about dyes."""
    return density[:, (density >= FAINTEST).all(axis=0)].astype(np.float64)


def stain_colours(density: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Find the colours of two dyes: the ends of the fan that optical densities make in the plane of their largest variance.

    Args:
        density: Optical densities of coloured pixels, RGB x pixels.

    Returns:
        RGB x (hematoxylin, other dye), columns of length 1; hematoxylin is the one that takes more red. None: there are no two colours.
    """
    if density.shape[1] < FEWEST:
        return None
    plane = np.linalg.eigh(np.cov(density))[1][:, 1:]  # RGB x 2, eigenvalues ascend
    y, x = plane.T @ density.mean(axis=1)
    length = math.hypot(x, y)
    if length == 0:
        return None
    plane = plane @ np.array([[y, -x], [x, y]]) / length  # its first axis is the mean colour, so that no angle wraps
    along, across = plane.T @ density
    low, high = np.percentile(np.arctan2(across, along), [1, 99])
    if high - low < SMALLEST_ANGLE:
        return None
    ends = plane @ np.array([[math.cos(low), math.cos(high)], [math.sin(low), math.sin(high)]])
    return ends if ends[0, 0] > ends[0, 1] else ends[:, ::-1]


def _to_reference(density: NDArray[np.float64], stains: NDArray[np.float64] | None) -> tuple[tuple[float, ...], ...]:
    """Return the matrix that takes the densities of two dyes (RGB x coloured pixels) to those of the reference."""
    if stains is None:
        return UNCHANGED
    amounts = np.linalg.pinv(stains)  # of both dyes in a pixel, by least squares
    maxima = np.percentile(amounts @ density, 99, axis=1)
    if maxima.min() <= 0:
        return UNCHANGED
    matrix = REFERENCE @ np.diag(REFERENCE_MAXIMA / maxima) @ amounts
    return tuple(tuple(row) for row in matrix.tolist())


def _require_rgb(image: NDArray[Any]) -> NDArray[Any]:
    image = np.asarray(image)
    if image.shape[0] != 3:
        raise ValueError(f"Stains are normalized in RGB images of 3 channels, got {image.shape[0]}; set another normalization than macenko")
    return image


def _sample(image: NDArray[Any], count: int = SAMPLED) -> NDArray[Any]:
    """Return the finite pixels, 3 x pixels, or a random choice of a large image; always the same one."""
    pixels = image.reshape(3, -1)
    if pixels.shape[1] > count:
        pixels = pixels[:, np.random.default_rng(0).integers(0, pixels.shape[1], count)]
    return pixels[:, np.isfinite(pixels).all(axis=0)]


def _sample_large(image: LargeArray) -> NDArray[Any]:
    """Do so slab by slab, as many of each as it has its share in the image."""
    share = min(1.0, SAMPLED / math.prod(image.shape[1:]))
    return np.concatenate([_sample(_require_rgb(slab), math.ceil(share * slab[0].size)) for slab in image.slabs()], axis=1)


def _brightest(pixels: NDArray[Any]) -> float:
    """Tell on which scale an image is."""
    largest = float(pixels.max(initial=0))
    if pixels.dtype.kind == "f" and largest <= 1:
        return 1.0
    return 255.0 if largest <= 255 else 65535.0
