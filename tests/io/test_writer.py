import errno
import os
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from im2im.axes import to_tczyx
from im2im.io import writer
from im2im.io.reader import AutoReader
from im2im.io.writer import output_path, write_image

LENGTHS = {"T": 2, "C": 3, "Z": 4, "Y": 20, "X": 30}


def volume(axes, dtype="uint16"):
    return np.random.default_rng(0).integers(0, 2, [LENGTHS[axis] for axis in axes]).astype(dtype)


def one(path):
    (image,) = AutoReader()(path)
    return image


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int16", "uint32", "float64", "bool"])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX", "TYX", "CZYX", "TCZYX", "YXC", "ZCYX"])
@pytest.mark.parametrize("suffix", [".ome.tif", ".tif", ".ome.zarr"])
def test_what_is_written_is_read_again(tmp_path, suffix, axes, dtype):
    array = volume(axes, dtype)
    image = one(write_image(tmp_path / f"a{suffix}", array, axes))
    assert set(image.axes) == set(axes)
    assert image.dtype == (np.uint8 if dtype == "bool" else dtype)
    np.testing.assert_array_equal(image.read(), to_tczyx(array, axes))


@pytest.mark.parametrize("dtype", ["uint16", "int32"])
@pytest.mark.parametrize("suffix", [".ome.tif", ".tiff", ".ome.zarr"])
@pytest.mark.parametrize("axes", ["YX", "CYX", "TCZYX"])
def test_lengths_and_names_survive(tmp_path, suffix, dtype, axes):
    names = ("Hoechst 33342", "α-tubulin", "the third, one") if "C" in axes else ("α-tubulin",)
    image = one(write_image(tmp_path / f"a{suffix}", volume(axes, dtype), axes, (0.29, 0.108, 0.109), names))
    assert image.channel_names == names
    assert image.pixel_size[1:] == pytest.approx((0.108, 0.109))
    assert image.pixel_size[0] == (pytest.approx(0.29) if "Z" in axes or suffix != ".ome.zarr" else None)


@pytest.mark.parametrize("suffix", [".ome.tif", ".tif", ".ome.zarr"])
def test_unknown_lengths_stay_unknown(tmp_path, suffix):
    assert one(write_image(tmp_path / f"a{suffix}", volume("ZYX"), "ZYX")).pixel_size == (None, None, None)


def test_a_length_that_is_known_alone_stays_alone(tmp_path):
    assert one(write_image(tmp_path / "a.tif", volume("ZYX"), "ZYX", (0.5, None, None))).pixel_size == (0.5, None, None)


def test_an_ome_tiff_says_so_itself(tmp_path):
    write_image(tmp_path / "a.ome.tif", volume("CZYX"), "CZYX", (0.5, 0.1, 0.1), ("A", "B", "C"))
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert tif.is_ome
        for part in ('PhysicalSizeZ="0.5"', 'PhysicalSizeXUnit="µm"', 'Name="B"', 'SizeC="3"'):
            assert part in tif.ome_metadata


def test_a_tiff_is_a_hyperstack_of_imagej(tmp_path):
    write_image(tmp_path / "a.tif", volume("CZYX"), "CZYX", (0.5, 0.1, 0.1), ("A", "B", "C"))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        found = tif.imagej_metadata
    assert (found["channels"], found["slices"], found["spacing"], found["unit"], found["mode"]) == (3, 4, 0.5, "um", "composite")
    assert found["Labels"] == ["A", "B", "C"] * 4


@pytest.mark.parametrize(
    ("array", "axes"), [(volume("YX", "uint8"), "YX"), (volume("YX") * 300, "YX"), (volume("YXC", "uint8") * 9, "YXC")]
)
def test_a_png_holds_grey_and_rgb(tmp_path, array, axes):
    np.testing.assert_array_equal(iio.imread(write_image(tmp_path / "a.png", array, axes)), array)


