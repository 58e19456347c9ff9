import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile

from im2im.axes import to_tczyx
from im2im.io.reader import AutoReader
from im2im.io.record import to_record
from im2im.io.tiff import open_tiff

REGION = (slice(1, 2), slice(0, 2), slice(1, 3), slice(17, 40), slice(5, 30))


def volume(axes, dtype="uint16"):
    lengths = {"T": 2, "C": 3, "Z": 4, "Y": 48, "X": 64, "S": 3}
    return np.random.default_rng(0).integers(0, 255, [lengths[axis] for axis in axes]).astype(dtype)


def one(path, axes=None):
    (image,) = AutoReader(axes)(path)
    return image


LAYOUTS = {
    "contiguous": {},
    "big-endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "strips": {"rowsperstrip": 10},
    "zlib strips": {"compression": "zlib", "rowsperstrip": 10},
    "zlib pages": {"compression": "zlib", "rowsperstrip": 48},
    "zlib tiles": {"compression": "zlib", "tile": (16, 32)},
    "tiles larger than a page": {"compression": "zlib", "tile": (64, 96)},
    "tiles": {"tile": (16, 16)},
    "big-endian tiles": {"tile": (32, 16), "byteorder": ">", "compression": "zlib"},
    "predictor": {"compression": "zlib", "predictor": 2},
}


