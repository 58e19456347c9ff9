"""What every reader promises, asked of each that is installed."""

import pickle
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from im2im.axes import to_tczyx
from im2im.io.reader import AicsimageioReader, AutoReader, BioioReader
from im2im.io.writer import write_image

READERS = {"auto": AutoReader, "bioio": BioioReader, "aicsimageio": AicsimageioReader}
SIZE = (0.5, 0.25, 0.125)
NAMES = ("DAPI", "GFP", "RFP")  # aicsimageio reads no OME-Zarr without names of channels
REGION = (slice(0, 1), slice(1, 3), slice(1, 3), slice(4, 9), slice(2, 11))


@pytest.fixture(params=READERS)
def reader(request):
    if request.param != "auto":
        pytest.importorskip(request.param)
    return READERS[request.param]


def volume(axes, dtype="uint16"):
    lengths = {"T": 2, "C": 3, "Z": 4, "Y": 20, "X": 30}
    return np.random.default_rng(0).integers(0, 200, [lengths[axis] for axis in axes]).astype(dtype)


@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX", "TZYX", "TCZYX"])
def test_axes_shape_values_and_metadata_come_from_the_file(tmp_path: Path, reader, suffix, axes):
    array = volume(axes)
    names = NAMES if "C" in axes else NAMES[:1]
    path = write_image(tmp_path / f"cell{suffix}", array, axes, SIZE, names)
    (image,) = reader()(path)
    expected = to_tczyx(array, axes)
    assert (image.path, image.axes, image.shape, image.dtype, image.scene) == (path, axes, expected.shape, np.uint16, "")
    assert image.pixel_size[1:] == pytest.approx(SIZE[1:])
    assert image.pixel_size[0] == pytest.approx(SIZE[0]) or "Z" not in axes
    assert image.channel_names == names or "C" not in axes
    np.testing.assert_array_equal(image.read(), expected)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_region_equals_that_part_of_the_whole(tmp_path: Path, reader, suffix, dtype):
    path = write_image(tmp_path / f"cell{suffix}", volume("CZYX", dtype), "CZYX", channel_names=NAMES)
    (image,) = reader()(path)
    part = image.read(REGION)
    assert part.dtype == dtype
    np.testing.assert_array_equal(part, to_tczyx(volume("CZYX", dtype), "CZYX")[REGION])


def test_big_endian_files_as_imagej_writes_them_are_read(tmp_path: Path, reader):
    tifffile.imwrite(tmp_path / "a.tif", volume("ZYX"), imagej=True, byteorder=">", metadata={"axes": "ZYX"})
    (image,) = reader()(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.read()[0, 0], volume("ZYX"))


def test_a_picture_in_rgb_has_three_channels(tmp_path: Path, reader):
    array = volume("YXC", "uint8")
    iio.imwrite(tmp_path / "a.png", array)
    (image,) = reader()(tmp_path / "a.png")
    assert (image.axes, image.shape, image.dtype) == ("YXC", (1, 3, 1, 20, 30), np.uint8)
    np.testing.assert_array_equal(image.read()[0, :, 0], array.transpose(2, 0, 1))


def test_a_time_lapse_in_rgb_keeps_time_and_channels_apart(tmp_path: Path, reader):
    array = volume("TYXC", "uint8")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", metadata={"axes": "TYXS"})
    (image,) = reader()(tmp_path / "a.tif")
    assert image.axes == "TYXC"
    np.testing.assert_array_equal(image.read(), to_tczyx(array, "TYXC"))


def test_given_axes_win(tmp_path: Path, reader):
    path = write_image(tmp_path / "cell.ome.tif", volume("ZYX"), "ZYX")
    (image,) = reader("TYX")(path)
    assert image.axes == "TYX"
    np.testing.assert_array_equal(image.read(), to_tczyx(volume("ZYX"), "TYX"))


def test_given_axes_that_do_not_fit_are_refused(tmp_path: Path, reader):
    path = write_image(tmp_path / "cell.ome.tif", volume("ZYX"), "ZYX")
    with pytest.raises(ValueError, match=r"data\.axes=YX names 2 axes, but .*cell\.ome\.tif has shape \(4, 20, 30\)"):
        reader("YX")(path)


def test_scenes_stay_apart_after_all_were_opened(tmp_path: Path, reader):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for value in (3, 5):
            writer.write(np.full((8, 9), value, np.uint8), photometric="minisblack", metadata={"axes": "YX", "Name": f"field {value}"})
    images = reader()(tmp_path / "a.ome.tif")
    assert [int(image.read().max()) for image in images] == [3, 5]
    assert len({image.scene for image in images}) == 2


def test_an_image_can_be_sent_to_a_worker(tmp_path: Path, reader):
    path = write_image(tmp_path / "cell.ome.tif", volume("ZYX"), "ZYX")
    (image,) = pickle.loads(pickle.dumps(reader()(path)))
    np.testing.assert_array_equal(image.read()[0, 0], volume("ZYX"))


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".png"])
def test_a_truncated_file_is_named_in_one_line(tmp_path: Path, reader, suffix):
    path = write_image(tmp_path / f"cut{suffix}", volume("YX"), "YX")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"^Cannot read .*cut[^\n]*$"):
        [image.read() for image in reader()(path)]


@pytest.mark.data
def test_a_real_image_in_version_04_of_ome_zarr(shared_data: Path, reader):
    (image,) = reader()(shared_data / "formats" / "ome_zarr_v04" / "tubhiswt4D_sub.zarr")
    assert (image.shape, image.dtype, image.channel_names, image.pixel_size) == (
        (3, 1, 2, 512, 512),
        np.uint8,
        ("channel_0",),
        (1.0, 1.0, 1.0),
    )


@pytest.mark.data
def test_a_real_time_lapse_in_rgb(shared_data: Path, reader):
    path = shared_data / "formats" / "timelapse" / "drosophila_gfp_histone_TYX.tif"
    (image,) = reader()(path)
    assert (image.axes, image.shape) == ("TYXC", (21, 3, 1, 264, 542))
    np.testing.assert_array_equal(image.read((slice(3, 4), slice(1, 2), *[slice(None)] * 3))[0, 0, 0], tifffile.imread(path, key=3)[..., 1])
