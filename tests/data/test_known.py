from dataclasses import replace

import numpy as np
import pytest
import tifffile

from im2im.data.known import known_scale
from im2im.data.side import Side
from im2im.io.image import Image
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.io.store import NAME, Store
from im2im.normalization import Center, Identity, Macenko, MinMax, Percentile, Standard


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    tifffile.imwrite(tmp_path / "image.tif", rng.integers(0, 255, (2, 3, 32, 32), dtype=np.uint8), metadata={"axes": "TCYX"})
    return tmp_path / "image.tif"


def scale(folder, side, path, time=0, cost_map=None):
    """Fit with a store on disk; tell how often the image was looked at."""
    store, asked = Store(folder / NAME), []
    (image,) = side.open(path)
    found = known_scale(store, side, image, time, cost_map, lambda: asked.append(1) or side.fit(image, time, cost_map))
    store.write()
    return found, len(asked)


def side(normalization=None, **selected) -> Side:
    return Side(AutoReader(), Selection(**selected), normalization or Percentile(), 2)


@pytest.mark.parametrize("normalization", [Percentile(1, 99), Standard(), Center(), MinMax(), Identity(), Macenko()], ids=str)
def test_statistics_are_found_once_and_are_the_same_afterwards(normalization, path, tmp_path):
    first, looked = scale(tmp_path, side(normalization), path)
    again, looked_again = scale(tmp_path, side(normalization), path)
    assert (looked, looked_again) == (1, 0)
    assert again == first
    assert type(again) is type(first)


@pytest.mark.parametrize(
    "other",
    [
        {"side": side(Percentile(1, 98))},
        {"side": side(Percentile(1, 99), channels=0)},
        {"side": side(Percentile(1, 99), times=1)},
        {"side": replace(side(Percentile(1, 99)), interpolation="nearest")},
        {"time": 1},
    ],
    ids=str,
)
def test_other_settings_have_statistics_of_their_own(other, path, tmp_path):
    settings = {"side": side(Percentile(1, 99)), "time": 0}
    scale(tmp_path, path=path, **settings)
    assert scale(tmp_path, path=path, **(settings | other)) == (scale(tmp_path, path=path, **(settings | other))[0], 1)


def test_statistics_without_excluded_pixels_depend_on_the_cost_map(path, tmp_path):
    tifffile.imwrite(tmp_path / "cost_map.tif", np.ones((2, 32, 32), np.uint8), metadata={"axes": "TYX"})
    (cost_map,) = side().open(tmp_path / "cost_map.tif")
    scale(tmp_path, side(), path)
    assert [scale(tmp_path, side(), path, cost_map=cost_map)[1] for _ in range(2)] == [1, 0]
    tifffile.imwrite(tmp_path / "cost_map.tif", np.eye(32, dtype=np.uint8)[None].repeat(2, 0), metadata={"axes": "TYX"})
    assert scale(tmp_path, side(), path, cost_map=cost_map)[1] == 1


def test_a_normalization_of_a_users_own_is_fitted_each_time(path, tmp_path):
    class Own:
        def apply(self, image):
            return image

        def fit(self, image):
            return self

    assert [scale(tmp_path, side(Own()), path)[1] for _ in range(2)] == [1, 1]


def test_an_image_in_memory_is_not_taken_for_a_file_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells.tif").touch()
    store = Store()
    images = [Image.from_array(np.full((8, 8), value, np.uint8), "YX", "cells.tif") for value in (1, 100)]
    scales = [known_scale(store, side(Standard()), one, 0, None, lambda one=one: side(Standard()).fit(one)) for one in images]
    assert [one.offset for one in scales] == [(1.0,), (100.0,)]


def test_another_reader_has_statistics_of_its_own(path, tmp_path):
    scale(tmp_path, side(), path)
    other = replace(side(), reader=AutoReader("TCYX"))
    assert scale(tmp_path, other, path)[1] == 1