@pytest.mark.parametrize("options", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("axes", ["YX", "ZYX", "TZCYX"])
@pytest.mark.parametrize("ome", [False, True])
def test_every_layout_of_pixels_gives_what_tifffile_wrote(tmp_path, axes, options, ome):
    array = volume(axes)
    path = tmp_path / "cell.tif"
    tifffile.imwrite(path, array, ome=ome, photometric="minisblack", metadata={"axes": axes}, **options)
    image, expected = one(path), to_tczyx(array, axes)
    assert (image.axes, image.dtype) == (axes, np.uint16)
    np.testing.assert_array_equal(image.read(), expected)
    np.testing.assert_array_equal(image.read(REGION), expected[REGION])


@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"compression": "zlib", "tile": (16, 16)}], ids=["stored", "zlib", "tiles"]
)
@pytest.mark.parametrize(("axes", "planar"), [("YXS", "contig"), ("SYX", "separate"), ("TYXS", "contig")])
def test_rgb_samples_are_channels(tmp_path, axes, planar, options):
    array = volume(axes, "uint8")
    path = tmp_path / "rgb.tif"
    tifffile.imwrite(path, array, photometric="rgb", planarconfig=planar, metadata={"axes": axes}, **options)
    image, expected = one(path), to_tczyx(array, axes)
    assert image.axes == axes.replace("S", "C")
    np.testing.assert_array_equal(image.read(), expected)
    np.testing.assert_array_equal(image.read(REGION), expected[REGION])


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint32", "int64", "float16", "float32", "float64"])
def test_every_type_of_number_is_read(tmp_path, dtype):
    array = volume("ZYX", dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", metadata={"axes": "ZYX"})
    image = one(tmp_path / "a.tif")
    assert image.dtype == dtype
    np.testing.assert_array_equal(image.read()[0, 0], array)


def test_black_and_white_becomes_zero_and_one(tmp_path):
    array = volume("YX") > 100
    tifffile.imwrite(tmp_path / "mask.tif", array, photometric="minisblack")
    image = one(tmp_path / "mask.tif")
    assert image.dtype == image.read().dtype == np.uint8
    np.testing.assert_array_equal(image.read()[0, 0, 0], array)


def test_pages_that_lie_apart_are_read_by_their_offsets(tmp_path):
    array = volume("ZYX")
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for plane in array:
            writer.write(plane, photometric="minisblack", contiguous=False, metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.series[0].dataoffset is None
    np.testing.assert_array_equal(
        one(tmp_path / "a.tif").read(REGION_3D := (slice(0, 1), slice(0, 1), *REGION[2:])), array[None, None][REGION_3D]
    )


def test_only_the_rows_asked_for_are_read(tmp_path, monkeypatch):
    array = volume("ZYX")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", metadata={"axes": "ZYX"})
    image, read = one(tmp_path / "a.tif"), []

    class Counting(io.FileIO):
        def readinto(self, buffer):
            read.append(super().readinto(buffer))
            return read[-1]

    monkeypatch.setattr("im2im.io.pages.open", lambda path, mode, buffering: Counting(path), raising=False)
    image.read((slice(0, 1), slice(0, 1), slice(1, 3), slice(10, 15), slice(0, 9)))
    assert sum(read) == 2 * 5 * 64 * 2  # planes, rows, columns, bytes


def test_only_the_tiles_asked_for_are_decoded(tmp_path):
    array = volume("ZYX")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", compression="zlib", tile=(16, 16), metadata={"axes": "ZYX"})
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        offset, count = tif.pages[1].dataoffsets[0], tif.pages[1].databytecounts[0]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset : offset + count] = bytes(count)
    (tmp_path / "a.tif").write_bytes(content)
    image = one(tmp_path / "a.tif")
    beside = (slice(0, 1), slice(0, 1), slice(0, 4), slice(16, 48), slice(0, 64))
    np.testing.assert_array_equal(image.read(beside), array[None, None][beside])
    with pytest.raises(ValueError, match=r"Cannot read .*a\.tif"):
        image.read()


def test_the_full_resolution_of_a_pyramid_is_one_scene(tmp_path):
    array = volume("YX")
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        writer.write(array, subifds=1, tile=(16, 16), photometric="minisblack", metadata={"axes": "YX"})
        writer.write(array[::2, ::2], subfiletype=1, tile=(16, 16), photometric="minisblack")
    np.testing.assert_array_equal(one(tmp_path / "a.ome.tif").read()[0, 0, 0], array)


def test_each_series_is_a_scene_with_its_own_metadata(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for name, size in (("left", 0.5), ("right", 0.25)):
            metadata = {"axes": "YX", "Name": name, "PhysicalSizeX": size * 1000, "PhysicalSizeXUnit": "nm"}
            writer.write(np.full((8, 9), size * 100, np.uint8), photometric="minisblack", metadata=metadata)
    images = AutoReader()(tmp_path / "a.ome.tif")
    assert [image.scene for image in images] == ["left", "right"]
    assert [image.pixel_size for image in images] == [(None, None, 0.5), (None, None, 0.25)]
    assert [image.read().max() for image in images] == [50, 25]


def test_an_imagej_stack_says_its_axes_and_lengths(tmp_path):
    metadata = {"axes": "ZCYX", "spacing": 0.3, "unit": "\\u00B5m", "Labels": ["DAPI", "GFP", "RFP"] * 4}
    tifffile.imwrite(tmp_path / "a.tif", volume("ZCYX"), imagej=True, resolution=(1 / 0.108, 1 / 0.2), metadata=metadata)
    image = one(tmp_path / "a.tif")
    assert image.axes == "ZCYX"
    assert image.pixel_size == pytest.approx((0.3, 0.2, 0.108))
    assert image.channel_names == ("DAPI", "GFP", "RFP")


def test_an_imagej_stack_in_pixels_has_no_lengths(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", volume("ZYX"), imagej=True, resolution=(72, 72), metadata={"axes": "ZYX", "unit": "pixel"})
    assert one(tmp_path / "a.tif").pixel_size == (None, None, None)


def test_a_stack_that_says_nothing_is_z(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", volume("ZYX"), photometric="minisblack")
    assert one(tmp_path / "a.tif").axes == "ZYX"


def test_more_axes_that_say_nothing_have_to_be_given(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", volume("CZYX"), photometric="minisblack")
    with pytest.raises(ValueError, match=r"a\.tif does not say what its axes are.*set data\.axes"):
        AutoReader()(tmp_path / "a.tif")
    assert one(tmp_path / "a.tif", "CZYX").shape == (1, 3, 4, 48, 64)


@pytest.mark.parametrize("axes", ["TYX", "YZX", "XYZ"])
def test_given_axes_may_contradict_the_file(tmp_path, axes):
    array = volume("ZYX")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", metadata={"axes": "ZYX"})
    image, expected = one(tmp_path / "a.tif", axes), to_tczyx(array, axes)
    region = (slice(0, 1), slice(0, 1), slice(0, 3), slice(1, 3), slice(2, 4))
    np.testing.assert_array_equal(image.read(region), expected[region])


def test_an_image_can_be_sent_to_a_worker(tmp_path):
    array = volume("ZYX")
    for name, options in (("stored.tif", {}), ("zlib.tif", {"compression": "zlib"})):
        tifffile.imwrite(tmp_path / name, array, photometric="minisblack", metadata={"axes": "ZYX"}, **options)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(one(tmp_path / name))).read()[0, 0], array)


def test_an_image_in_several_files_is_read_across_them(tmp_path):
    write_two_files(tmp_path)
    image = one(tmp_path / "z0.ome.tif")
    assert image.shape == (1, 1, 2, 8, 9)
    assert image.read()[0, 0, :, 0, 0].tolist() == [1, 2]


def test_a_missing_file_of_several_is_not_read_as_zeros(tmp_path):
    write_two_files(tmp_path)
    (tmp_path / "z1.ome.tif").unlink()
    with pytest.raises(ValueError, match=r"z0\.ome\.tif: 1 of its 2 planes lie in files that are not there"):
        AutoReader()(tmp_path / "z0.ome.tif")


def write_two_files(folder):
    """Write two planes of one image, each in a file of its own that names the other."""
    data = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="z{z}.ome.tif">urn:uuid:{z}</UUID></TiffData>' for z in (0, 1)
    )
    for z in (0, 1):
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{z}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            f'DimensionOrder="XYZCT" Type="uint8" SizeX="9" SizeY="8" SizeZ="2" SizeC="1" SizeT="1">{data}</Pixels></Image></OME>'
        )
        tifffile.imwrite(
            folder / f"z{z}.ome.tif", np.full((8, 9), z + 1, np.uint8), photometric="minisblack", description=xml, metadata=None
        )


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=["stored", "zlib"])
def test_a_truncated_file_is_named_before_anything_is_read(tmp_path, options):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, volume("ZYX"), photometric="minisblack", metadata={"axes": "ZYX"}, **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(ValueError, match=r"^Cannot read .*cut\.tif: [^\n]*$"):
        AutoReader()(path)


