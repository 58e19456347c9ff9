"""How near a prediction is to its target: pure functions of one image each.

All take arrays of equal shape, C(Z)YX, and return a float. A cost map (same shape, or one channel for all) excludes pixels where it is 0.
Where no pixel takes part, or where one that does is NaN, the result is NaN, which :func:`summarize` leaves out. What begins with ``ri_``
is range-invariant: blind to the brightness and contrast of the prediction.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from im2im.statistics import compare

Array = NDArray[Any]
RADIUS = 5  # of the SSIM window: 11 taps
SLAB = 1 << 21  # pixels whose local SSIM is computed at a time, so that memory does not grow with the image


def pearson(prediction: Array, target: Array, cost_map: Array | None = None) -> float:
    """Return Pearson's correlation coefficient, and 0 where either image is constant.

    Raises:
        ValueError: The shapes differ.
    """
    variances, covariance, _ = compare(*_taking_part(prediction, target, cost_map))
    if np.min(variances) <= 0:
        return 0.0
    return float(np.clip(covariance / math.sqrt(variances[0]) / math.sqrt(variances[1]), -1.0, 1.0))


def nrmse(prediction: Array, target: Array, cost_map: Array | None = None) -> float:
    """Return the root-mean-square error divided by the target's range (largest minus smallest value; 1 where it is constant).

    Raises:
        ValueError: The shapes differ.
    """
    prediction, target = _taking_part(prediction, target, cost_map)
    return math.sqrt(compare(prediction, target).squared_error) / _range(target)


def psnr(prediction: Array, target: Array, cost_map: Array | None = None, data_range: float | None = None) -> float:
    """Return the peak signal-to-noise ratio in decibel, infinite where prediction and target are identical.

    Args:
        prediction: C(Z)YX.
        target: C(Z)YX.
        cost_map: 0 excludes a pixel.
        data_range: Peak signal; by default the target's largest minus its smallest value, 1 where it is constant.

    Raises:
        ValueError: The shapes differ.
    """
    prediction, target = _taking_part(prediction, target, cost_map)
    error = compare(prediction, target).squared_error
    peak = _range(target) if data_range is None else data_range
    return math.inf if error == 0 else 20 * math.log10(peak) - 10 * math.log10(error)


def ssim(prediction: Array, target: Array, cost_map: Array | None = None, data_range: float | None = None) -> float:
    """Return the structural similarity (Wang et al., 2004): Gaussian window of sigma 1.5 and 11 taps, mean over the local values.

    Every channel is one plane or volume; an array of two axes is a single plane. The outermost 5 pixels, whose windows reach over the
    border, are left out of the mean, except along an axis that is no longer than 10. The cost map acts on that mean alone: what it excludes
    is still seen by the windows around it.

    Args:
        prediction: C(Z)YX.
        target: C(Z)YX.
        cost_map: 0 excludes a pixel.
        data_range: By default the target's largest minus its smallest value, 1 where it is constant.

    Raises:
        ValueError: The shapes differ.
    """
    prediction, target, included = _checked(prediction, target, cost_map)
    peak = _range(target if cost_map is None else target[included]) if data_range is None else data_range
    images = (prediction, target, included)
    total, count = 0.0, 0
    for first, second, part in zip(*images, strict=True) if target.ndim > 2 else [images]:
        for similarity, taking_part in _local_similarities(first, second, part, peak):
            total += float(similarity[taking_part].sum())
            count += int(np.count_nonzero(taking_part))
    return total / count if count else math.nan


def ri_psnr(prediction: Array, target: Array, cost_map: Array | None = None) -> float:
    """Return the range-invariant :func:`psnr`: of the prediction scaled to the target first, as :func:`scaled` does.

    Raises:
        ValueError: The shapes differ.
    """
    return psnr(scaled(prediction, target, cost_map), target, cost_map)


def ri_ssim(prediction: Array, target: Array, cost_map: Array | None = None) -> float:
    """Return the range-invariant :func:`ssim`: of the prediction scaled to the target first, as :func:`scaled` does.

    Raises:
        ValueError: The shapes differ.
    """
    return ssim(scaled(prediction, target, cost_map), target, cost_map)


def ri_nrmse(prediction: Array, target: Array, cost_map: Array | None = None) -> float:
    """Return the range-invariant :func:`nrmse`: of the prediction scaled to the target first, as :func:`scaled` does.

    Raises:
        ValueError: The shapes differ.
    """
    return nrmse(scaled(prediction, target, cost_map), target, cost_map)


def scaled(prediction: Array, target: Array, cost_map: Array | None = None) -> Array:
    """Scale a prediction to its target: a · prediction + b with the a and b of the smallest squared error (Weigert et al., 2018).

    One a and b for all channels, from the pixels that take part; the others stay as they are. A constant prediction becomes the target's
    mean, and one that is inversely related to the target is turned over.

    Raises:
        ValueError: The shapes differ.
    """
    first, second = _taking_part(prediction, target, cost_map)
    if not first.size:
        return np.asarray(prediction)
    variances, covariance, _ = compare(first, second)
    gain = 0.0 if variances[0] <= 0 else covariance / variances[0]
    dtype = np.float32 if first.dtype == second.dtype == np.float32 else np.float64
    centre, middle = (float(image.mean(dtype=np.float64)) for image in (first, second))
    fitted = (np.subtract(prediction, centre, dtype=np.float64) * gain + middle).astype(dtype)
    return fitted if cost_map is None else np.where(np.asarray(cost_map) > 0, fitted, prediction)


def summarize(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """Return mean, standard deviation (population) and number of the finite values of every metric.

    Args:
        rows: One per image; a metric may be missing from some.

    Returns:
        ``{metric: {"mean", "std", "n"}}``, in order of appearance; mean and std are None, which JSON can hold, where no value is finite.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _summary([row[name] for row in rows if name in row and math.isfinite(row[name])]) for name in names}


