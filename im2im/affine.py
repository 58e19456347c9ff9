"""The linear scale of an image: what a normalization finds, a run writes down, and a prediction is turned back with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = tuple[float, ...]


@dataclass(frozen=True)
class Affine:
    """``(image - offset) / scale``, clipped to ``[low, high]`` where given.

    Attributes:
        offset: One value per channel, or one for all channels; so are the others.
        scale: Never 0.
        low: Smallest value of the result, None: no limit.
        high: Largest value of the result, None: no limit.
        fill: What pixels become that have no finite result (NaN).
    """

    offset: Floats
    scale: Floats
    low: Floats | None = None
    high: Floats | None = None
    fill: Floats = (0.0,)

    def apply(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Normalize.

        Args:
            image: C(Z)YX of any real type, a whole image or a patch of it.

        Returns:
            A new array of the same shape, finite everywhere.

        Raises:
            ValueError: The number of channels differs from that of the statistics.
        """
        image, dtype = np.asarray(image), np.result_type(image, np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            result = np.subtract(image, _column(self.offset, image, dtype), dtype=dtype)
            result /= _column(self.scale, image, dtype)
            if self.low is not None or self.high is not None:
                low, high = (None if limit is None else _column(limit, image, dtype) for limit in (self.low, self.high))
                np.clip(result, low, high, out=result)
            result = result.astype(np.float32, copy=False)
        if image.dtype.kind == "f":
            np.copyto(result, _column(self.fill, image, np.float32), where=~np.isfinite(result))
        return result

    def invert(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Return ``image * scale + offset``: C(Z)YX back in the units of the original (what was clipped stays clipped)."""
        image, dtype = np.asarray(image), np.result_type(image, np.float32)
        result = np.multiply(image, _column(self.scale, image, dtype), dtype=dtype)
        result += _column(self.offset, image, dtype)
        return result.astype(np.float32, copy=False)

    def to_dict(self) -> dict[str, list[float] | None]:
        """Return plain containers that JSON, YAML and a checkpoint can hold."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: None if entry is None else [float(number) for number in entry] for name, entry in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Affine":
        """Read what :meth:`to_dict` wrote."""
        entries: dict[str, Any] = {name: None if entry is None else tuple(map(float, entry)) for name, entry in values.items()}
        return cls(**entries)


def typical(affines: Sequence[Affine]) -> Affine:
    """Return the per-channel median of offset and scale over images.

    It is the scale of predictions, for which the target's own statistics are unknown; limits and fill are those of the first image.

    Raises:
        ValueError: There are no images, or their numbers of channels differ.
    """
    if not affines:
        raise ValueError("A typical scale needs the statistics of at least one image, got none; check data.root")
    channels = {max(len(affine.offset), len(affine.scale)) for affine in affines} - {1}
    if len(channels) > 1:
        raise ValueError(f"All images need the same number of channels, got {sorted(channels)}; check data.root")
    first, count = affines[0], max(channels, default=1)
    offset = np.median([np.broadcast_to(affine.offset, count) for affine in affines], axis=0)
    scale = np.median([np.broadcast_to(affine.scale, count) for affine in affines], axis=0)
    return Affine(tuple(offset.tolist()), tuple(scale.tolist()), first.low, first.high, first.fill)


def _column(values: Floats, image: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return values as C x 1 x 1 (x 1), to be broadcast over an image of C channels."""
    if len(values) not in (1, image.shape[0]):
        raise ValueError(f"The image has {image.shape[0]} channels, got statistics of {len(values)}; fit the normalization to this image")
    return np.asarray(values, dtype).reshape(-1, *(1,) * (image.ndim - 1))
