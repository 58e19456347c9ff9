import resource

import numpy as np
import pytest
import torch

from im2im import memory


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 8 GB available and no other limit."""
    (tmp_path / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return tmp_path


def test_what_the_system_calls_available_is_free(machine):
    assert memory.free_memory() == 8_000_000 * 1024


def test_a_container_leaves_less_but_gives_up_files(machine):
    (machine / "memory.max").write_text("2000\n")
    (machine / "memory.current").write_text("1500\n")
    (machine / "memory.stat").write_text("anon 1100\ninactive_file 300\n")
    assert memory.free_memory() == 800
    (machine / "memory.max").write_text("max\n")
    assert memory.free_memory() == 8_000_000 * 1024


def test_a_group_within_another_has_what_both_leave(machine):
    inner = machine / "job" / "step"
    inner.mkdir(parents=True)
    (machine / "groups").write_text("0::/job/step\n")
    for folder, limit in ((inner, "5000"), (inner.parent, "900"), (machine, "max")):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text("100\n")
        (folder / "memory.stat").write_text("inactive_file 0\n")
    assert memory.free_memory() == 800


def test_groups_of_the_first_version_count(machine):
    inner = machine / "memory" / "job"
    inner.mkdir(parents=True)
    (machine / "groups").write_text("5:cpu,cpuacct:/\n4:memory:/job\n")
    (inner / "memory.limit_in_bytes").write_text("3000\n")
    (inner / "memory.usage_in_bytes").write_text("2500\n")
    (inner / "memory.stat").write_text("cache 400\ntotal_inactive_file 300\n")
    assert memory.free_memory() == 800


def test_a_limit_of_the_address_space_counts(machine, monkeypatch):
    (machine / "statm").write_text("100 50 20 1 0 30 0\n")
    monkeypatch.setattr(memory, "STATM", machine / "statm")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1_000_000, 1_000_000))
    assert memory.free_memory() == 1_000_000 - 100 * resource.getpagesize()


def test_a_system_that_says_nothing_is_taken_to_have_some(machine, monkeypatch):
    monkeypatch.setattr(memory, "MEMINFO", machine / "nothing")
    assert memory.free_memory() == memory.UNKNOWN


def test_a_gpu_has_memory_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (700, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 200)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 50)
    assert memory.free_memory("cuda:0") == 850


def real(allocate) -> BaseException:
    """Give the error of asking for a petabyte."""
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        allocate()
    return caught.value


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (lambda: real(lambda: torch.empty(2**50, dtype=torch.uint8)), ": 1.05e+06 GB more were asked for"),
        (lambda: real(lambda: np.empty(2**50, np.uint8)), ": 1.00 PiB more were asked for"),
        (lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has"), ": 2.50 GiB more were asked for"),
        (MemoryError, ""),
    ],
    ids=["torch", "numpy", "cuda", "python"],
)
def test_running_out_of_memory_is_told_with_sizes_and_keys(error, asked, machine):
    with pytest.raises(ValueError, match="out of memory") as told, memory.explained((8, 1, 16, 64, 32), "cpu"):
        raise error()
    assert str(told.value) == (
        f"out of memory with batches of (8, 1, 16, 64, 32) (batch_size=8, patch_size=[16, 64, 32]){asked}, 7.63 GB are free on cpu; "
        "lower batch_size or patch_size"
    )


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match="something else"), memory.explained((1, 1, 8, 8), "cpu"):
        raise RuntimeError("something else")
