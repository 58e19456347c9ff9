import pytest
import torch

from im2im import hardware


@pytest.mark.parametrize(
    ("flags", "dims", "chosen"), [("avx512_bf16", 2, "bf16-mixed"), ("avx512_bf16", 3, "32-true"), ("avx2", 2, "32-true")]
)
def test_cpus_train_in_what_they_multiply(flags, dims, chosen, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(f"flags : sse {flags}\n")
    monkeypatch.setattr(hardware, "CPU_FLAGS", tmp_path / "cpuinfo")
    assert hardware.choose_precision("auto", "cpu", dims) == chosen


def test_a_system_that_tells_nothing_trains_in_single_precision(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "CPU_FLAGS", tmp_path / "nothing")
    assert hardware.choose_precision("auto", "cpu", 2) == "32-true"


def test_what_is_asked_for_is_kept():
    assert hardware.choose_precision("16-mixed", "gpu", 2) == "16-mixed"


def test_wrong_gradients_are_refused():
    with pytest.raises(ValueError, match="set hardware.precision=32-true"):
        hardware.refuse_wrong_gradients("bf16-mixed", "cpu", 3)
    hardware.refuse_wrong_gradients("bf16-mixed", "cpu", 2)
    hardware.refuse_wrong_gradients("bf16-mixed", "cuda", 3)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match=r"hardware\.precision is one of .* got bf16-true"):
        hardware.choose_precision("bf16-true", "cpu", 2)


@pytest.mark.parametrize(
    ("devices", "accelerator", "gpus", "count"),
    [(1, "auto", 0, 1), (4, "cpu", 1, 4), ("auto", "auto", 3, 3), (-1, "gpu", 2, 2), ("auto", "cpu", 3, 1), ([0, 2], "gpu", 3, 2)],
)
def test_devices_are_counted(devices, accelerator, gpus, count, monkeypatch):
    monkeypatch.setattr(hardware.torch.cuda, "device_count", lambda: gpus)
    assert hardware.count_devices(devices, accelerator) == count


@pytest.mark.parametrize(
    ("devices", "told"),
    [(0, "got 0"), ("two", "got two"), (True, "got True"), (3, "has 2 GPUs, got hardware.devices=3; set hardware.devices=2")],
)
def test_a_number_of_devices_that_there_cannot_be_is_refused(devices, told, monkeypatch):
    monkeypatch.setattr(hardware.torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match=told):
        hardware.count_devices(devices, "auto")


@pytest.mark.parametrize(
    ("in_memory", "cores", "count", "reason"),
    [
        (True, 1, 0, "images are in memory, 1 core"),
        (True, 2, 0, "images are in memory, 2 cores"),
        (True, 4, 3, "images are in memory, 4 cores"),
        (True, 64, 8, "images are in memory, 64 cores"),
        (False, 2, 1, "patches are read from disk, 2 cores"),
        (False, 1, 0, "patches are read from disk, 1 core"),
    ],
)
def test_workers_are_chosen_by_images_and_cores(in_memory, cores, count, reason):
    assert hardware.choose_workers("auto", in_memory, cores) == (count, reason)


@pytest.mark.parametrize("cores", [1, 64])
def test_a_given_number_of_workers_is_kept(cores):
    assert hardware.choose_workers(3, True, cores)[0] == 3


@pytest.mark.parametrize("workers", ["many", -1, 1.5, True, None])
def test_a_number_of_workers_that_there_cannot_be_is_refused(workers):
    with pytest.raises(ValueError, match=f"got {workers}; set hardware.workers=auto"):
        hardware.check_workers(workers)


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 6), ("300000 100000", 3), ("50000 100000", 1), ("900000 100000", 6)])
def test_a_container_may_use_fewer_cores(quota, cores, tmp_path, monkeypatch):
    (tmp_path / "groups").write_text("1:name=systemd:/other\n0::/job/step\n")
    (tmp_path / "job" / "step").mkdir(parents=True)
    (tmp_path / "job" / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(hardware, "OWN_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(hardware, "CPU_LIMIT", tmp_path)
    monkeypatch.setattr(hardware.os, "sched_getaffinity", lambda pid: set(range(6)))
    assert hardware.usable_cores() == cores


@pytest.mark.parametrize(
    ("accelerator", "precision", "dims", "said"),
    [
        ("auto", "auto", 3, ["no GPU", "3D on a CPU is wrong in bfloat16"]),
        ("auto", "32-true", 3, ["no GPU"]),
        ("cpu", "auto", 2, ["this CPU does not multiply bfloat16"]),
        ("cpu", "32-true", 2, []),
    ],
)
def test_what_was_left_to_be_chosen_has_its_reason(accelerator, precision, dims, said, tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "CPU_FLAGS", tmp_path / "nothing")
    monkeypatch.setattr(hardware.torch.cuda, "is_available", lambda: False)
    assert hardware.why(accelerator, precision, torch.device("cpu"), dims) == said


def test_a_gpu_is_named_with_what_it_multiplies(monkeypatch):
    monkeypatch.setattr(hardware.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(hardware.torch.cuda, "get_device_name", lambda device: "Card X")
    monkeypatch.setattr(hardware.torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert hardware.why("auto", "auto", torch.device("cuda", 0), 3) == ["Card X", "this GPU does not multiply bfloat16"]