@pytest.mark.parametrize(
    ("name", "array", "axes", "message"),
    [
        ("a.png", volume("ZYX", "uint8"), "ZYX", "PNG holds one plane"),
        ("a.png", volume("YX", "float32"), "YX", "PNG holds one plane"),
        ("a.png", volume("YXC"), "YXC", r"RGB \(uint8\), got uint16"),
        ("a.ome.tif", volume("YX", "int64"), "YX", r"OME-TIFF holds .*, got int64; write \.tif or \.ome\.zarr"),
        ("a.docx", volume("YX"), "YX", r"got a\.docx"),
        ("a.tif", volume("YX"), "ZYX", r"data\.axes"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_and_nothing_is_left(tmp_path, name, array, axes, message):
    with pytest.raises(ValueError, match=message):
        write_image(tmp_path / name, array, axes)
    assert os.listdir(tmp_path) == []


def test_names_must_be_as_many_as_channels(tmp_path):
    with pytest.raises(ValueError, match="has 3 channels, got the names"):
        write_image(tmp_path / "a.tif", volume("CYX"), "CYX", channel_names=("A", "B"))


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".ome.zarr", ".png"])
def test_what_exists_is_replaced_only_when_asked(tmp_path, suffix):
    path = write_image(tmp_path / f"a{suffix}", np.zeros((20, 30), np.uint8), "YX")
    with pytest.raises(FileExistsError, match="is there already; set mode.overwrite=true or another output="):
        write_image(path, np.ones((5, 6), np.uint8), "YX")
    assert one(path).read().max() == 0
    write_image(path, np.ones((5, 6), np.uint8), "YX", overwrite=True)
    assert one(path).read().tolist() == np.ones((1, 1, 1, 5, 6)).tolist()
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".ome.zarr", ".png"])
def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path, monkeypatch, suffix):
    path = write_image(tmp_path / f"a{suffix}", volume("YX", "uint8"), "YX")

    def full(temporary, *_):
        temporary.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(writer._ENCODERS, suffix, full)
    with pytest.raises(OSError, match=rf"^Cannot write a{suffix} to .*: No space left on device; make room there, or set another output=$"):
        write_image(path, volume("YX", "uint8") + 1, "YX", overwrite=True)
    assert os.listdir(tmp_path) == [path.name]
    np.testing.assert_array_equal(one(path).read()[0, 0, 0], volume("YX", "uint8"))


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(OSError, match=r"^Cannot write a\.tif to .*out: .*; make room there, or set another output=$"):
        write_image(tmp_path / "out" / "a.tif", volume("YX"), "YX")


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
def test_large_images_become_bigtiff(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("im2im.io.encode.BIG", 1000)
    path = write_image(tmp_path / f"a{suffix}", volume("CZYX"), "CZYX", (0.5, 0.1, 0.2), ("A", "B", "C"))
    with tifffile.TiffFile(path) as tif:
        assert tif.is_bigtiff
    image = one(path)
    assert (image.pixel_size, image.channel_names) == ((0.5, 0.1, 0.2), ("A", "B", "C"))
    np.testing.assert_array_equal(image.read()[0], volume("CZYX"))


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("a.ome.tif", "a.ome.tif"),
        ("a.ome.tiff", "a.ome.tiff"),
        ("a.tif", "a.tif"),
        ("a.tiff", "a.tiff"),
        ("a.zarr", "a.zarr"),
        ("a.ome.zarr", "a.ome.zarr"),
        ("a.png", "a.tif"),
        ("a.v2.jpg", "a.v2.tif"),
        ("a.czi", "a.ome.tif"),
        ("a.lsm", "a.ome.tif"),
    ],
)
def test_the_suffix_stays_where_it_can_be_written(source, output):
    assert output_path(Path("in") / source, Path("out")) == Path("out") / output


@pytest.mark.parametrize(("format", "output"), [("ome.tif", "a.ome.tif"), (".tif", "a.tif"), ("ome.zarr", "a.ome.zarr")])
def test_a_format_overrides_the_suffix(format, output):
    assert output_path("in/a.ome.tiff", "out", format) == Path("out") / output


def test_a_scene_goes_into_the_stem_safely():
    assert output_path("a.czi", "out", scene="../Well A/1: left") == Path("out/a_Well_A_1_left.ome.tif")


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match=r"got a\.docx"):
        output_path("a.tif", "out", "docx")


def test_an_output_never_replaces_its_source(tmp_path):
    with pytest.raises(ValueError, match=r"would replace its own source .*a\.tif; set another output="):
        output_path(tmp_path / "a.tif", tmp_path)
    assert output_path(tmp_path / "a.png", tmp_path) == tmp_path / "a.tif"
