import pytest

from im2im.evenly import evenly


@pytest.mark.parametrize(
    ("count", "taken"),
    [(0, []), (1, [0]), (2, [0, 8]), (3, [0, 4, 8]), (4, [0, 3, 5, 8]), (9, [*range(9)]), (20, [*range(9)])],
)
def test_items_are_taken_evenly_from_the_first_to_the_last(count, taken):
    assert evenly(range(9), count) == taken


def test_nothing_is_taken_of_nothing():
    assert evenly([], 3) == []


@pytest.mark.parametrize("length", range(1, 60))
def test_no_item_is_taken_twice(length):
    for count in range(1, length + 1):
        assert len(set(evenly(range(length), count))) == count
