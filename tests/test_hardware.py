import pytest

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
