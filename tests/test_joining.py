import numpy as np

from im2im.joining import number_joined, same_objects


def test_objects_that_share_most_of_their_pixels_are_one():
    found = np.array([[1, 1, 1, 0], [2, 2, 2, 2]], np.uint32)
    written = np.array([[7, 7, 0, 0], [7, 8, 8, 0]], np.uint32)
    assert same_objects(found, written, np.ones((2, 4), bool)) == [(1, 7), (2, 8)]


def test_two_pieces_that_are_one_elsewhere_are_joined_by_it():
    found = np.array([[1, 1, 1, 1, 1]], np.uint32)
    written = np.array([[7, 7, 0, 8, 8]], np.uint32)
    assert same_objects(found, written, np.ones((1, 5), bool)) == [(1, 7), (1, 8)]


def test_an_object_that_is_touched_at_its_edge_is_not_joined():
    found = np.array([[1, 1, 1, 1, 0, 0]], np.uint32)
    written = np.array([[7, 7, 7, 8, 8, 8]], np.uint32)
    assert same_objects(found, written, np.ones((1, 6), bool)) == [(1, 7)]


def test_pixels_where_nothing_was_written_do_not_count():
    found = np.array([[1, 1, 1, 1, 1, 1]], np.uint32)
    written = np.array([[7, 7, 0, 0, 0, 0]], np.uint32)
    known = np.array([[True, True, False, False, False, False]])
    assert same_objects(found, written, known) == [(1, 7)]


def test_nothing_in_common_joins_nothing():
    assert same_objects(np.array([[1, 0]], np.uint32), np.array([[0, 5]], np.uint32), np.ones((1, 2), bool)) == []


def test_joined_objects_share_a_number_and_there_are_no_gaps():
    assert number_joined(6, [(5, 2), (6, 5), (3, 4)]).tolist() == [0, 1, 2, 3, 3, 2, 2]


def test_no_objects_stay_none():
    assert number_joined(0, []).tolist() == [0]
