import os
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from im2im.io.store import NAME, Store, stamp


class Asked:
    """Finds a fact out and counts how often."""

    def __init__(self, fact=1):
        self.fact, self.count = fact, 0

    def __call__(self):
        self.count += 1
        return self.fact


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "image.tif"
    path.write_bytes(b"pixels")
    return path


def written(folder: Path, files, what="mean", fact=1) -> Store:
    store = Store(folder / NAME)
    store.remember(files, what, lambda: fact)
    store.write()
    return store


def test_a_fact_is_found_out_once(file, tmp_path):
    written(tmp_path, [file], fact={"offset": [1.5], "low": None})
    asked = Asked()
    assert Store(tmp_path / NAME).remember([file], "mean", asked) == {"offset": [1.5], "low": None}
    assert asked.count == 0


@pytest.mark.parametrize("what", ["mean", "median"])
def test_another_fact_or_another_file_is_found_out_anew(what, file, tmp_path):
    store = written(tmp_path, [file])
    other = tmp_path / "other.tif"
    other.write_bytes(b"pixels")
    asked = Asked(2)
    assert store.remember([file if what == "median" else other], what, asked) == 2
    assert asked.count == 1


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_that_changes_is_looked_at_again(change, file, tmp_path):
    written(tmp_path, [file])
    if change == "size":
        before = file.stat()
        file.write_bytes(b"more pixels")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert Store(tmp_path / NAME).remember([file], "mean", lambda: 2) == 2


def test_a_chunk_that_changes_in_a_folder_is_noticed(tmp_path):
    chunk = tmp_path / "image.zarr" / "c" / "0"
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"1")
    before = stamp(tmp_path / "image.zarr")
    chunk.write_bytes(b"2")
    os.utime(chunk, ns=(0, before[1] + 5))
    assert stamp(tmp_path / "image.zarr") == [1, before[1] + 5, 1]


def test_data_may_be_moved_together_with_what_is_known(file, tmp_path):
    written(tmp_path, [file])
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in (file.name, NAME):
        (tmp_path / name).rename(moved / name)
    asked = Asked()
    assert Store(moved / NAME).remember([moved / file.name], "mean", asked) == 1
    assert asked.count == 0


def test_images_in_memory_and_parts_without_a_description_are_not_kept(file, tmp_path):
    store = Store(tmp_path / NAME)
    asked = Asked()
    for files, what in [([Path("array")], "mean"), ([file, Path("array")], "mean"), ([file], f"mean by {object()}")]:
        assert [store.remember(files, what, asked) for _ in range(2)] == [1, 1]
    assert asked.count == 6


def test_nothing_known_is_not_kept(file, tmp_path):
    store, asked = Store(tmp_path / NAME), Asked(None)
    assert [store.remember([file], "record", asked) for _ in range(2)] == [None, None]
    assert asked.count == 2


def test_without_a_file_facts_last_as_long_as_the_store(file, tmp_path):
    store, asked = Store(), Asked()
    assert [store.remember([file], "mean", asked) for _ in range(2)] == [1, 1]
    store.write()
    assert asked.count == 1
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_read_only_folder_is_left_alone(file, tmp_path, caplog):
    caplog.set_level("INFO")
    tmp_path.chmod(0o555)
    try:
        written(tmp_path, [file])
        assert [path.name for path in tmp_path.iterdir()] == [file.name]
    finally:
        tmp_path.chmod(0o755)
    assert "data.index=FILE" in caplog.text


def test_what_lies_in_a_read_only_folder_is_used(file, tmp_path):
    written(tmp_path, [file])
    tmp_path.chmod(0o555)
    asked = Asked()
    try:
        store = Store(tmp_path / NAME)
        assert store.remember([file], "mean", asked) == 1
        store.remember([file], "median", asked)
        store.write()
    finally:
        tmp_path.chmod(0o755)
    assert asked.count == 1


def test_a_frozen_store_reads_but_does_not_write(file, tmp_path):
    store = Store(tmp_path / NAME)
    store.freeze()
    store.remember([file], "mean", lambda: 1)
    store.write()
    assert not (tmp_path / NAME).exists()


def test_a_damaged_store_is_named_and_kept(file, tmp_path, caplog):
    (tmp_path / NAME).write_bytes(b"no database" * 100)
    written(tmp_path, [file])
    assert f"{tmp_path / NAME} cannot be used" in caplog.text
    assert (tmp_path / NAME).read_bytes() == b"no database" * 100


def remembering(folder, file, count, then="") -> subprocess.Popen:
    """Start a process that writes so many facts down."""
    code = f"""
import os, sys
from pathlib import Path
from im2im.io.store import Store
known = Store(Path({str(folder / NAME)!r}))
for number in range({count}):
    known.remember([Path({str(file)!r})], f"fact {{number}} of {{os.getpid()}}", lambda: number)
    known.write()
{then}
"""
    return subprocess.Popen([sys.executable, "-c", code])


def test_a_process_that_is_killed_loses_little(file, tmp_path):
    process = remembering(tmp_path, file, 3, "os.kill(os.getpid(), 9)")
    assert process.wait() == -9
    facts = [Store(tmp_path / NAME).remember([file], f"fact {number} of {process.pid}", Asked(-1)) for number in range(3)]
    assert facts == [0, 1, 2]


def test_two_processes_write_to_one_store(file, tmp_path):
    running = [remembering(tmp_path, file, 50) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    with sqlite3.connect(tmp_path / NAME) as connection:
        assert connection.execute("SELECT count(*) FROM facts_1").fetchone() == (100,)


def test_a_copy_for_another_process_opens_the_file_itself(file, tmp_path):
    copy = pickle.loads(pickle.dumps(written(tmp_path, [file])))
    assert copy.remember([file], "mean", Asked(2)) == 1


@pytest.mark.parametrize("begun", ["empty", "another version"])
def test_a_store_that_was_only_begun_is_filled(begun, file, tmp_path, caplog):
    if begun == "empty":
        (tmp_path / NAME).touch()
    else:
        with sqlite3.connect(tmp_path / NAME) as connection:
            connection.execute("CREATE TABLE facts_0 (a TEXT)")
    written(tmp_path, [file])
    assert not caplog.text
    assert Store(tmp_path / NAME).remember([file], "mean", Asked(2)) == 1


def test_a_store_that_only_another_may_write_is_read(file, tmp_path, monkeypatch):
    written(tmp_path, [file])
    real = os.access
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != NAME and real(path, mode))
    store = Store(tmp_path / NAME)
    assert store.remember([file], "mean", Asked(2)) == 1
    store.remember([file], "median", Asked(3))
    store.write()
    assert store.remember([file], "mean", Asked(2)) == 1


def test_a_folder_is_not_looked_through_for_each_fact(tmp_path, monkeypatch):
    (tmp_path / "image.zarr").mkdir()
    (tmp_path / "image.zarr" / "0").touch()
    store, walked = Store(), []
    monkeypatch.setattr("im2im.io.store.stamp", lambda path: walked.append(path) or [1, 2, 3])
    for what in ("mean", "median", "mode"):
        store.remember([tmp_path / "image.zarr"], what, Asked())
    assert len(walked) == 1
