import numpy as np
import pytest
import torch

from im2im.affine import Affine
from im2im.tasks.instance import Instance

TASK = Instance()
TARGET = np.zeros((1, 6, 9), np.float32)
TARGET[0, 1:5, 0:2], TARGET[0, 1:5, 3:5], TARGET[0, 1:5, 6:8] = 3, 7, 500


@pytest.mark.parametrize(
    "call",
    [
        lambda: TASK.out_channels(1),
        lambda: TASK.loss(torch.zeros(1, 1, 4, 4), {"target": torch.zeros(1, 1, 4, 4)}),
        lambda: TASK.activate(torch.zeros(1, 1, 4, 4)),
        lambda: TASK.present(torch.zeros(1, 1, 4, 4)),
    ],
    ids=["out_channels", "loss", "activate", "present"],
)
def test_a_framework_that_finds_no_objects_is_refused_in_one_line(call):
    with pytest.raises(ValueError, match=r"^task=instance needs a framework .* set framework=embedseg$"):
        call()


@pytest.mark.parametrize(("largest", "dtype"), [(0, np.uint16), (65535, np.uint16), (65536, np.uint32)])
def test_object_numbers_are_written_in_the_smallest_type_that_holds_them(largest, dtype):
    found = np.array([[[0, 1], [largest, 2]]], np.int32)
    decoded = TASK.decode(found, Affine((0.0,), (1.0,)))
    assert decoded.dtype == dtype
    assert decoded.tolist() == found.tolist()


def test_another_output_is_refused():
    with pytest.raises(ValueError, match=r"puts out labels, got probabilities; choose among them with mode\.outputs"):
        TASK.decode(np.zeros((1, 2, 2), np.int32), Affine((0.0,), (1.0,)), "probabilities")


def test_missed_objects_count_against_the_score():
    found = np.where(TARGET == 3, 1, 0).astype(np.int32)  # one of three
    assert TASK.score(found, TARGET)["ap_50"] == pytest.approx(1 / 3)
    assert TASK.score(TARGET.astype(np.int32), TARGET)["ap_50"] == 1
    assert next(iter(TASK.score(found, TARGET))) == "ap_50"


def test_excluded_objects_do_not_count():
    found = np.where(TARGET == 3, 1, 0).astype(np.int32)
    cost_map = (TARGET[:, :, :] <= 3).astype(np.float32)
    assert TASK.score(found, TARGET, cost_map)["ap_50"] == 1
    assert [row["object"] for row in TASK.parts(found, TARGET, cost_map)] == [3]


def test_every_object_of_the_target_has_a_row():
    found = np.zeros((1, 6, 9), np.int32)
    found[0, 1:5, 0:2], found[0, 1:3, 6:8] = 9, 4  # whole, missed, half
    assert TASK.parts(found, TARGET) == [
        {"object": 3, "iou": 1.0, "matched": True},
        {"object": 7, "iou": 0.0, "matched": False},
        {"object": 500, "iou": 0.5, "matched": True},
    ]
