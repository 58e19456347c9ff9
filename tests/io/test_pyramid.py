import numpy as np
import pytest
import zarr

from im2im.io import pyramid
from im2im.io.ome_zarr import create_zarr, open_zarr
from im2im.io.pyramid import add_pyramid


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(pyramid, "COARSEST", 8)


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_each_level_is_the_mean_of_four_pixels(dtype, tmp_path):
    array = np.random.default_rng(0).integers(0, 999, (3, 22, 17)).astype(dtype)
    create_zarr(tmp_path / "a.ome.zarr", array.shape, array.dtype, "ZYX", (2.0, 0.5, 0.5), chunks=(2, 4, 4))[...] = array
    add_pyramid(tmp_path / "a.ome.zarr", "ZYX", labels=False)
    group = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="r")
    assert [group[name].shape for name in "012"] == [(3, 22, 17), (3, 11, 9), (3, 6, 5)]
    mean = array[:, :, :16].reshape(3, 11, 2, 8, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(group["1"][:, :, :8], mean, atol=0.5 if dtype == "uint16" else 1e-3)
    assert group["1"].dtype == np.dtype(dtype)


def test_labels_keep_their_numbers(tmp_path):
    labels = np.array([[1, 9], [9, 9]], np.uint16).repeat(8, axis=0).repeat(8, axis=1)
    create_zarr(tmp_path / "a.ome.zarr", labels.shape, labels.dtype, "YX", chunks=(4, 4))[...] = labels
    add_pyramid(tmp_path / "a.ome.zarr", "YX", labels=True)
    level = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="r")["1"][:]
    assert np.array_equal(level, labels[::2, ::2])


def test_levels_say_the_size_of_their_pixels_and_the_first_one_is_read(tmp_path):
    array = np.zeros((2, 16, 16), np.float32)
    create_zarr(tmp_path / "a.ome.zarr", array.shape, array.dtype, "ZYX", (2.0, 0.5, 0.25))[...] = array
    add_pyramid(tmp_path / "a.ome.zarr", "ZYX", labels=False)
    (image,) = open_zarr(tmp_path / "a.ome.zarr")
    assert image.shape == (1, 1, 2, 16, 16)
    assert image.pixel_size == (2.0, 0.5, 0.25)
    attributes = dict(zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="r").attrs)
    levels = attributes.get("ome", attributes)["multiscales"][0]["datasets"]
    assert [level["coordinateTransformations"][0]["scale"] for level in levels] == [[2.0, 0.5, 0.25], [2.0, 1.0, 0.5]]


def test_coarser_levels_of_an_interrupted_attempt_are_made_anew(tmp_path):
    create_zarr(tmp_path / "a.ome.zarr", (1024, 1024), np.dtype(np.uint8), "YX")
    zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="a").create_array("1", shape=(3, 3), dtype="u1")
    add_pyramid(tmp_path / "a.ome.zarr", "YX", labels=False)
    assert zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="r")["1"].shape == (512, 512)
