import importlib
from pathlib import Path

import numpy as np
import pytest
from numba.core.caching import NullCache
from numba.core.registry import CPUDispatcher

from im2im.grid import near, sort_into_cells, volume

ROOT = Path(__file__).resolve().parents[1]
COMPILED = [path.relative_to(ROOT) for path in sorted((ROOT / "im2im").rglob("*.py")) if "njit" in path.read_text()]


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("typical", [1e-9, 100.0, 1e9])
def test_all_points_near_a_place_are_found_and_no_others(axes, typical):
    generator = np.random.default_rng(0)
    points, found = volume(generator.random((axes, 5000))), np.empty(5000, np.int64)
    cells = sort_into_cells(points, np.full(3, typical), largest=0.7)
    assert len(cells.starts) <= 5001
    for centre, precision in zip(2 * generator.random((20, 3)) - 0.5, 10 ** generator.uniform(-1, 3, (20, 3)), strict=True):
        count = near(centre, precision, 0.7, cells, found)
        expected = np.flatnonzero((precision * (points - centre) ** 2).sum(axis=1) < 0.7)
        np.testing.assert_array_equal(np.sort(cells.order[found[:count]]), expected)


@pytest.mark.parametrize(("precision", "number"), [(0.0, 9), (1e30, 9)])
def test_a_precision_may_be_anything(precision, number):
    points = np.full((9, 3), 0.3)
    cells = sort_into_cells(points, np.full(3, precision), largest=1.0)
    assert near(points[0], np.full(3, precision), 1.0, cells, np.empty(9, np.int64)) == number


def test_a_plane_is_a_volume_of_one_slice():
    assert volume(np.array([[1, 2], [3, 4]], np.float32)).tolist() == [[0, 1, 3], [0, 2, 4]]


@pytest.mark.parametrize("path", COMPILED, ids=str)
def test_what_is_kept_on_disk_holds_nothing_of_another_file(path):
    module = importlib.import_module(".".join(path.with_suffix("").parts))
    compiled = {name: each for name, each in vars(module).items() if isinstance(each, CPUDispatcher)}
    assert compiled
    for function in compiled.values():
        if function.py_func.__module__ == module.__name__ and not isinstance(function._cache, NullCache):
            called = [compiled[name] for name in function.py_func.__code__.co_names if name in compiled]
            assert all(each.py_func.__module__ == module.__name__ for each in called), function
