import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr

from im2im.axes import to_tczyx
from im2im.io.labels import as_labels, label_colours
from im2im.io.reader import AutoReader
from im2im.io.writer import write_image


def objects(dtype, count, shape=(2, 3, 40, 50)):
    """Numbers up to ``count``, the last one among them."""
    array = np.random.default_rng(0).integers(0, count + 1, shape).astype(dtype)
    array.flat[0] = count
    return array


@pytest.mark.parametrize(("dtype", "count"), [("uint8", 200), ("uint16", 40), ("uint16", 60000), ("uint32", 70000)])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "TZYX", "CYX"])
@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".ome.zarr"])
def test_labels_are_read_as_they_were_written(tmp_path, suffix, axes, dtype, count):
    array = objects(dtype, count)[(0,) * (4 - len(axes))]
    (image,) = AutoReader()(write_image(tmp_path / f"a{suffix}", array, axes, (None, 0.5, 0.5), labels=True))
    assert image.dtype == dtype
    assert image.pixel_size[1:] == pytest.approx((0.5, 0.5))
    np.testing.assert_array_equal(image.read(), to_tczyx(array, axes))
    if suffix != ".ome.zarr":
        np.testing.assert_array_equal(tifffile.imread(tmp_path / f"a{suffix}"), array)


@pytest.mark.parametrize(("dtype", "count", "top"), [("uint8", 3, 255), ("uint16", 3, 255), ("uint16", 60000, 60000)])
def test_imagej_shows_each_label_in_a_colour(tmp_path, dtype, count, top):
    write_image(tmp_path / "a.tif", objects(dtype, count)[0], "ZYX", labels=True)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        page, found = tif.pages[0], tif.imagej_metadata
        colours = np.array(page.tags[320].value).reshape(3, 256).T >> 8
        assert page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
    assert (found["min"], found["max"], list(found["Ranges"])) == (0, top, [0, top])
    np.testing.assert_array_equal(colours, label_colours())
    np.testing.assert_array_equal(np.reshape(found["LUTs"], (3, 256)).T, label_colours())


def test_every_channel_of_labels_has_its_colours(tmp_path):
    write_image(tmp_path / "a.tif", objects("uint16", 9)[0], "CYX", labels=True)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert len(tif.imagej_metadata["LUTs"]) == 3
        assert 320 not in tif.pages[0].tags


def test_other_readers_get_numbers_and_not_colours(tmp_path):
    array = objects("uint8", 200)[0, 0]
    write_image(tmp_path / "a.tif", array, "YX", labels=True)
    write_image(tmp_path / "a.png", array, "YX", labels=True)
    for name in ("a.tif", "a.png"):
        np.testing.assert_array_equal(iio.imread(tmp_path / name, plugin="pillow"), array)


def test_images_that_are_no_labels_have_no_colours(tmp_path):
    write_image(tmp_path / "a.tif", objects("uint8", 3)[0], "ZYX")
    write_image(tmp_path / "a.ome.zarr", objects("uint8", 3)[0], "ZYX")
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert 320 not in tif.pages[0].tags
        assert "LUTs" not in tif.imagej_metadata
    assert "image-label" not in str(zarr.open(tmp_path / "a.ome.zarr", mode="r").attrs.asdict())


def test_an_ome_zarr_says_that_it_holds_labels_and_gives_those_present_a_colour(tmp_path):
    write_image(tmp_path / "a.ome.zarr", np.uint16([[0, 7], [300, 7]]), "YX", labels=True)
    attributes = zarr.open(tmp_path / "a.ome.zarr", mode="r").attrs.asdict()
    colours = attributes.get("ome", attributes)["image-label"]["colors"]
    assert [colour["label-value"] for colour in colours] == [7, 300]
    assert colours[0]["rgba"] == [*label_colours()[7].tolist(), 255]
    assert all(max(colour["rgba"][:3]) > 0 for colour in colours)


def test_a_very_long_list_of_colours_is_left_out(tmp_path):
    write_image(tmp_path / "a.ome.zarr", np.arange(2000, dtype=np.uint16).reshape(40, 50), "YX", labels=True)
    attributes = zarr.open(tmp_path / "a.ome.zarr", mode="r").attrs.asdict()
    assert attributes.get("ome", attributes)["image-label"] in ({"colors": []}, {"colors": [], "version": "0.4"})


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_labels_of_other_types_are_refused(tmp_path, dtype):
    with pytest.raises(ValueError, match=f"labels are written as uint8, uint16, uint32, got {dtype}; convert them by as_labels"):
        write_image(tmp_path / "a.tif", objects(dtype, 3)[0], "ZYX", labels=True)


def test_colours_differ_and_the_background_is_black():
    assert len({tuple(colour) for colour in label_colours().tolist()}) == 256
    assert label_colours()[0].tolist() == [0, 0, 0]
    assert label_colours()[1:].max(axis=1).min() > 100


@pytest.mark.parametrize(
    ("highest", "at_least", "dtype"),
    [(3, "uint8", "uint8"), (3, "uint16", "uint16"), (256, "uint8", "uint16"), (65536, "uint16", "uint32"), (3, "uint32", "uint32")],
)
@pytest.mark.parametrize("given", ["int64", "float64"])
def test_labels_get_the_smallest_type_that_holds_them(highest, at_least, dtype, given):
    labels = as_labels(np.array([0, highest], given), at_least)
    assert labels.dtype == dtype
    assert labels.tolist() == [0, highest]


@pytest.mark.parametrize(
    ("array", "message"),
    [([-1, 2], "got -1 to 2"), ([0, 2**32], r"got 0 to 4\.29497e\+09"), ([0.0, 1.5], "got 1.5"), ([np.nan, 1.0], "got nan")],
)
def test_what_are_no_labels_is_refused(array, message):
    with pytest.raises(ValueError, match=f"labels are whole numbers.*{message}.*correct the labels"):
        as_labels(np.array(array))
