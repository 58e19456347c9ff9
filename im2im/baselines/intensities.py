"""Baselines that predict intensities: the source itself, a Gaussian filter, and a linear filter.

Each is fitted on pieces of training images and holds plain numbers; called with a normalized source C(Z)YX, and which pixels
(Z)YX are scored, it gives the normalized target.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import correlate, gaussian_filter

from im2im.baselines.sample import Sample

SIGMAS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # pixels
WINDOWS = {2: (7, 7), 3: (3, 7, 7)}  # by the number of spatial axes
PIXELS = 1 << 15  # of all samples together, from which a linear filter is solved
RIDGE = 1e-5  # of the mean variance of the pixels of a window


@dataclass(frozen=True)
class Identity:
    """The source, brought to the scale of the target.

    Args:
        scale: Of each channel.
        offset: Of each channel.
    """

    scale: list[float]
    offset: list[float]

    @classmethod
    def fit(cls, samples: Sequence[Sample]) -> "Identity | None":
        """Find scale and offset of the smallest squared error; None where source and target differ in their channels."""
        if not _alike(samples):
            return None
        scale, offset, _ = _line(samples, lambda source: source)
        return cls(scale, offset)

    def __call__(self, source: np.ndarray, included: np.ndarray | None = None) -> np.ndarray:
        """Predict a target C(Z)YX."""
        return _scaled(source, self.scale, self.offset)


@dataclass(frozen=True)
class Gaussian:
    """The source after a Gaussian filter, brought to the scale of the target.

    Args:
        sigma: Pixels along each axis, (Z)YX.
        scale: Of each channel.
        offset: Of each channel.
    """

    sigma: list[float]
    scale: list[float]
    offset: list[float]

    @classmethod
    def fit(cls, samples: Sequence[Sample]) -> "Gaussian | None":
        """Choose the filter of the smallest squared error, of stacks also among those of single planes; None as for the identity."""
        if not _alike(samples):
            return None
        axes = samples[0].source.ndim - 1
        depths = (0.0, 1.0) if axes == 3 else (1.0,)
        sigmas = [[depth * sigma, *[sigma] * (axes - 1)] for sigma in SIGMAS for depth in depths]
        fits = [(sigma, *_line(samples, partial(_smooth, sigma=sigma))) for sigma in sigmas]
        sigma, scale, offset, _ = min(fits, key=lambda one: one[-1])
        return cls(sigma, scale, offset)

    def __call__(self, source: np.ndarray, included: np.ndarray | None = None) -> np.ndarray:
        """Predict a target C(Z)YX."""
        return _scaled(_smooth(source, self.sigma), self.scale, self.offset)


@dataclass(frozen=True)
class LinearFilter:
    """Each channel of the target as a weighted sum of the pixels of all channels of the source within a small window.

    Args:
        weights: Target channel, source channel, (Z)YX.
        offset: Of each target channel.
    """

    weights: list
    offset: list[float]

    @classmethod
    def fit(cls, samples: Sequence[Sample]) -> "LinearFilter | None":
        """Solve the normal equations of a ridge regression on random pixels; None where no pixel takes part."""
        channels, window = len(samples[0].source), WINDOWS[samples[0].source.ndim - 1]
        features, outputs = channels * math.prod(window), len(samples[0].truth)
        moments, sums, count, rng = np.zeros((features + outputs,) * 2), np.zeros(features + outputs), 0, np.random.default_rng(0)
        for sample in samples:
            rows = _windows(sample, window, PIXELS // len(samples), rng)
            moments, sums, count = moments + rows.T @ rows, sums + rows.sum(axis=0), count + len(rows)
        if not count:
            return None
        mean = sums / count
        covariance = moments / count - np.outer(mean, mean)
        ridge = (RIDGE * np.trace(covariance[:features, :features]) / features or 1.0) * np.eye(features)  # 1: of a constant source
        weights = np.linalg.solve(covariance[:features, :features] + ridge, covariance[:features, features:])
        offset = mean[features:] - mean[:features] @ weights
        return cls(weights.T.reshape(outputs, channels, *window).tolist(), offset.tolist())

    def __call__(self, source: np.ndarray, included: np.ndarray | None = None) -> np.ndarray:
        """Predict a target C(Z)YX."""
        target = np.empty((len(self.offset), *source.shape[1:]), np.float32)
        for channel, (filters, offset) in enumerate(zip(np.asarray(self.weights), self.offset, strict=True)):
            parts = (correlate(image, one, np.float32, mode="reflect") for image, one in zip(source, filters, strict=True))
            target[channel] = sum(parts, start=np.float32(offset))
        return target


def _alike(samples: Sequence[Sample]) -> bool:
    """Tell whether source and target have as many channels, and any pixel takes part."""
    return len(samples[0].source) == len(samples[0].truth) and any(sample.included.any() for sample in samples)


def _smooth(source: np.ndarray, sigma: Sequence[float]) -> np.ndarray:
    return gaussian_filter(source, (0, *sigma))


def _scaled(image: np.ndarray, scale: Sequence[float], offset: Sequence[float]) -> np.ndarray:
    shape = (-1, *[1] * (image.ndim - 1))
    return (image * np.reshape(scale, shape) + np.reshape(offset, shape)).astype(np.float32)


def _line(samples: Sequence[Sample], change: Callable[[np.ndarray], np.ndarray]) -> tuple[list[float], list[float], float]:
    """Fit target = scale × changed source + offset to each channel; gives scales, offsets and the mean squared error of all channels."""
    x = np.concatenate([change(sample.source)[:, sample.included] for sample in samples], axis=1).astype(np.float64)
    y = np.concatenate([sample.truth[:, sample.included] for sample in samples], axis=1).astype(np.float64)
    centre, middle = x.mean(axis=1), y.mean(axis=1)
    x, y = x - centre[:, None], y - middle[:, None]
    variance, covariance = (x * x).mean(axis=1), (x * y).mean(axis=1)
    scale = np.divide(covariance, variance, out=np.zeros_like(variance), where=variance > 0)
    error = ((y * y).mean(axis=1) - scale * covariance).mean()
    return scale.tolist(), (middle - scale * centre).tolist(), float(error)


def _windows(sample: Sample, window: tuple[int, ...], most: int, rng: np.random.Generator) -> np.ndarray:
    """Draw pixels that take part; gives a row for each: the pixels of the window around it in every source channel, then its target."""
    places = np.argwhere(sample.included)
    places = places[rng.permutation(len(places))[:most]]
    padded = np.pad(sample.source, [(0, 0), *((size // 2, size // 2) for size in window)], mode="symmetric")
    seen = sliding_window_view(padded, window, axis=tuple(range(1, padded.ndim)))[(slice(None), *places.T)]  # C, pixel, window
    flat = np.moveaxis(seen, 0, 1).reshape(len(places), len(sample.source) * math.prod(window))
    return np.concatenate([flat, sample.truth[(slice(None), *places.T)].T], axis=1, dtype=np.float64)
