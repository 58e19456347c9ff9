import os

import numpy as np
import pytest
import tifffile

from im2im.io import decoded
from im2im.io.decoded import DecodedReader
from im2im.io.image import Image
from im2im.io.reader import AutoReader
from im2im.io.writer import write_image


@pytest.fixture
def stack():
    return np.random.default_rng(0).integers(0, 60000, (3, 40, 50), dtype=np.uint16)


@pytest.fixture
def path(stack, tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", stack, compression="zlib", metadata={"axes": "ZYX"})
    return tmp_path / "image.tif"


@pytest.fixture(autouse=True)
def _room(monkeypatch):
    monkeypatch.setattr(decoded, "_WITHOUT_ROOM", set())
    monkeypatch.setattr(decoded, "_USED", set())


def opened(path, folder, limit=1.0) -> Image:
    return DecodedReader(AutoReader(), folder, limit)(path)[0]


def copies(folder):
    return sorted(folder.glob("*.pixels")) if folder.is_dir() else []


def test_a_compressed_image_is_decoded_once(stack, path, tmp_path, monkeypatch):
    region = (slice(None), slice(None), slice(1, 3), slice(5, 20), slice(7, 30))
    np.testing.assert_array_equal(opened(path, tmp_path / "cache").read(region)[0, 0], stack[1:3, 5:20, 7:30])
    (copy,) = copies(tmp_path / "cache")
    assert copy.stat().st_size == stack.nbytes
    monkeypatch.setattr("im2im.io.pages.EncodedPages.__getitem__", lambda *_: pytest.fail("decoded again"))
    np.testing.assert_array_equal(opened(path, tmp_path / "cache").read(region)[0, 0], stack[1:3, 5:20, 7:30])


def test_channels_and_time_points_keep_their_places(tmp_path):
    movie = np.arange(2 * 3 * 4 * 5 * 6, dtype=np.uint16).reshape(2, 4, 3, 5, 6)  # TZCYX
    tifffile.imwrite(tmp_path / "movie.ome.tif", movie, compression="zlib", metadata={"axes": "TZCYX"}, photometric="minisblack")
    np.testing.assert_array_equal(opened(tmp_path / "movie.ome.tif", tmp_path / "cache").read(), movie.swapaxes(1, 2))


def test_what_is_read_fast_anyway_is_not_copied(stack, tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", stack, metadata={"axes": "ZYX"})
    write_image(tmp_path / "chunks.ome.zarr", stack, "ZYX")
    for name in ("plain.tif", "chunks.ome.zarr"):
        np.testing.assert_array_equal(opened(tmp_path / name, tmp_path / "cache").read()[0, 0], stack)
    assert copies(tmp_path / "cache") == []


def test_a_changed_image_is_decoded_anew(stack, path, tmp_path):
    opened(path, tmp_path / "cache").read()
    tifffile.imwrite(path, stack + 1, compression="zlib", metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(opened(path, tmp_path / "cache").read()[0, 0], stack + 1)


def test_copies_that_were_not_used_for_longest_make_room(stack, tmp_path):
    limit, folder = 2.5 * stack.nbytes / decoded.GIGABYTE, tmp_path / "cache"
    for number in range(3):
        tifffile.imwrite(tmp_path / f"{number}.tif", stack + number, compression="zlib", metadata={"axes": "ZYX"})
    images = [opened(tmp_path / f"{number}.tif", folder, limit) for number in range(3)]
    for image, used in zip(images[:2], (20, 10), strict=True):
        image.read()
        os.utime(image.load.copy, (used, used))
        decoded._USED.clear()
    images[2].read()
    assert copies(folder) == sorted([images[0].load.copy, images[2].load.copy])
    np.testing.assert_array_equal(images[1].read()[0, 0], stack + 1)


def test_an_image_larger_than_the_limit_is_read_from_its_file(stack, path, tmp_path, caplog):
    image = opened(path, tmp_path / "cache", limit=1e-9)
    for _ in range(2):
        np.testing.assert_array_equal(image.read()[0, 0], stack)
    assert copies(tmp_path / "cache") == []
    assert caplog.text.count("raise data.cache_limit") == 1


def test_a_decoding_that_is_killed_leaves_no_copy(path, stack, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("im2im.io.pages.EncodedPages.__getitem__", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            opened(path, tmp_path / "cache").read()
    assert copies(tmp_path / "cache") == []
    np.testing.assert_array_equal(opened(path, tmp_path / "cache").read()[0, 0], stack)


def test_a_copy_that_another_process_took_away_does_no_harm(path, stack, tmp_path, monkeypatch):
    image = opened(path, tmp_path / "cache")
    image.read()
    image.load.copy.unlink()
    monkeypatch.setattr("pathlib.Path.is_file", lambda _: True)  # it was still there a moment ago
    np.testing.assert_array_equal(image.read()[0, 0], stack)


def test_other_files_in_the_folder_are_left_alone(stack, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "mine.pixels").write_bytes(b"mine")
    for number in range(3):
        tifffile.imwrite(tmp_path / f"{number}.tif", stack + number, compression="zlib", metadata={"axes": "ZYX"})
        opened(tmp_path / f"{number}.tif", folder, 1.5 * stack.nbytes / decoded.GIGABYTE).read()
        decoded._USED.clear()
    assert (folder / "mine.pixels").read_bytes() == b"mine"
    assert len(copies(folder)) == 2


def test_copies_that_are_in_use_are_not_given_up_for_others(stack, tmp_path):
    folder, limit = tmp_path / "cache", 2.5 * stack.nbytes / decoded.GIGABYTE
    for number in range(3):
        tifffile.imwrite(tmp_path / f"{number}.tif", stack + number, compression="zlib", metadata={"axes": "ZYX"})
    images = [opened(tmp_path / f"{number}.tif", folder, limit) for number in range(3)]
    for _ in range(2):
        for number, image in enumerate(images):
            np.testing.assert_array_equal(image.read()[0, 0], stack + number)
    assert copies(folder) == sorted(image.load.copy for image in images[:2])


def test_another_reader_has_copies_of_its_own(path, tmp_path):
    readers = [DecodedReader(AutoReader(axes), tmp_path / "cache", 1.0) for axes in (None, "ZYX")]
    first, second = (reader(path)[0].load.copy for reader in readers)
    assert first != second
