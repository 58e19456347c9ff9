import numpy as np
import pytest
import tifffile

from im2im.data.index import Files
from im2im.data.shortcuts import Shortcuts
from im2im.data.side import Side
from im2im.io.pairing import Folders
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.io.store import NAME
from im2im.normalization import Percentile


def test_the_index_lies_beside_the_data(tmp_path):
    assert Shortcuts(str(tmp_path), index=True).store.path == tmp_path / NAME


def test_the_index_of_a_table_lies_beside_the_table(tmp_path):
    assert Shortcuts(str(tmp_path / "pairs.csv"), index=True).store.path == tmp_path / NAME


@pytest.mark.parametrize("index", [False, "elsewhere.sqlite"])
def test_the_index_lies_where_one_says(index, tmp_path):
    path = Shortcuts(str(tmp_path), index=index).store.path
    assert (str(path) if path else False) == index


def test_copies_without_room_are_refused():
    with pytest.raises(ValueError, match=r"data.cache_limit=0 GB; raise it"):
        Shortcuts(cache_limit=0)


def test_files_are_opened_with_shortcuts(tmp_path):
    for role in ("source", "target"):
        (tmp_path / role).mkdir()
        tifffile.imwrite(tmp_path / role / "a.tif", np.arange(256, dtype=np.uint8).reshape(16, 16), compression="zlib")
    shortcuts = Shortcuts(str(tmp_path), index=True, cache=str(tmp_path / "cache"))
    files, side = Files(Folders(tmp_path), shortcuts=shortcuts), Side(AutoReader(), Selection(), Percentile(), 2)
    (pair,) = files.pairs()
    (entry,) = files.open(pair, side, side)
    assert side.array(entry.source)[0, 3, 2] == 50
    shortcuts.store.write()
    assert (tmp_path / NAME).is_file()
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("index", [".", "no/such/folder/index.sqlite"])
def test_an_index_that_can_be_no_file_is_refused(index, tmp_path):
    with pytest.raises(ValueError, match=r"the index is a file in a folder that is there, got data.index="):
        _ = Shortcuts(str(tmp_path), index=str(tmp_path / index)).store


def test_a_decoded_copy_is_found_again_by_the_next_run(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16), np.uint8), compression="zlib")
    side = Side(AutoReader(), Selection(), Percentile(), 2)
    for _ in range(2):
        shortcuts = Shortcuts(str(tmp_path), index=True, cache=str(tmp_path / "cache"))
        (image,) = shortcuts.side(side).open(tmp_path / "a.tif")
        image.read()
    assert len(list((tmp_path / "cache").iterdir())) == 1
