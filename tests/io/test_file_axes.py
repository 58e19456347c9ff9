from pathlib import Path

import pytest

from im2im.io.file_axes import file_axes

PATH = Path("cell.tif")


@pytest.mark.parametrize(("shape", "found", "axes"), [((5, 6), "YX", "YX"), ((9, 5, 6, 3), "TYXS", "TYXC"), ((9, 3, 5, 6), "ZSYX", "ZCYX")])
def test_the_letters_of_the_file_are_taken(shape, found, axes):
    assert file_axes(PATH, shape, found, None) == axes


@pytest.mark.parametrize(("found", "axes"), [("QYX", "ZYX"), ("IYX", "ZYX"), ("IYXS", "ZYXC")])
def test_one_leading_axis_without_a_meaning_is_z(found, axes):
    assert file_axes(PATH, (9, 50, 60, 3)[: len(found)], found, None) == axes


@pytest.mark.parametrize(
    ("shape", "found"),
    [((2, 9, 50, 60), "QQYX"), ((2, 9, 50, 60), "TQYX"), ((50, 60, 3), "QYX"), ((2, 50, 60, 3), "CYXS"), ((50, 60, 9), "YXQ")],
)
def test_everything_else_has_to_be_given(shape, found):
    with pytest.raises(ValueError, match=r"cell\.tif does not say what its axes are, got shape .* set data\.axes"):
        file_axes(PATH, shape, found, None)


def test_given_axes_win():
    assert file_axes(PATH, (9, 50, 60), "ZYX", "tyx") == "TYX"


def test_a_mask_without_channels_fits_the_axes_of_its_source():
    assert file_axes(PATH, (9, 50, 60), "QYX", "CZYX") == "ZYX"


def test_given_axes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"data\.axes=ZYX names 3 axes, but cell\.tif has shape \(50, 60\)"):
        file_axes(PATH, (50, 60), "YX", "ZYX")
