import json

import numpy as np
import pytest
import tifffile

from im2im.io.reader import AutoReader
from im2im.io.record import RecordedReader, from_record, to_record
from im2im.io.store import Store
from im2im.io.writer import write_image


@pytest.fixture
def stack():
    return np.random.default_rng(0).integers(0, 60000, (3, 40, 50), dtype=np.uint16)


SETTINGS = {
    "plain": {},
    "ome": {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "Channel": {"Name": ["DNA"]}}},
    "deflate": {"compression": "zlib"},
    "tiles": {"compression": "zlib", "tile": (16, 16)},
    "imagej": {"imagej": True},
    "big-endian": {"byteorder": ">"},
    "rows": {"rowsperstrip": 7, "compression": "lzw"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_an_image_is_the_same_from_its_record(settings, stack, tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", stack, **settings)
    (image,) = AutoReader()(tmp_path / "image.tif")
    again = from_record(json.loads(json.dumps(to_record(image))), tmp_path / "image.tif")
    for name in ("path", "shape", "dtype", "axes", "scene", "pixel_size", "channel_names"):
        assert getattr(again, name) == getattr(image, name), name
    region = (slice(None), slice(None), slice(None), slice(5, 21), slice(11, 43))
    np.testing.assert_array_equal(again.read(region), image.read(region))
    np.testing.assert_array_equal(again.read(), image.read())


def test_a_file_is_opened_once(stack, tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", stack)
    opened = []

    class Counting(AutoReader):
        def __call__(self, path):
            opened.append(path)
            return super().__call__(path)

    store = Store()
    images = [RecordedReader(Counting(), store)(tmp_path / "image.tif")[0] for _ in range(2)]
    assert opened == [tmp_path / "image.tif"]
    np.testing.assert_array_equal(images[0].read(), images[1].read())


def test_a_zarr_has_no_record(tmp_path):
    write_image(tmp_path / "image.ome.zarr", np.zeros((8, 8), np.uint8), "YX")
    assert to_record(AutoReader()(tmp_path / "image.ome.zarr")[0]) is None
