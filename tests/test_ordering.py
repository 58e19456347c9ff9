import numpy as np

from im2im.ordering import descending


def test_the_largest_comes_first_and_of_equal_ones_the_first():
    values = np.round(np.random.default_rng(0).gamma(1, 3, 5000), 1).astype(np.float32)
    values[:3] = 0, np.inf, 1e-40
    np.testing.assert_array_equal(descending(values), np.argsort(-values, kind="stable"))
    assert len(descending(values[:0])) == 0
