import numpy as np
import pytest

from im2im.axes import from_tczyx, parse, shape_tczyx, spatial_axes, to_tczyx


def test_small_letters_are_read_as_capitals():
    assert parse("zyx") == "ZYX"


def test_rgb_samples_count_as_channels():
    assert parse("YXS") == "YXC"


@pytest.mark.parametrize("wrong", ["ZYQ", "YYX", "ZX", "TCZ", "", "CYXS"])
def test_wrong_axes_are_refused_by_the_key_to_change(wrong):
    with pytest.raises(ValueError, match=r"data\.axes"):
        parse(wrong)


@pytest.mark.parametrize(("axes", "shape"), [("YX", (1, 1, 1, 2, 3)), ("XY", (1, 1, 1, 3, 2))])
def test_missing_axes_get_length_one(axes, shape):
    assert shape_tczyx((2, 3), axes) == shape


def test_values_follow_their_axes():
    array = np.array([[[1, 2], [3, 4], [5, 6]]])  # Y, X, C
    assert to_tczyx(array, "YXC").tolist() == [[[[[1, 3, 5]]], [[[2, 4, 6]]]]]


@pytest.mark.parametrize("axes", ["YX", "ZYX", "CZYX", "TCZYX", "YXC", "XYZ", "ZTYXC"])
def test_there_and_back_gives_the_same_array(axes):
    array = np.random.default_rng(0).random(tuple(range(2, 2 + len(axes))))
    np.testing.assert_array_equal(from_tczyx(to_tczyx(array, axes), axes), array)


def test_axes_of_several_entries_are_not_left_out():
    with pytest.raises(ValueError, match=r"got \{'Z': 4\}; add Z to data\.axes"):
        from_tczyx(np.zeros((1, 1, 4, 2, 2)), "YX")


def test_axes_that_do_not_fit_the_array_are_refused():
    with pytest.raises(ValueError, match=r"ZYX name 3 dimensions, got an array of shape \(4, 5\)"):
        to_tczyx(np.zeros((4, 5)), "ZYX")


def test_spatial_axes_of_two_and_three_dimensions():
    assert [spatial_axes(2), spatial_axes(3)] == ["YX", "ZYX"]


def test_other_numbers_of_spatial_dimensions_are_refused():
    with pytest.raises(ValueError, match="got 4; set spatial_dims=2 or spatial_dims=3"):
        spatial_axes(4)
