"""Rows 16 and 17: scores and percentiles of large images, and the table of overlaps of many objects."""

import numpy as np
from skimage.measure import regionprops
from skimage.metrics import peak_signal_noise_ratio

from benchmarks.embeddings import balls
from benchmarks.measure import Result, medians, report
from im2im.metrics import pearson, psnr
from im2im.overlap import overlaps
from im2im.statistics import percentiles

SHAPE = (32, 512, 512)  # 8.4 Mvoxel


def images() -> list[Result]:
    """Compare with numpy and scikit-image."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=SHAPE).astype(np.float32)
    prediction = (target + rng.normal(scale=0.3, size=SHAPE)).astype(np.float32)

    def ours() -> tuple[float, float]:
        return pearson(prediction[None], target[None]), psnr(prediction[None], target[None])

    def theirs() -> tuple[float, float]:
        extent = float(np.ptp(target))
        return float(np.corrcoef(prediction.ravel(), target.ravel())[0, 1]), peak_signal_noise_ratio(target, prediction, data_range=extent)

    assert np.allclose(ours(), theirs(), rtol=1e-5)
    counts = rng.poisson(300, SHAPE).astype(np.uint16).ravel()
    assert np.allclose(percentiles(counts, (0.1, 99.9)), np.percentile(counts, (0.1, 99.9)))
    scores = medians(ours, theirs, runs=5)
    ranks = medians(lambda: percentiles(counts, (0.1, 99.9)), lambda: np.percentile(counts, (0.1, 99.9)), runs=5)
    return [
        Result(16, "Pearson and PSNR of 8.4 Mvoxel", "numpy and scikit-image", *scores, "CPU s", scores[0], 0.01),
        Result(16, "percentiles of uint16", "numpy", *ranks, "CPU s", ranks[0], 0.01),
    ]


def tables() -> list[Result]:
    """Compare with looking at each object of the target in turn."""
    target = balls((1024, 1024), 715, 14)
    prediction = np.roll(target, (3, 2), axis=(0, 1))

    def theirs() -> dict[tuple[int, int], int]:
        table = {}
        for thing in regionprops(target):
            inside = prediction[thing.slice][thing.image]
            for label, count in zip(*np.unique(inside[inside > 0], return_counts=True), strict=True):
                table[thing.label, int(label)] = int(count)
        return table

    found = overlaps(prediction, target)
    pairs = zip(found.targets[found.rows].tolist(), found.predictions[found.columns].tolist(), strict=True)
    assert dict(zip(pairs, found.shared.tolist(), strict=True)) == theirs()
    mine, peer = medians(lambda: overlaps(prediction, target), theirs, runs=7)
    return [Result(17, f"overlap table, {target.max()} objects", "scikit-image, object by object", mine, peer, "CPU s", mine, 0.025)]


def main() -> list[Result]:
    """Run both rows."""
    return images() + tables()


if __name__ == "__main__":
    report(main())
