import numpy as np
import pytest

from im2im.report.labels import BACKGROUND, EXTRA, MISSED, OTHER, RIGHT, compare_classes, compare_objects


@pytest.mark.parametrize("shape", [(5,), (1, 5), (1, 1, 5)])
def test_classes_are_compared_by_value(shape):
    target, prediction = np.array([0, 1, 1, 0, 2]).reshape(shape), np.array([0, 1, 0, 2, 1]).reshape(shape)
    shown, codes = compare_classes(target, prediction)
    np.testing.assert_array_equal(codes.ravel(), [BACKGROUND, RIGHT, MISSED, EXTRA, OTHER])
    assert shown is prediction


def test_objects_are_compared_whatever_their_numbers():
    target = np.array([0, 5, 5, 5, 0, 9, 9])
    shown, codes = compare_objects(target, np.array([0, 1, 1, 1, 0, 7, 7]))
    np.testing.assert_array_equal(shown, target)
    assert set(codes.tolist()) == {BACKGROUND, RIGHT}


def test_only_the_larger_part_of_a_split_object_is_right():
    codes = compare_objects(np.array([1, 1, 1, 1, 1]), np.array([1, 1, 1, 2, 2]))[1]
    np.testing.assert_array_equal(codes, [RIGHT] * 3 + [OTHER] * 2)


def test_only_the_larger_one_of_two_merged_objects_is_right():
    codes = compare_objects(np.array([1, 1, 1, 2, 2]), np.array([3, 3, 3, 3, 3]))[1]
    np.testing.assert_array_equal(codes, [RIGHT] * 3 + [OTHER] * 2)


def test_an_object_without_partner_gets_a_number_that_the_target_does_not_have():
    shown, codes = compare_objects(np.array([1, 2, 0]), np.array([1, 0, 2]))
    np.testing.assert_array_equal(codes, [RIGHT, MISSED, EXTRA])
    assert shown[2] not in (0, 1, 2)


def test_boolean_masks_can_be_compared():
    codes = compare_objects(np.array([True, False]), np.array([True, True]))[1]
    np.testing.assert_array_equal(codes, [RIGHT, EXTRA])
