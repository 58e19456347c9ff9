import numpy as np
import pytest
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_objects

from im2im.postprocess import FillHoles, RemoveSmall, foreground, require_threshold


def test_a_threshold_is_exceeded_not_reached():
    assert foreground(np.array([0.2, 0.5, 0.51]), 0.5).tolist() == [False, False, True]


def test_otsu_parts_the_histogram_as_scikit_image_does():
    probability = np.random.default_rng(0).beta(0.5, 0.5, (20, 30)).astype(np.float32)
    assert np.array_equal(foreground(probability, "otsu"), probability > threshold_otsu(probability))


@pytest.mark.parametrize(("value", "is_foreground"), [(0.1, False), (0.9, True)])
def test_where_all_pixels_are_alike_otsu_means_one_half(value, is_foreground):
    assert (foreground(np.full((4, 4), value), "otsu") == is_foreground).all()


@pytest.mark.parametrize("threshold", ["half", 0, 1, 1.5, -0.1])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    with pytest.raises(ValueError, match=rf"got {threshold}; change task\.threshold"):
        require_threshold(threshold)


@pytest.mark.parametrize("shape", [(40, 50), (8, 20, 25)])
def test_small_pieces_go_as_in_scikit_image(shape):
    mask = np.random.default_rng(0).random(shape) < 0.3
    assert np.array_equal(RemoveSmall(9)(mask.astype(np.uint8)) > 0, remove_small_objects(mask, max_size=8))


def test_a_piece_is_as_large_as_its_own_class_makes_it():
    labels = np.array([[1, 1, 2, 0, 2, 2, 2]], np.uint8)
    assert RemoveSmall(2)(labels).tolist() == [[1, 1, 0, 0, 2, 2, 2]]
    assert labels.tolist() == [[1, 1, 2, 0, 2, 2, 2]]


def test_holes_are_filled_with_the_class_around_them():
    labels = np.zeros((7, 14), np.uint8)
    labels[1:6, 1:6], labels[2:5, 2:5] = 1, 0
    labels[1:6, 8:13], labels[3, 10] = 2, 0
    filled = FillHoles()(labels)
    assert (filled[1:6, 1:6] == 1).all()
    assert (filled[1:6, 8:13] == 2).all()
    assert filled.sum() == 25 + 50
    assert np.array_equal(FillHoles(max_size=1)(labels), np.where((labels == 0) & (filled == 2), 2, labels))


def test_another_class_in_a_hole_stays():
    labels = np.ones((5, 5), np.uint8)
    labels[2, 2], labels[2, 3] = 2, 0
    assert FillHoles()(labels)[2].tolist() == [1, 1, 2, 1, 1]


def test_a_hole_that_is_open_along_z_stays():
    tube = np.ones((3, 5, 5), np.uint8)
    tube[:, 2, 2] = 0
    assert np.array_equal(FillHoles()(tube), tube)
    tube[[0, 2], 2, 2] = 1
    assert FillHoles()(tube).all()
