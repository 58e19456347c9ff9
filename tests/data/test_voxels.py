import logging

import numpy as np
import pytest

from im2im.data.voxels import check_ratios
from im2im.io.image import Image


def stacks(*sizes):
    return [Image.from_array(np.zeros((2, 3, 3)), "ZYX", f"{at}.tif", size) for at, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "spatial_dims", "named"),
    [
        ([(0.5, 0.25, 0.25), (1.0, 0.5, 0.5), (0.504, 0.25, 0.25)], 3, None),
        ([(0.5, 0.25, 0.25), (0.5, 0.25, 0.25), (0.51, 0.25, 0.25), (2.0, 0.1, 0.1)], 3, "2.tif"),
        ([(None, 0.25, 0.25), (0.5, 0.25, 0.25), (None, 0.1, 0.1)], 3, None),
        ([(0.5, 0.25, 0.25), (2.0, 0.25, 0.25)], 2, None),
        ([(0.5, 0.25, 0.25), (0.5, 0.3, 0.25)], 2, "1.tif"),
        ([], 3, None),
    ],
)
def test_the_first_image_with_voxels_of_another_shape_is_named(sizes, spatial_dims, named, caplog):
    with caplog.at_level(logging.WARNING):
        check_ratios(stacks(*sizes), spatial_dims)
    assert len(caplog.records) == (named is not None)
    assert named is None or f"of {named} " in caplog.text
