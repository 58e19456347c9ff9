"""What makes images comparable before a network sees them.

A normalization is fitted to one whole image of shape C(Z)YX, in memory or read part by part, and gives what is applied to every patch or
tile of that image. Mostly that is an :class:`Affine`, which can also be written down with the run and inverted for predictions. Pixels that
are not finite take no part in any statistic.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from im2im.affine import Affine, typical
from im2im.large import LargeArray
from im2im.macenko import Macenko, StainTransform
from im2im.statistics import Values, extremes, moments, percentiles

__all__ = [
    "Affine",
    "Center",
    "Fitted",
    "Identity",
    "Macenko",
    "Mask",
    "MinMax",
    "Normalization",
    "Percentile",
    "StainTransform",
    "Standard",
    "typical",
]

Image: TypeAlias = NDArray[Any] | LargeArray
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)


class Fitted(Protocol):
    """What a normalization found out about an image."""

    def apply(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Normalize the whole image or a patch of it (C(Z)YX): a new array of the same shape, finite everywhere."""
        ...


class Normalization(Protocol):
    """Anything that can be fitted to an image."""

    def fit(self, image: Image) -> Fitted:
        """Return the transform that normalizes ``image`` (C(Z)YX)."""
        ...


@dataclass(frozen=True)
class Percentile:
    """Two percentiles of the image to ``out_min`` and ``out_max``; NaN pixels become ``out_min``.

    Args:
        low: Percentile (0 to 100) that becomes ``out_min``, interpolated linearly.
        high: Percentile that becomes ``out_max``.
        out_min: Lower end of the range.
        out_max: Upper end of the range.
        clip: Cut off what lies outside of the range.
        per_channel: Percentiles of each channel, else of all channels together.

    Raises:
        ValueError: Not ``0 <= low < high <= 100``, or not ``out_min < out_max``.
    """

    low: float = 0.1
    high: float = 99.9
    out_min: float = 0.0
    out_max: float = 1.0
    clip: bool = True
    per_channel: bool = True

    def __post_init__(self) -> None:
        """Refuse percentiles and ranges in the wrong order."""
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(
                f"Percentiles must rise within 0 to 100, got {self.low} and {self.high}; change normalization.low or normalization.high"
            )
        _require_rising(self.out_min, self.out_max)

    def fit(self, image: Image) -> Affine:
        """Return the transform that normalizes ``image`` (C(Z)YX)."""
        ranges = [percentiles(part, (self.low, self.high)) for part in _parts(image, self.per_channel)]
        return _to_range(ranges, self.out_min, self.out_max, self.clip)


@dataclass(frozen=True)
class MinMax:
    """Smallest and largest value of the image to ``out_min`` and ``out_max``; NaN pixels become ``out_min``.

    Args:
        out_min: Lower end of the range.
        out_max: Upper end of the range.
        per_channel: Extremes of each channel, else of all channels together.

    Raises:
        ValueError: Not ``out_min < out_max``.
    """

    out_min: float = 0.0
    out_max: float = 1.0
    per_channel: bool = True

    def __post_init__(self) -> None:
        """Refuse a range in the wrong order."""
        _require_rising(self.out_min, self.out_max)

    def fit(self, image: Image) -> Affine:
        """Return the transform that normalizes ``image`` (C(Z)YX)."""
        return _to_range(map(extremes, _parts(image, self.per_channel)), self.out_min, self.out_max, clip=True)


@dataclass(frozen=True)
class Standard:
    """Mean 0 and standard deviation 1; NaN pixels become 0.

    Args:
        per_channel: Statistics of each channel, else of all channels together.
    """

    per_channel: bool = True

    def fit(self, image: Image) -> Affine:
        """Return the transform that normalizes ``image`` (C(Z)YX)."""
        means, deviations = zip(*map(moments, _parts(image, self.per_channel)), strict=True)
        return Affine(means, tuple(map(_usable_scale, deviations, means)))


@dataclass(frozen=True)
class Center:
    """As :class:`Standard`, statistics from the middle slices of Z only: a stack's ends are often out of focus.

    Args:
        slices: How many slices of Z; all of them where the stack has fewer or has no Z.
        per_channel: Statistics of each channel, else of all channels together.

    Raises:
        ValueError: ``slices`` is below 1.
    """

    slices: int = 32
    per_channel: bool = True

    def __post_init__(self) -> None:
        """Refuse an empty chunk."""
        if self.slices < 1:
            raise ValueError(f"The middle chunk needs at least one slice, got {self.slices}; raise normalization.slices")

    def fit(self, image: Image) -> Affine:
        """Return the transform that normalizes ``image`` (C(Z)YX)."""
        if image.ndim == 4:
            start = max(0, (image.shape[1] - self.slices) // 2)
            image = image[:, start : start + self.slices]
        return Standard(self.per_channel).fit(image)


@dataclass(frozen=True)
class Mask:
    """Background (0 and below) to ``out_min``, objects (1 and above, whatever their number) to ``out_max``; NaN pixels become ``out_min``.

    Soft masks keep their shades between 0 and 1.

    Args:
        out_min: What background becomes.
        out_max: What objects become.

    Raises:
        ValueError: Not ``out_min < out_max``.
    """

    out_min: float = -1.0
    out_max: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a range in the wrong order."""
        _require_rising(self.out_min, self.out_max)

    def fit(self, image: Image) -> Affine:
        """Return the transform that takes 0 and 1 to the ends of the range, whatever the image."""
        return _to_range([(0.0, 1.0)], self.out_min, self.out_max, clip=True)


@dataclass(frozen=True)
class Identity:
    """The image as it is, in float32; NaN pixels become 0."""

    def fit(self, image: Image) -> Affine:
        """Return the transform that changes nothing, whatever the image."""
        return Affine(offset=(0.0,), scale=(1.0,))


def _require_rising(out_min: float, out_max: float) -> None:
    if not out_min < out_max:
        raise ValueError(
            f"The range must have out_min below out_max, got {out_min} and {out_max}; change normalization.out_min or normalization.out_max"
        )


def _to_range(ranges: Iterable[tuple[float, float]], out_min: float, out_max: float, clip: bool) -> Affine:
    """Return the transform that takes each channel's (low, high) to (out_min, out_max)."""
    ranges = list(ranges)
    scale = tuple(_usable_scale((high - low) / (out_max - out_min), low) for low, high in ranges)
    offset = tuple(low - out_min * unit for (low, _), unit in zip(ranges, scale, strict=True))
    return Affine(offset, scale, (out_min,) if clip else None, (out_max,) if clip else None, fill=(out_min,))


def _usable_scale(scale: float, offset: float) -> float:
    """Return 1 for the scale of a constant image, which is 0 but for rounding."""
    return scale if math.isfinite(scale) and scale > max(SMALLEST_SCALE, 1e-12 * abs(offset)) else 1.0


def _parts(image: Image, per_channel: bool) -> list[Values]:
    """Return the flat values that share their statistics."""
    if isinstance(image, LargeArray):
        return [image[index : index + 1] for index in range(image.shape[0])] if per_channel else [image]
    image = np.asarray(image)
    return [channel.reshape(-1) for channel in image] if per_channel else [image.reshape(-1)]