def test_a_file_cut_off_after_it_was_opened_is_named(tmp_path):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, volume("ZYX"), photometric="minisblack", metadata={"axes": "ZYX"})
    image = one(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"cut\.tif: it ends \d+ bytes too early; the file is truncated"):
        image.read()


@pytest.mark.parametrize("content", [b"II*\0", b"II*\0\x08\0\0\0", b"not a tiff at all", b"\x89PNG\r\n"])
def test_what_is_no_tiff_is_named(tmp_path, content):
    (tmp_path / "odd.tif").write_bytes(content)
    with pytest.raises(ValueError, match=r"^Cannot read .*odd\.tif: [^\n]*$"):
        AutoReader()(tmp_path / "odd.tif")


@pytest.mark.data
def test_a_real_ome_tiff_says_what_it_is(shared_data: Path):
    image = one(shared_data / "formats" / "ome_tiff" / "s_1_t_1_c_1_z_1.ome.tiff")
    assert (image.axes, image.shape, image.dtype, image.channel_names) == ("YX", (1, 1, 1, 325, 475), np.uint16, ("Bright",))
    assert image.pixel_size == pytest.approx((None, 1.0833333, 1.0833333))


@pytest.mark.data
def test_a_real_lzw_file_gives_what_tifffile_reads(shared_data: Path):
    pytest.importorskip("imagecodecs")
    path = shared_data / "formats" / "ome_tiff" / "s_1_t_1_c_1_z_1.ome.tiff"
    np.testing.assert_array_equal(one(path).read()[0, 0, 0], tifffile.imread(path))


@pytest.mark.data
def test_a_real_time_lapse_in_rgb_has_three_channels(shared_data: Path):
    path = shared_data / "formats" / "timelapse" / "drosophila_gfp_histone_TYX.tif"
    image = one(path)
    assert (image.axes, image.shape) == ("TYXC", (21, 3, 1, 264, 542))
    np.testing.assert_array_equal(image.read((slice(3, 4), slice(1, 2), *[slice(None)] * 3))[0, 0, 0], tifffile.imread(path, key=3)[..., 1])


def part_of_a_set(time: int, names: list[str]) -> str:
    """OME-XML of one file of a time-lapse that is spread over several."""
    identity = "urn:uuid:{:08d}-0000-0000-0000-000000000000"
    planes = "".join(
        f'<TiffData FirstT="{t}" FirstC="0" FirstZ="0" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{name}">{identity.format(t)}</UUID></TiffData>'
        for t, name in enumerate(names)
    )
    return (
        f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{identity.format(time)}">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" '
        f'SizeX="8" SizeY="8" SizeZ="1" SizeC="1" SizeT="{len(names)}">'
        f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
    )


def test_a_set_of_files_counts_once(tmp_path):
    names = [f"m_t{time}.ome.tif" for time in range(3)]
    for time, name in enumerate(names):
        described = {"description": part_of_a_set(time, names), "metadata": None, "photometric": "minisblack"}
        tifffile.imwrite(tmp_path / name, np.full((8, 8), time, np.uint8), **described)
    (image,) = open_tiff(tmp_path / names[0])
    assert image.read()[:, 0, 0, 0, 0].tolist() == [0, 1, 2]
    assert image.others == tuple(tmp_path / name for name in names[1:])
    assert to_record(image) is None
    for name in names[1:]:
        with pytest.raises(ValueError, match=f"{name}.*part of the image that begins in .*{names[0]}; name that file alone"):
            open_tiff(tmp_path / name)


def test_a_single_stored_sample_is_no_axis(tmp_path):
    array = np.arange(64 * 32, dtype=np.uint16).reshape(64, 32, 1)
    tifffile.imwrite(tmp_path / "a.tif", array, metadata={"axes": "YXS"}, photometric="minisblack")
    (image,) = open_tiff(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.read()[0, 0, 0], array[..., 0])


def test_a_plane_whose_strips_are_scattered_is_read_rightly(tmp_path):
    planes = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)
    tifffile.imwrite(tmp_path / "a.tif", planes, rowsperstrip=4, contiguous=False, metadata={"axes": "ZYX"}, photometric="minisblack")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tif:
        offsets = tif.pages[1].tags["StripOffsets"]
        first, second = offsets.value
        offsets.overwrite((second, first))
    (image,) = open_tiff(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.read()[0, 0, 1], planes[1][[4, 5, 6, 7, 0, 1, 2, 3]])
