import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import zarr

from im2im.io.ome_zarr import create_zarr
from im2im.io.reader import AutoReader

IS_ZARR_2 = zarr.__version__.startswith("2.")
needs_zarr_3 = pytest.mark.skipif(IS_ZARR_2, reason="zarr 2 knows no OME-Zarr 0.5")


def volume(shape=(2, 3, 20, 30)):
    return np.random.default_rng(0).integers(0, 1000, shape).astype(np.uint16)


def write_04(path, array, attributes):
    """An image of one resolution in Zarr format 2."""
    options = {} if IS_ZARR_2 else {"zarr_format": 2}
    group = zarr.open_group(str(path), mode="w", **options)
    group.attrs.update(attributes)
    (group.create_dataset if IS_ZARR_2 else group.create_array)(
        "0", shape=array.shape, dtype=array.dtype, chunks=(1,) * (array.ndim - 2) + (8, 8)
    )
    group["0"][...] = array


def described(axes, unit="micrometer"):
    return [{"name": axis.lower(), **({"type": "space", "unit": unit} if axis in "ZYX" else {})} for axis in axes]


def one(path, axes=None):
    (image,) = AutoReader(axes)(path)
    return image


def test_the_metadata_of_version_04_are_read(tmp_path):
    transforms = [{"type": "scale", "scale": [1, 500, 200, 100]}]
    datasets = [{"path": "0", "coordinateTransformations": transforms}]
    channels = {"channels": [{"label": "DAPI"}, {"label": "GFP"}]}
    multiscales = [{"version": "0.4", "axes": described("CZYX", "nanometer"), "datasets": datasets}]
    write_04(tmp_path / "a.zarr", volume(), {"multiscales": multiscales, "omero": channels})
    image = one(tmp_path / "a.zarr")
    assert (image.axes, image.shape, image.channel_names) == ("CZYX", (1, 2, 3, 20, 30), ("DAPI", "GFP"))
    assert image.pixel_size == pytest.approx((0.5, 0.2, 0.1))
    np.testing.assert_array_equal(image.read()[0], volume())


def test_the_scale_of_the_whole_multiplies_that_of_the_level(tmp_path):
    level = [{"type": "scale", "scale": [1, 1, 2, 2]}, {"type": "translation", "translation": [0, 0, 5, 5]}]
    whole = [{"type": "scale", "scale": [1, 0.5, 0.1, 0.1]}]
    datasets = [{"path": "0", "coordinateTransformations": level}]
    multiscales = [{"axes": described("CZYX"), "datasets": datasets, "coordinateTransformations": whole}]
    write_04(tmp_path / "a.zarr", volume(), {"multiscales": multiscales})
    assert one(tmp_path / "a.zarr").pixel_size == pytest.approx((0.5, 0.2, 0.2))


def test_a_scale_without_a_unit_says_nothing(tmp_path):
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 0.1, 0.1]}]}]
    write_04(tmp_path / "a.zarr", volume(), {"multiscales": [{"axes": ["c", "z", "y", "x"], "datasets": datasets}]})
    image = one(tmp_path / "a.zarr")
    assert (image.axes, image.pixel_size) == ("CZYX", (None, None, None))


def test_numbered_images_are_scenes(tmp_path):
    zarr.open_group(str(tmp_path / "a.zarr"), mode="w", **({} if IS_ZARR_2 else {"zarr_format": 2}))
    for number in (0, 1):
        write_04(
            tmp_path / "a.zarr" / str(number),
            volume() + number,
            {"multiscales": [{"axes": described("CZYX"), "datasets": [{"path": "0"}]}]},
        )
    images = AutoReader()(tmp_path / "a.zarr")
    assert [image.scene for image in images] == ["0", "1"]
    np.testing.assert_array_equal(images[1].read()[0], volume() + 1)


def test_a_plain_array_needs_axes(tmp_path):
    zarr.save(str(tmp_path / "a.zarr"), volume())
    with pytest.raises(ValueError, match=r"a\.zarr does not say what its axes are.*set data\.axes"):
        AutoReader()(tmp_path / "a.zarr")
    np.testing.assert_array_equal(one(tmp_path / "a.zarr", "CZYX").read()[0], volume())


def test_only_the_chunks_asked_for_are_read(tmp_path):
    array = create_zarr(tmp_path / "a.zarr", (20, 30), np.dtype("uint16"), "YX", chunks=(10, 30))
    array[...] = volume()[0, 0]
    chunk = max((tmp_path / "a.zarr" / "0").rglob("1/0"))
    chunk.write_bytes(b"damaged")
    image = one(tmp_path / "a.zarr")
    np.testing.assert_array_equal(image.read((*[slice(0, 1)] * 3, slice(2, 10), slice(5, 9)))[0, 0, 0], volume()[0, 0, 2:10, 5:9])
    with pytest.raises(ValueError, match=r"Cannot read .*a\.zarr"):
        image.read()


