import numpy as np
import pytest
from skimage.color import rgb2lab

from im2im.report import colours


def test_zero_error_is_neutral_and_light():
    red, green, blue = colours.diverging(np.zeros(1), 2.0)[0].tolist()
    assert red == green == blue > 230


def test_sign_of_the_error_gives_the_colour():
    too_low, too_high = colours.diverging(np.array([-1.0, 1.0]), 1.0).astype(int)
    assert too_low[2] > too_low[0] + 100
    assert too_high[0] > too_high[2] + 100


def test_error_darkens_evenly_on_both_sides():
    lightness = rgb2lab(colours.diverging(np.linspace(-1, 1, 41), 1.0))[:, 0]
    np.testing.assert_allclose(lightness, lightness[::-1], atol=1)
    np.testing.assert_allclose(np.diff(lightness[:21]), 57 / 20, atol=0.6)


def test_error_beyond_the_limit_has_the_last_colour():
    np.testing.assert_array_equal(colours.diverging(np.array([9.0, -np.inf]), 1.0)[0], colours.diverging(np.array([1.0]), 1.0)[0])


def test_grey_runs_from_low_to_high():
    shown = colours.grey(np.array([-5.0, 2.0, 3.0, 4.0, 9.0]), 2, 4)
    np.testing.assert_array_equal(shown[:, 0], [0, 0, 128, 255, 255])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_has_a_colour_of_its_own(value):
    assert tuple(colours.grey(np.array([value]), 0, 1)[0]) == colours.NOT_FINITE
    assert tuple(colours.diverging(np.array([value]), 1)[0]) == colours.NOT_FINITE


def test_labels_differ_from_background_and_from_their_neighbours():
    shown = colours.labels(np.arange(8)).astype(int)
    assert shown[0].tolist() == [0, 0, 0]
    assert (np.abs(np.diff(shown, axis=0)).sum(axis=1) > 60).all()
