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
