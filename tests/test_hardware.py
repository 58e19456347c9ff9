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
