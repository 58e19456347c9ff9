"""Baselines that predict classes or objects from the intensity of a pixel alone.

Each is fitted on pieces of training images and holds plain numbers; called with a normalized source C(Z)YX, and which pixels
(Z)YX are scored, it gives labels 1(Z)YX.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from im2im.baselines.sample import Sample
from im2im.overlap import object_scores

BINS = 64  # of a histogram of intensities
SHARES = (0, 1 / 16, 1 / 8, 1 / 4, 1 / 2)  # of the median size of an object: below which a piece may count as dirt


@dataclass(frozen=True)
class Otsu:
    """Foreground by the threshold that parts the histogram of all pixels of an image that are scored best (Otsu, 1979).

    Args:
        channel: Of the source; None for the mean of all.
        bright: Foreground is above the threshold, not below.
    """

    channel: int | None
    bright: bool

    @classmethod
    def fit(cls, samples: Sequence[Sample]) -> "Otsu | None":
        """Choose channel and side by the Dice coefficient of all samples together; None where there is no foreground."""
        truths = [sample.truth[0][sample.included] > 0 for sample in samples]
        if not any(truth.any() for truth in truths):
            return None

        def dice(one: "Otsu") -> float:
            found = [one(sample.source, sample.included)[0][sample.included] > 0 for sample in samples]
            both = sum(np.count_nonzero(here & there) for here, there in zip(found, truths, strict=True))
            return 2 * both / sum(np.count_nonzero(here) + np.count_nonzero(there) for here, there in zip(found, truths, strict=True))

        return max((cls(channel, bright) for channel in _channels(samples) for bright in (True, False)), key=dice)

    def __call__(self, source: np.ndarray, included: np.ndarray | None = None) -> np.ndarray:
        """Predict classes, 1(Z)YX uint8, 1 is foreground."""
        image = _plane(source, self.channel)
        values = image if included is None else image[included]
        above = image > (threshold_otsu(values) if values.size else np.inf)
        return (above if self.bright else ~above)[None].astype(np.uint8)


@dataclass(frozen=True)
class OtsuComponents:
    """Objects as connected components of the foreground that Otsu's threshold gives, without the smallest ones.

    Args:
        channel: Of the source; None for the mean of all.
        bright: Foreground is above the threshold, not below.
        min_size: Pixels that an object has at least.
    """

    channel: int | None
    bright: bool
    min_size: int

    @classmethod
    def fit(cls, samples: Sequence[Sample]) -> "OtsuComponents | None":
        """Choose channel and side as Otsu does, and the smallest size by the mean AP; None where there is no foreground."""
        otsu = Otsu.fit(samples)
        if otsu is None:
            return None
        counted = [sample.truth[0][(sample.truth[0] > 0) & sample.included] for sample in samples]
        sizes = np.concatenate([np.unique(labels, return_counts=True)[1] for labels in counted])
        candidates = [cls(otsu.channel, otsu.bright, round(share * float(np.median(sizes)))) for share in SHARES]

        def precision(one: "OtsuComponents") -> float:
            scores = [object_scores(one(sample.source, sample.included)[0], sample.truth[0], sample.included)["map"] for sample in samples]
            return float(np.nansum(scores))

        return max(candidates, key=precision)

    def __call__(self, source: np.ndarray, included: np.ndarray | None = None) -> np.ndarray:
        """Predict object numbers, 1(Z)YX int32."""
        pieces, _ = ndimage.label(Otsu(self.channel, self.bright)(source, included)[0])
        small = np.bincount(pieces.ravel()) < self.min_size
        return np.where(small[pieces], 0, pieces)[None].astype(np.int32)


@dataclass(frozen=True)
class Histogram:
    """The class that is the most frequent one among training pixels of an intensity.

    Args:
        channel: Of the source; None for the mean of all.
        low: Lower end of the first bin.
        high: Upper end of the last bin.
        classes: Of each bin; the first and the last one go on without an end.
    """

    channel: int | None
    low: float
    high: float
    classes: list[int]

    @classmethod
    def fit(cls, samples: Sequence[Sample]) -> "Histogram | None":
        """Count classes in bins of each channel; take the channel that classifies most pixels correctly; None where no pixel takes part."""
        truth = np.concatenate([sample.truth[0][sample.included] for sample in samples]).astype(int)
        if not truth.size:
            return None
        fits = []
        for channel in _channels(samples):
            values = np.concatenate([_plane(sample.source, channel)[sample.included] for sample in samples])
            low, high = (float(end) for end in np.percentile(values, (0.1, 99.9)))
            codes = _bins(values, low, high) * (truth.max() + 1) + truth
            counts = np.bincount(codes, minlength=BINS * (truth.max() + 1)).reshape(BINS, -1)
            filled = np.flatnonzero(counts.any(axis=1))
            nearest = filled[
                np.abs(np.arange(BINS)[:, None] - filled).argmin(axis=1)
            ]  # an empty bin takes the class of the nearest filled one
            fits.append((int(counts.max(axis=1).sum()), cls(channel, low, high, counts.argmax(axis=1)[nearest].tolist())))
        return max(fits, key=lambda one: one[0])[1]

    def __call__(self, source: np.ndarray, included: np.ndarray | None = None) -> np.ndarray:
        """Predict classes, 1(Z)YX uint8."""
        return np.array(self.classes, np.uint8)[_bins(_plane(source, self.channel), self.low, self.high)][None]


def _channels(samples: Sequence[Sample]) -> list[int | None]:
    """List what a single image can be made of: each channel, and the mean of several."""
    count = len(samples[0].source)
    return [*range(count), *([None] if count > 1 else [])]


def _plane(source: np.ndarray, channel: int | None) -> np.ndarray:
    return source.mean(axis=0) if channel is None else source[channel]


def _bins(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Give the number of each value's bin; all are in the first one where low and high are the same."""
    return np.clip((values - low) * (BINS / (high - low or 1.0)), 0, BINS - 1).astype(int)
