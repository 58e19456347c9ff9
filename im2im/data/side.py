"""One side of a pair, source or target: how its files are opened, cut and normalized."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from im2im.io.image import Image
from im2im.io.selection import Selection
from im2im.normalization import Fitted, Normalization

EVERYTHING = slice(None)
LARGEST_LABEL = 2**24  # that single precision tells from the next one


@dataclass(frozen=True)
class Side:
    """The one way from a file to a normalized array, shared by training, evaluation and prediction.

    Args:
        reader: Opens a path as one image per scene.
        selection: Which scenes, time points, channels and planes are used.
        normalization: Fitted on a whole image, applied to its patches.
        spatial_dims: 2 (YX) or 3 (ZYX).
        name: "source" or "target", for messages.
        interpolation: How its images are resampled: "bilinear", or "nearest" where they hold labels.
    """

    reader: Callable[[Path], list[Image]]
    selection: Selection
    normalization: Normalization
    spatial_dims: int
    name: str = "source"
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        """Refuse other numbers of dimensions."""
        if self.spatial_dims not in (2, 3):
            raise ValueError(f"images are used as planes or stacks, got spatial_dims={self.spatial_dims}; set spatial_dims=2 or 3")

    @property
    def labels(self) -> bool:
        """Whether its images hold classes or object numbers, which cannot be mixed."""
        return self.interpolation == "nearest"

    def open(self, path: Path, scene: str | int | None = None, channel: str | int | None = None) -> list[Image]:
        """Open the chosen scenes of a file; nothing is read yet.

        Raises:
            ValueError: If a chosen scene, channel, time point or plane is not there, the file has the wrong number of dimensions, or its
                pixels are no real numbers.
        """
        selection = self.selection
        if scene is not None:
            selection = replace(selection, scenes=(scene,))
        if channel is not None:
            selection = replace(selection, channels=(channel,))
        opened = selection(self.reader(path), self.spatial_dims, key=f"{self.name}_channels")
        for image in opened:
            if image.dtype.kind not in "biuf":
                raise ValueError(
                    f"{path} holds {image.dtype} pixels, which are no real numbers; save its magnitude or its phase as float32"
                )
        return opened

    def spatial_shape(self, image: Image) -> tuple[int, ...]:
        """Give the size of an image in (Z)YX."""
        return image.shape[5 - self.spatial_dims :]

    def array(self, image: Image, region: tuple[slice, ...] | None = None, time: int = 0) -> np.ndarray:
        """Read one time point of an image, or the (Z)YX region of it, as C(Z)YX."""
        spatial = region or (EVERYTHING,) * self.spatial_dims
        planes = (EVERYTHING,) * (3 - self.spatial_dims)
        whole = image.read((slice(time, time + 1), EVERYTHING, *planes, *spatial))[0]
        return whole if self.spatial_dims == 3 else whole[:, 0]

    def fit(self, image: Image, time: int = 0, cost_map: Image | None = None) -> Fitted:
        """Fit the normalization on one time point of an image, without the pixels where its cost map is 0.

        Raises:
            ValueError: If labels are too large to be told apart later.
        """
        array = self.array(image, time=time)
        if self.labels and array.max(initial=0) > LARGEST_LABEL:
            raise ValueError(f"{image.path} has labels up to {array.max()}, more than {LARGEST_LABEL}; number its objects from 1 on")
        if cost_map is not None:
            included = self.array(cost_map, time=time)[:1] > 0
            array = np.where(included, array, np.float32(np.nan))
        return self.normalization.fit(array)
