"""What a training step takes, measured on steps of a copy."""

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch

from im2im.data.datamodule import ImageData
from im2im.frameworks.base import Framework
from im2im.networks.footprint import Alive
from im2im.rehearsal.rehearse import rehearse

STEPS = 4  # the first one makes the states of the optimizers and is not timed


@dataclass(frozen=True)
class Step:
    """What a training step takes.

    Args:
        size: Patches.
        maps: Bytes beside the weights, at most at a time, while losses and gradients are computed; grows with the size.
        moving: Bytes while an optimizer moves its parameters; grows less.
        seconds: From batch to batch.
    """

    size: int
    maps: int
    moving: int
    seconds: float

    @property
    def bytes(self) -> int:
        """All that it takes at a time."""
        return max(self.maps, self.moving)

    @property
    def rate(self) -> float:
        """Patches per second."""
        return self.size / self.seconds


Measure = Callable[[int, int], Step]


def measure_with(trainer: pl.Trainer, framework: Framework, data: ImageData) -> Measure:
    """Give the function that measures a training step of ``size`` patches by doing ``steps`` of them.

    It raises torch.OutOfMemoryError where they do not fit on a GPU; where they do not fit into the memory of the machine, the system may
    end this process: there only what is known to fit may be measured.
    """
    entries, device = data.entries("train"), trainer.strategy.root_device

    def measure(size: int, steps: int = STEPS) -> Step:
        watch = _Watch(_OnGPU(device) if device.type == "cuda" else Alive(but="meta"))  # where networks tell their sizes
        rehearse(trainer, framework, [data.batch(entries, size)] * max(steps, 2), watch, watch.memory)
        return Step(size, watch.maps, watch.moving, min(watch.seconds[1:]))

    return measure


def predicted_bytes(steps: Sequence[Step], size: int) -> float:
    """Tell what a step of another size takes: on the line through the last two measured ones, or in proportion to a single one."""
    last = steps[-1]
    if len(steps) == 1:
        return max(last.moving, last.maps * size / last.size)  # too much: some of it does not grow
    slope = (last.maps - steps[-2].maps) / (last.size - steps[-2].size)
    return max(last.moving, last.maps + max(slope, 0.0) * (size - last.size))


class _OnGPU(AbstractContextManager):
    """Reads the peak of a GPU's memory as ``Alive`` counts that of a CPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __enter__(self) -> None:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    @property
    def peak(self) -> int:
        return torch.cuda.max_memory_allocated(self.device)

    def forget(self) -> None:
        torch.cuda.reset_peak_memory_stats(self.device)


class _Watch(pl.Callback):
    """Times each step and looks at the memory before and after each move of parameters."""

    def __init__(self, memory: Alive | _OnGPU) -> None:
        self.memory, self.maps, self.moving = memory, 0, 0
        self.seconds: list[float] = []
        self._start = 0.0

    def on_train_start(self, trainer: pl.Trainer, *_: Any) -> None:
        for optimizer in trainer.optimizers:
            optimizer.register_step_pre_hook(self._before_move)
            optimizer.register_step_post_hook(self._after_move)

    def _before_move(self, *_: Any) -> None:
        self.maps = max(self.maps, self.memory.peak)
        self.memory.forget()

    def _after_move(self, *_: Any) -> None:
        self.moving = max(self.moving, self.memory.peak)
        self.memory.forget()

    def on_train_batch_start(self, *_: Any) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if isinstance(self.memory, _OnGPU):
            torch.cuda.synchronize(self.memory.device)
        self.seconds.append(time.perf_counter() - self._start)
        self.maps = max(self.maps, self.memory.peak)
