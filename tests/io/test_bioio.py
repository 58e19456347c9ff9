"""Formats of vendors through bioio; what all readers share is in test_reader_contract.py."""

from pathlib import Path

import numpy as np
import pytest

from im2im.io.reader import AutoReader, BioioReader

pytest.importorskip("bioio")
pytestmark = pytest.mark.data


@pytest.fixture(params=[AutoReader, BioioReader])
def reader(request):
    return request.param()


def test_a_czi_of_five_dimensions(shared_data: Path, reader):
    pytest.importorskip("bioio_czi")
    (image,) = reader(shared_data / "formats" / "czi" / "CD_s_1_t_3_c_2_z_5.czi")
    assert (image.axes, image.shape, image.dtype) == ("TCZYX", (3, 2, 5, 170, 240), np.uint16)
    assert image.pixel_size == pytest.approx((0.32, 0.0905767, 0.0905767), rel=1e-5)
    assert image.channel_names == ("LED555", "LED470")
    region = (slice(1, 2), slice(1, 2), slice(2, 4), slice(40, 60), slice(100, 103))
    np.testing.assert_array_equal(image.read(region), image.read()[region])
    assert image.read(region).std() > 0


def test_a_czi_agrees_with_the_same_image_as_ome_tiff(shared_data: Path, reader):
    pytest.importorskip("bioio_czi")
    (czi,) = reader(shared_data / "formats" / "czi" / "s_1_t_1_c_1_z_1.czi")
    (tiff,) = reader(shared_data / "formats" / "ome_tiff" / "s_1_t_1_c_1_z_1.ome.tiff")
    assert (czi.axes, czi.shape, czi.channel_names) == (tiff.axes, tiff.shape, tiff.channel_names)
    assert czi.pixel_size == pytest.approx(tiff.pixel_size)
    np.testing.assert_array_equal(czi.read(), tiff.read())


def test_the_tiles_of_a_czi_are_put_together(shared_data: Path, reader):
    pytest.importorskip("bioio_czi")
    (image,) = reader(shared_data / "formats" / "czi" / "tiles.czi")
    assert (image.shape, image.channel_names) == ((1, 2, 1, 512, 510), ("Ch1", "T PMT"))


def test_an_nd2_of_five_dimensions(shared_data: Path, reader):
    pytest.importorskip("bioio_nd2")
    (image,) = reader(shared_data / "formats" / "nd2" / "cluster.nd2")
    assert (image.axes, image.shape, image.dtype) == ("TCZYX", (3, 2, 10, 31, 38), np.uint16)
    assert image.pixel_size == pytest.approx((0.5, 0.167809, 0.167809), rel=1e-5)
    assert image.channel_names == ("5-FAM/pH 9.0", "FM 4-64/2% CHAPS")
    region = (slice(2, 3), slice(0, 2), slice(4, 5), slice(3, 30), slice(8, 30))
    np.testing.assert_array_equal(image.read(region), image.read()[region])


def test_the_scenes_of_a_lif_are_listed(shared_data: Path):
    pytest.importorskip("bioio_lif")
    images = BioioReader()(shared_data / "formats" / "lif" / "LeicaLASX_wavelength-sweep_example.lif")
    assert [image.scene for image in images] == ["x_y_lambdaEmi", "x_y_lambdaExc", "x_y_z_t_lambdaEmi"]
    assert [image.shape for image in images] == [(1, 1, 1, 64, 64), (1, 1, 1, 64, 64), (2, 1, 11, 64, 64)]
    assert images[2].pixel_size == pytest.approx((0.5002027, 0.1048144, 0.1048144), rel=1e-5)


def test_pixels_that_a_plug_in_cannot_read_are_an_error_that_names_the_file(shared_data: Path):
    pytest.importorskip("bioio_lif")  # 2.0 does not know the axis of a wavelength sweep
    image = BioioReader()(shared_data / "formats" / "lif" / "LeicaLASX_wavelength-sweep_example.lif")[0]
    with pytest.raises(ValueError, match=r"^Cannot read .*wavelength-sweep_example\.lif: [^\n]*$"):
        image.read()
