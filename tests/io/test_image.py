import pickle

import numpy as np
import pytest

from im2im.io.image import Image, scene_names

ARRAY = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)


@pytest.mark.parametrize(("axes", "shape"), [("ZYX", (1, 1, 2, 3, 4)), ("CYX", (1, 2, 1, 3, 4)), ("YXC", (1, 4, 1, 2, 3))])
def test_an_array_becomes_an_image_of_five_axes(axes, shape):
    image = Image.from_array(ARRAY, axes)
    assert (image.shape, image.axes, image.dtype) == (shape, axes, np.uint16)
    assert image.read().shape == shape


def test_a_region_means_what_it_means_to_numpy():
    region = (slice(None), slice(0, 1), slice(-1, None), slice(1, 99), slice(3, 1))
    image = Image.from_array(ARRAY, "ZYX")
    np.testing.assert_array_equal(image.read(region), ARRAY[None, None][region])


def test_a_region_beyond_an_axis_that_was_added_is_empty():
    assert Image.from_array(ARRAY, "ZYX").read((slice(1, 2), *[slice(None)] * 4)).shape == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("region", [(slice(None),) * 3, (slice(None, None, 2),) * 5])
def test_other_regions_are_refused(region):
    with pytest.raises(ValueError, match="five slices"):
        Image.from_array(ARRAY, "ZYX").read(region)


def test_only_the_region_is_taken_from_a_lazy_array():
    class Lazy:
        shape, dtype, asked = (2, 3, 4), np.dtype("uint16"), []

        def __getitem__(self, region):
            self.asked.append(region)
            return ARRAY[region]

    lazy = Lazy()
    Image.from_array(lazy, "ZYX").read((slice(0, 1), slice(0, 1), slice(1, 2), slice(0, 2), slice(1, 3)))
    assert lazy.asked == [(slice(1, 2), slice(0, 2), slice(1, 3))]


def test_big_endian_numbers_come_in_native_order():
    image = Image.from_array(ARRAY.astype(">u2"), "ZYX")
    assert image.dtype == image.read().dtype == np.dtype("=u2")
    np.testing.assert_array_equal(image.read()[0, 0], ARRAY)


def test_true_and_false_come_as_one_and_zero():
    image = Image.from_array(np.array([[True, False]]), "YX")
    assert image.dtype == np.uint8
    assert image.read().ravel().tolist() == [1, 0]


def test_an_image_can_be_sent_to_a_worker():
    image = pickle.loads(pickle.dumps(Image.from_array(ARRAY, "ZYX", pixel_size=(1.0, 0.5, None), channel_names=("DAPI",))))
    np.testing.assert_array_equal(image.read()[0, 0], ARRAY)
    assert (image.pixel_size, image.channel_names) == ((1.0, 0.5, None), ("DAPI",))


@pytest.mark.parametrize(
    ("names", "given"), [(["a"], [""]), (["a", "b"], ["a", "b"]), (["a", "a"], ["0", "1"]), (["a", ""], ["0", "1"]), ([], [])]
)
def test_scenes_that_share_a_name_are_numbered(names, given):
    assert scene_names(names) == given
