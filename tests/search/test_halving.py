import pytest

from im2im.search.halving import spaced


@pytest.mark.parametrize(
    ("count", "last", "reduction", "epochs", "bracket"),
    [(3, 9, 3, (1, 3, 9), 9), (2, 20, 4, (5, 20), 4), (2, 1, 3, (1,), 1), (1, 4, 3, (4,), 1), (4, 8, 2, (1, 2, 4, 8), 8)],
)
def test_rungs_are_spaced_by_the_reduction(count, last, reduction, epochs, bracket):
    found = spaced(count, last, reduction)
    assert (found.epochs, found.bracket) == (epochs, bracket)


def test_one_of_so_many_goes_on_the_best_first():
    found = spaced(3, 9, 3)
    assert found.going_on([0.1, 0.5, 0.3, 0.9, 0.2, 0.4, 0.6, 0.7, 0.8], 0) == [3, 8, 7]
    assert found.going_on([0.1, 0.5], 0) == [1]
    assert found.going_on([], 0) == []


def test_after_the_last_rung_all_are_done():
    assert spaced(3, 9, 3).going_on([0.1, 0.5], 2) == [1, 0]


@pytest.mark.parametrize(
    ("trials", "parallel", "epochs"),
    [
        (4, 1, 4 * 5 + 2 * 15),
        (12, 1, 12 * 5 + 4 * 15),
        (1, 1, 20),
        (4, 2, 2 * 5 + 15),
        (16, 8, 2 * 5 + 2 * 15),  # two of eight go on, and the default with those of the first eight: all at once
    ],
)
def test_epochs_are_counted_before_they_are_trained(trials, parallel, epochs):
    assert spaced(2, 20, 4).total(trials, parallel) == epochs  # one of each four goes on, and the default
