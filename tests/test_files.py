import os
from contextlib import suppress

import pytest

from im2im.files import replacing


def test_the_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a.ome.tif"
    with replacing(path) as temporary:
        temporary.write_text("done")
        assert not path.exists()
    assert path.read_text() == "done"


def test_the_temporary_path_is_a_hidden_sibling_of_the_same_suffix(tmp_path):
    with replacing(tmp_path / "a.ome.tif") as temporary:
        temporary.touch()
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".ome.tif")


def test_after_an_error_the_old_file_stays_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with suppress(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "old").touch()
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [os.listdir(tmp_path), os.listdir(path)] == [["a.zarr"], ["new"]]


def test_an_error_is_not_swallowed(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt"):
        1 / 0  # noqa: B018


def test_after_an_error_the_old_folder_stays(tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "old").touch()
    with suppress(KeyError), replacing(path) as temporary:
        temporary.mkdir()
        raise KeyError
    assert [os.listdir(tmp_path), os.listdir(path)] == [["a.zarr"], ["old"]]


def test_the_old_folder_comes_back_when_the_new_one_was_never_made(tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "a.tif").mkdir()
    (tmp_path / "a.tif" / "mine.txt").write_text("mine")
    with pytest.raises(OSError, match=r"a\.tif"), replacing(tmp_path / "a.tif") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.tif" / "mine.txt").read_text() == "mine"


def test_a_link_to_a_folder_is_replaced_and_its_folder_stays(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "mine.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with replacing(tmp_path / "link") as temporary:
        temporary.mkdir()
    assert (tmp_path / "real" / "mine.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]
