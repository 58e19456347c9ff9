"""Whether the voxels of several images are of one shape."""

import logging
from collections.abc import Sequence

import numpy as np

from im2im.io.image import Image

log = logging.getLogger(__name__)

TOLERANCE = 0.01  # of a ratio of lengths


def check_ratios(images: Sequence[Image], spatial_dims: int) -> None:
    """Warn of the first image whose voxels are of another shape than those of the first one whose size is known."""
    known = [(image, image.pixel_size[-spatial_dims:]) for image in images if all(image.pixel_size[-spatial_dims:])]
    shapes = [np.array(lengths, float) / float(lengths[-1] or 1) for _, lengths in known]
    other = next((place for place, shape in enumerate(shapes) if np.any(np.abs(shape / shapes[0] - 1) > TOLERANCE)), None)
    if other is not None:
        (first, here), (image, there) = known[0], known[other]
        log.warning(
            "voxels of %s are %s and of %s %s (µm): ratios differ, one voxel_size is used for all", first.path, here, image.path, there
        )
