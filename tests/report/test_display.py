import numpy as np
import pytest

from im2im.report.display import View, display_range


def test_range_is_that_of_the_percentiles():
    values = np.random.default_rng(0).normal(size=(40, 50))
    assert display_range(values) == pytest.approx(tuple(np.percentile(values, (0.1, 99.9))))


def test_range_of_a_few_bright_spots_is_not_empty():
    values = np.zeros(10_000)
    values[3] = 7
    assert display_range(values) == (0, 7)


@pytest.mark.parametrize("values", [[np.nan, np.nan], [4.0, 4.0], [np.inf, 2.0]])
def test_range_of_degenerate_values_is_finite_and_not_empty(values):
    low, high = display_range(np.array(values))
    assert np.isfinite([low, high]).all()
    assert low < high


def test_range_leaves_out_what_is_not_finite():
    assert display_range(np.array([0.0, np.nan, 1.0, np.inf])) == pytest.approx((0.001, 0.999))


def test_plane_with_the_highest_variance_is_shown():
    volume = np.random.default_rng(0).normal(size=(6, 20, 20))
    volume[4] *= 5
    assert View.of(volume).z == 4


def test_plane_is_chosen_among_finite_values():
    volume = np.zeros((3, 8, 8))
    volume[0], volume[2, ::2] = np.nan, 1
    assert View.of(volume).z == 2


@pytest.mark.parametrize(
    ("shape", "caption"),
    [
        ((1, 300, 256), ""),
        ((1, 64, 60), "enlarged 4x"),
        ((1, 2, 100), "enlarged 3x"),
        ((1, 1100, 30), "reduced 1:3"),
        ((5, 300, 300), "z 1 of 5"),
        ((16, 300, 300), "z 1 of 16 · xz cut at y 1 of 300"),
    ],
)
def test_caption_says_what_is_shown_and_how_large(shape, caption):
    assert View.of(np.zeros(shape)).caption() == caption


def test_caption_names_scale_bar_and_proportions_of_the_cut():
    view = View.of(np.zeros((16, 300, 300)), (0.3, 0.1, 0.1))
    assert view.caption() == "z 1 of 16 · xz cut at y 1 of 300, each z drawn 3x · scale bar 5 µm"
    assert view.scale_bar_pixels() == 50


@pytest.mark.parametrize("size", [40, 128, 300, 1500])
def test_pictures_are_as_large_as_a_page_wants_them(size):
    (plane,) = View.of(np.zeros((1, size, size))).planes(np.zeros((1, size, size)))
    assert 256 <= plane.shape[0] <= 512
    assert plane.shape[0] == plane.shape[1]


def test_enlarging_repeats_pixels():
    volume = np.arange(6.0).reshape(1, 2, 3)
    (plane,) = View(depth=1, z=0, height=2, enlarge=2).planes(volume)
    np.testing.assert_array_equal(plane, np.kron(volume[0], np.ones((2, 2))))


def test_reducing_averages_blocks_up_to_the_last_pixel():
    volume = np.array([[[1.0, 3, 10], [5, 7, 20], [2, 4, 30]]])
    view = View(depth=1, z=0, height=3, reduce=2)
    np.testing.assert_array_equal(view.planes(volume)[0], [[4, 15], [3, 30]])
    np.testing.assert_array_equal(view.planes(volume, mean=False)[0], [[1, 10], [2, 30]])


def test_cut_shows_z_downwards_at_the_chosen_row():
    volume = np.random.default_rng(0).normal(size=(9, 30, 40))
    volume[:, 17] *= 9
    view = View(depth=9, z=3, height=30, y=17, z_step=2)
    plane, cut = view.planes(volume)
    np.testing.assert_array_equal(plane, volume[3])
    np.testing.assert_array_equal(cut, np.repeat(volume[:, 17], 2, axis=0))
    assert View.of(volume).y == 17


def test_a_cut_of_far_apart_planes_is_no_taller_than_a_picture():
    view = View.of(np.random.default_rng(0).normal(size=(16, 64, 64)), (50.0, 0.05, 0.05))
    assert 16 * view.z_step * view.enlarge <= 600
