import numpy as np
import pytest

from im2im.order_statistics import order_statistics


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint32", "int64"])
def test_values_are_those_of_a_sorted_sequence(dtype):
    rng = np.random.default_rng(0)
    blocks = [(rng.normal(0 if np.dtype(dtype).kind != "u" else 9e5, 1e5, size)).astype(dtype) for size in (1000, 1, 337)]
    positions = [0, 1, 700, 701, 1337]
    assert order_statistics(blocks, positions) == np.sort(np.concatenate(blocks))[positions].astype(float).tolist()


def test_equal_values_and_both_signs_of_zero_have_a_place():
    blocks = [np.array([0.0, -0.0, 3.5], np.float32), np.array([3.5, -2.0, 3.5], np.float32)]
    assert order_statistics(blocks, range(6)) == [-2.0, 0.0, 0.0, 3.5, 3.5, 3.5]