def test_an_image_can_be_filled_region_by_region_and_sent_to_a_worker(tmp_path):
    array = create_zarr(tmp_path / "a.zarr", (2, 3, 20, 30), np.dtype("uint16"), "CZYX", (1.0, 0.5, 0.5), ("DAPI", "GFP"))
    for plane in range(3):
        array[:, plane] = volume()[:, plane]
    image = pickle.loads(pickle.dumps(one(tmp_path / "a.zarr")))
    np.testing.assert_array_equal(image.read()[0], volume())
    assert (image.pixel_size, image.channel_names) == ((1.0, 0.5, 0.5), ("DAPI", "GFP"))


@needs_zarr_3
def test_what_is_made_follows_version_05(tmp_path):
    create_zarr(tmp_path / "a.zarr", (3, 20, 30), np.dtype("float32"), "ZYX", (1.0, None, 0.5))
    written = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())["attributes"]["ome"]
    assert written == {
        "version": "0.5",
        "multiscales": [
            {
                "name": "image",
                "axes": [
                    {"name": "z", "type": "space", "unit": "micrometer"},
                    {"name": "y", "type": "space"},
                    {"name": "x", "type": "space", "unit": "micrometer"},
                ],
                "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 0.5]}]}],
            }
        ],
    }


@pytest.mark.parametrize(
    ("shape", "axes", "chunks"),
    [((1000, 2000), "YX", (512, 512)), ((9, 100, 1000, 300), "CZYX", (1, 16, 256, 256)), ((3, 40, 50), "ZYX", (3, 40, 50))],
)
def test_chunks_suit_two_and_three_dimensions(tmp_path, shape, axes, chunks):
    assert create_zarr(tmp_path / "a.zarr", shape, np.dtype("uint8"), axes).chunks == chunks


def test_a_folder_that_is_no_zarr_is_named(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(ValueError, match=r"^Cannot read .*a\.zarr: [^\n]*$"):
        AutoReader()(tmp_path / "a.zarr")


def test_a_zarr_without_an_image_is_named(tmp_path):
    zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    with pytest.raises(ValueError, match=r"a\.zarr: .*no image"):
        AutoReader()(tmp_path / "a.zarr")


def test_a_plate_is_refused_with_one_of_its_images(tmp_path):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", **({} if IS_ZARR_2 else {"zarr_format": 2}))
    group.attrs["plate"] = {"wells": [{"path": "A/1"}]}
    with pytest.raises(ValueError, match=r"a plate of many images; give one of them, for example .*A/1/0"):
        AutoReader()(tmp_path / "a.zarr")


@pytest.mark.skipif(not IS_ZARR_2, reason="zarr 3 knows OME-Zarr 0.5")
def test_zarr_2_says_that_it_cannot_read_version_05(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(ValueError, match=r"OME-Zarr 0\.5 needs zarr 3"):
        AutoReader()(tmp_path / "a.zarr")


@pytest.mark.data
def test_a_real_image_of_version_04(shared_data: Path):
    path = shared_data / "formats" / "ome_zarr_v04" / "tubhiswt4D_sub.zarr"
    image = one(path)
    assert (image.axes, image.shape, image.channel_names, image.pixel_size) == (
        "TCZYX",
        (3, 1, 2, 512, 512),
        ("channel_0",),
        (1.0, 1.0, 1.0),
    )
    region = (slice(2, 3), slice(0, 1), slice(1, 2), slice(100, 140), slice(300, 310))
    np.testing.assert_array_equal(image.read(region), zarr.open(str(path / "0"), mode="r")[region])


@needs_zarr_3
@pytest.mark.data
def test_a_real_image_of_version_05(shared_data: Path):
    path = shared_data / "formats" / "ome_zarr_v05" / "6001240_labels.zarr"
    image = one(path)
    assert (image.axes, image.shape, image.channel_names) == ("CZYX", (1, 2, 236, 68, 67), ("LaminB1", "Dapi"))
    assert image.pixel_size == pytest.approx((0.5002025, 1.4415926, 1.4415926))
    np.testing.assert_array_equal(
        image.read((slice(0, 1), slice(1, 2), slice(99, 100), *[slice(None)] * 2))[0, 0], zarr.open(str(path / "2"), mode="r")[1, 99:100]
    )
