"""What of an image is shown: which range, which plane, how large. Every choice can be said in a caption."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from im2im.report.notation import number

PERCENTILES = (0.1, 99.9)
SMALLEST, LARGEST = 256, 512
"""Pictures are brought to this many pixels on their longer side, by whole factors only."""
MAX_VALUES = 1_000_000
"""More values than these are thinned out before percentiles are taken."""

PixelSize = tuple[float | None, float | None, float | None]


def display_range(values: np.ndarray) -> tuple[float, float]:
    """The 0.1 to 99.9 percentile range of all finite values; never empty.

    Values of which fewer than one in a thousand differ (sparse spots) get their whole range, constant ones a range of one.
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite[:: max(1, finite.size // MAX_VALUES)].astype(np.float64), PERCENTILES)
    if low == high:
        low, high = finite.min(), finite.max()
    return float(low), float(high if high > low else low + 1)


def busiest(volume: np.ndarray, axis: int) -> int:
    """Index along ``axis`` of the plane of a ZYX volume whose finite values vary most."""
    planes = np.moveaxis(volume, axis, 0)
    return int(np.argmax([np.var(plane[np.isfinite(plane)].astype(np.float64)) if np.isfinite(plane).any() else -1 for plane in planes]))


@dataclass(frozen=True)
class View:
    """Which planes of a volume are drawn and by which whole factor, so that pixels stay square.

    Args:
        depth, z: Number of planes, and the one shown.
        height, y: Number of rows, and the one cut along x and z below the plane; ``None`` for no cut.
        enlarge, reduce: Each pixel is drawn this many times, or this many pixels are averaged; one of the two is 1.
        z_step: Each plane is drawn this many times in the cut, so that the cut has the right proportions.
        pixel: Width of a pixel in micrometre where it is known.
    """

    depth: int
    z: int
    height: int
    y: int | None = None
    enlarge: int = 1
    reduce: int = 1
    z_step: int = 1
    pixel: float | None = None

    @classmethod
    def of(cls, volume: np.ndarray, pixel_size: PixelSize = (None, None, None)) -> View:
        """Choose for a ZYX volume; ``pixel_size`` is ZYX in micrometre."""
        depth, height, width = volume.shape
        longest = max(height, width)
        enlarge = -(-SMALLEST // longest) if longest < SMALLEST else 1
        reduce = -(-longest // LARGEST)
        step_z, _, step_x = pixel_size
        most = max(1, LARGEST * reduce // (depth * enlarge))  # the cut is no taller than a picture
        z_step = min(max(1, round(step_z / step_x)), most) if step_z and step_x else 1
        y = busiest(volume, 1) if depth >= 8 and depth * z_step * enlarge // reduce >= 16 else None
        return cls(depth, busiest(volume, 0), height, y, enlarge, reduce, z_step, step_x or None)

    def planes(self, volume: np.ndarray, mean: bool = True) -> list[np.ndarray]:
        """The YX plane and, where there is one, the XZ cut of a ZYX[C] volume, resized.

        Args:
            volume: ZYX, or ZYXC for colours.
            mean: Average when reducing; else take every n-th pixel, as labels need it.
        """
        cuts = [volume[self.z]]
        if self.y is not None:
            cuts.append(np.repeat(volume[:, self.y], self.z_step, axis=0))
        return [self._resize(cut, mean) for cut in cuts]

    def caption(self) -> str:
        """Say what is shown and how, as ``z 7 of 16 · xz cut at y 31 of 64 · enlarged 4x``; empty for a 2D image at its own size."""
        parts = [f"z {self.z + 1} of {self.depth}"] if self.depth > 1 else []
        if self.y is not None:
            stretched = f", each z drawn {self.z_step}x" if self.z_step > 1 else ""
            parts.append(f"xz cut at y {self.y + 1} of {self.height}{stretched}")
        if self.enlarge > 1:
            parts.append(f"enlarged {self.enlarge}x")
        if self.reduce > 1:
            parts.append(f"reduced 1:{self.reduce}")
        if self.pixel:
            parts.append(f"scale bar {number(self.scale_bar(), 1)} µm")
        return " · ".join(parts)

    def scale_bar(self) -> float:
        """Length in micrometre of a bar about a fifth of a picture wide: 1, 2 or 5 times a power of ten."""
        wanted = 60 * self.reduce / self.enlarge * (self.pixel or 1.0)
        power = 10.0 ** np.floor(np.log10(wanted))
        return float(max(step for step in (1, 2, 5) if step * power <= wanted) * power)

    def scale_bar_pixels(self) -> int:
        """Length of the scale bar as drawn; 0 where the pixel size is not known."""
        return round(self.scale_bar() / self.pixel * self.enlarge / self.reduce) if self.pixel else 0

    def _resize(self, plane: np.ndarray, mean: bool) -> np.ndarray:
        if self.enlarge > 1:
            return plane.repeat(self.enlarge, axis=0).repeat(self.enlarge, axis=1)
        if self.reduce == 1:
            return plane
        return _average(plane, self.reduce) if mean else plane[:: self.reduce, :: self.reduce]


def _average(plane: np.ndarray, step: int) -> np.ndarray:
    """Mean of blocks of ``step`` by ``step`` pixels; the last blocks are as large as what is left."""
    for axis in (0, 1):
        starts = np.arange(0, plane.shape[axis], step)
        counts = np.diff(np.append(starts, plane.shape[axis]))
        sums = np.add.reduceat(plane.astype(np.float64), starts, axis=axis)
        plane = sums / counts.reshape([-1 if other == axis else 1 for other in range(plane.ndim)])
    return plane