def _summary(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"mean": None, "std": None, "n": 0}
    spread = float(np.std(values)) if len(values) > 1 else None  # of a single image there is none
    return {"mean": float(np.mean(values)), "std": spread, "n": len(values)}


def _checked(prediction: Array, target: Array, cost_map: Array | None) -> tuple[Array, Array, Array]:
    """Return both images and which of their pixels take part, all of equal shape."""
    prediction, target = np.asarray(prediction), np.asarray(target)
    if prediction.shape != target.shape:
        raise ValueError(
            f"Prediction and target differ in shape, got {prediction.shape} and {target.shape}; check the pairing of data.root"
        )
    included = np.True_ if cost_map is None else np.asarray(cost_map) > 0
    if cost_map is not None and included.shape not in (target.shape, (1, *target.shape[1:])):
        raise ValueError(f"Cost map and target differ in shape, got {included.shape} and {target.shape}; check the pairing of data.root")
    return prediction, target, np.broadcast_to(included, target.shape)


def _taking_part(prediction: Array, target: Array, cost_map: Array | None) -> tuple[Array, Array]:
    prediction, target, included = _checked(prediction, target, cost_map)
    return (prediction, target) if cost_map is None else (prediction[included], target[included])


def _range(target: Array) -> float:
    return float(target.max()) - float(target.min()) or 1.0 if target.size else 1.0


def _local_similarities(first: Array, second: Array, included: Array, peak: float) -> Iterator[tuple[Array, Array]]:
    """Yield the local similarities of one plane or volume, slab by slab along its longest axis, and which of them take part."""
    longest = int(np.argmax(first.shape))
    first, second, included = (np.moveaxis(image, longest, 0) for image in (first, second, included))
    length, *others = first.shape
    thickness = max(4 * RADIUS, SLAB // math.prod(others))
    rows = _inside(length)
    for start in range(rows.start, rows.stop, thickness):
        stop = min(start + thickness, rows.stop)
        window = slice(max(0, start - RADIUS), min(length, stop + RADIUS))
        similarity = _similarity(first[window].astype(np.float64), second[window].astype(np.float64), peak)
        inside = tuple(map(_inside, others))
        yield similarity[(slice(start - window.start, stop - window.start), *inside)], included[(slice(start, stop), *inside)]


def _inside(length: int) -> slice:
    return slice(RADIUS, length - RADIUS) if length > 2 * RADIUS else slice(0, length)


def _similarity(first: Array, second: Array, peak: float) -> Array:
    """Return the local structural similarity of every pixel (equation 13 of the paper, its constants K 0.01 and 0.03)."""
    blur: Callable[[Array], Array] = partial(gaussian_filter, sigma=1.5, radius=RADIUS, mode="reflect")
    c_1, c_2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_1, mean_2 = blur(first), blur(second)
    means = mean_1 * mean_2
    squared_means = mean_1**2 + mean_2**2
    covariance = blur(first * second) - means
    variances = blur(first**2 + second**2) - squared_means  # of both, added
    return (2 * means + c_1) * (2 * covariance + c_2) / ((squared_means + c_1) * (variances + c_2))
