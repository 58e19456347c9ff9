"""From numbers to colours: grey for intensities, blue-white-red for errors, one colour for each label."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from skimage.color import hsv2rgb, lab2rgb

NOT_FINITE = (224, 148, 32)
"""The colour of pixels that are NaN or infinite: no grey and no error looks like it."""
AGREEMENT = {
    "background": (255, 255, 255),
    "right": (206, 206, 206),
    "missed": (7, 95, 175),
    "extra": (171, 49, 48),
    "other": (214, 158, 34),
}


def grey(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Intensities as grey: ``low`` is black, ``high`` is white.

    Args:
        values: Any shape.
        low: Shown black, as is all below it.
        high: Shown white, as is all above it.

    Returns:
        uint8 of the shape of ``values`` and a last axis of three.
    """
    return _mark(values, np.repeat(_fraction(values, low, high)[..., None], 3, axis=-1))


def rgb(values: np.ndarray, ranges: list[tuple[float, float]]) -> np.ndarray:
    """Three channels as red, green and blue (last axis), each between the ``(low, high)`` of its own."""
    channels = [_fraction(values[..., channel], *limits) for channel, limits in enumerate(ranges)]
    return _mark(values.sum(axis=-1), np.stack(channels, axis=-1))


def diverging(values: np.ndarray, limit: float) -> np.ndarray:
    """Signed values from blue (``-limit``) over white (zero) to red (``limit``), lightness even on both sides."""
    scaled = np.clip(np.nan_to_num(values / limit, nan=0.0), -1, 1)
    index = np.round(scaled * 128).astype(int) + 128
    return _mark(values, _diverging_table()[index])


def labels(values: np.ndarray) -> np.ndarray:
    """Whole numbers as colours: 0 is black, neighbouring numbers lie far apart on the colour circle."""
    ids = values.astype(np.int64)
    hue = (ids * 0.618033988749895) % 1.0
    colour = hsv2rgb(np.stack([hue, 0.45 + 0.2 * (ids % 2), 0.95 - 0.2 * (ids % 3 == 0)], axis=-1))
    return np.where((ids != 0)[..., None], np.round(colour * 255), 0).astype(np.uint8)


def agreement(codes: np.ndarray) -> np.ndarray:
    """Codes that index :data:`AGREEMENT` as its colours."""
    return np.array(list(AGREEMENT.values()), np.uint8)[codes]


def _fraction(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where values lie between two limits, as uint8."""
    finite = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.round(np.clip((finite - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _mark(values: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values)[..., None], colours, np.array(NOT_FINITE, np.uint8)).astype(np.uint8)


@lru_cache(maxsize=1)
def _diverging_table() -> np.ndarray:
    """257 colours whose CIELAB lightness falls evenly from the neutral middle (Moreland, 2009, asks for just that)."""
    signed = np.linspace(-1, 1, 257)
    strength = np.abs(signed)
    hue = np.radians(np.where(signed < 0, 280.0, 30.0))
    chroma = np.where(signed < 0, 50.0, 58.0) * strength
    lab = np.stack([97 - 57 * strength, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    return np.round(lab2rgb(lab) * 255).astype(np.uint8)
