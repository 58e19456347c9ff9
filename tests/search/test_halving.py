import pytest

from im2im.search.halving import rungs


@pytest.mark.parametrize(
    ("first", "last", "reduction", "epochs", "bracket"),
    [(1, 9, 3, (1, 3, 9), 9), (2, 20, 3, (2, 7, 20), 9), (1, 1, 3, (1,), 1), (5, 4, 3, (4,), 1), (1, 8, 2, (1, 2, 4, 8), 8)],
)
def test_rungs_are_spaced_by_the_reduction(first, last, reduction, epochs, bracket):
    found = rungs(first, last, reduction)
    assert (found.epochs, found.bracket) == (epochs, bracket)


def test_one_of_so_many_goes_on_the_best_first():
    found = rungs(1, 9, 3)
    assert found.going_on([0.1, 0.5, 0.3, 0.9, 0.2, 0.4, 0.6, 0.7, 0.8], 0) == [3, 8, 7]
    assert found.going_on([0.1, 0.5], 0) == [1]
    assert found.going_on([], 0) == []


def test_after_the_last_rung_all_are_done():
    assert rungs(1, 9, 3).going_on([0.1, 0.5], 2) == [1, 0]


@pytest.mark.parametrize(("first", "reduction"), [(0, 3), (1, 1)])
def test_what_halves_nothing_is_refused(first, reduction):
    with pytest.raises(ValueError, match=r"set search.reduction=3"):
        rungs(first, 9, reduction)
