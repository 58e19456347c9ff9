import re

import pytest
import torch
from tests_rehearsed import learner, trainer

from im2im.rehearsal import batch_size
from im2im.rehearsal.batch_size import find_batch_size, short_of_memory
from im2im.rehearsal.step import Step

GIGABYTE = 2**30


class Machine:
    """Steps take a GB and one for each patch; more than ``memory`` GB cannot be had, and from ``saturated`` patches on none is faster."""

    def __init__(self, memory: float = 1000, saturated: int = 1000) -> None:
        self.memory, self.saturated, self.tried = memory, saturated, []

    def __call__(self, size: int, steps: int) -> Step:
        self.tried.append(size)
        if 1 + size > self.memory:
            raise torch.OutOfMemoryError
        return Step(size, (1 + size) * GIGABYTE, 0, max(size, self.saturated) / 100)


def test_it_doubles_while_a_step_fits_and_never_tries_what_would_not():
    machine = Machine()
    found, reason = find_batch_size(machine, given=1, patches=1000, free=25 * GIGABYTE)
    assert (found, machine.tried) == (16, [1, 2, 4, 8, 16])
    assert reason == "32 would take about 33 GB of 25 GB that are free"


def test_running_out_of_memory_ends_the_search():
    machine = Machine(memory=7)
    found, reason = find_batch_size(machine, given=1, patches=1000, free=1000 * GIGABYTE)
    assert (found, machine.tried) == (4, [1, 2, 4, 8])
    assert "8 do not fit" in reason


def test_it_stops_where_patches_per_second_no_longer_rise():
    found, reason = find_batch_size(Machine(saturated=4), given=1, patches=1000, free=1000 * GIGABYTE)
    assert (found, reason) == (4, "8 train 100 patches per second, 4 train 100")


@pytest.mark.parametrize(("given", "memory", "found"), [(16, 1000, 16), (12, 1000, 12), (16, 9.5, 8)])
def test_below_the_configured_size_only_memory_counts(given, memory, found):
    assert find_batch_size(Machine(memory, saturated=1), given, patches=1000, free=1000 * GIGABYTE)[0] == found


@pytest.mark.parametrize(("patches", "given", "found"), [(200, 1, 16), (5, 1, 1), (5, 8, 4), (40, 8, 8)])
def test_an_epoch_keeps_its_steps(patches, given, found):
    size, reason = find_batch_size(Machine(), given, patches, free=1000 * GIGABYTE)
    assert size == found
    assert f"to an epoch of {patches} patches" in reason


def test_one_patch_that_does_not_fit_is_told_with_the_key():
    with pytest.raises(ValueError, match="not even one patch fits into 2 GB of free memory; lower patch_size"):
        find_batch_size(Machine(memory=1), given=1, patches=1000, free=2 * GIGABYTE)


@pytest.mark.parametrize("name", ["fcn", "cyclegan"])
def test_a_training_that_does_not_fit_is_doubted(name, monkeypatch):
    framework, data, _ = learner(name)
    monkeypatch.setattr(batch_size, "free_memory", lambda device: 2**19)
    doubt = short_of_memory(trainer(), framework, data)
    assert re.search(r"takes about [\d.e-]+ GB and 0.000488 GB are free.*; lower batch_size=2 or patch_size=\[32, 32\]", doubt)


def test_a_training_that_fits_is_not_doubted_and_steps_are_spared_where_memory_abounds(monkeypatch):
    framework, data, _ = learner("fcn")
    monkeypatch.setattr(batch_size, "free_memory", lambda device: 2**24)
    assert short_of_memory(trainer(), framework, data) == ""
    monkeypatch.setattr(batch_size, "measure_with", None)
    monkeypatch.setattr(batch_size, "free_memory", lambda device: 2**36)
    assert short_of_memory(trainer(), framework, data) == ""
