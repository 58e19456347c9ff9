"""The largest batch that fits and pays."""

import math

import pytorch_lightning as pl
import torch

from im2im.data.datamodule import ImageData
from im2im.frameworks.base import Framework
from im2im.memory import free_memory, out_of_memory
from im2im.networks.footprint import footprint
from im2im.rehearsal.step import STEPS, Measure, Step, measure_with, predicted_bytes

SHARE = 0.8  # of the free memory that a step may take
GAIN = 1.1  # patches per second of twice the batch, at least
STEPS_OF_AN_EPOCH = 10  # at least
GIGABYTE = 2**30
KEPT = 50  # a training step takes less than so many times what the network's prediction of the same patches takes


def find_batch_size(measure: Measure, given: int, patches: int, free: float) -> tuple[int, str]:
    """Double the batch size from 1 on for as long as a step fits and, above the given size, pays.

    What would not fit by the steps measured so far is not tried; on a GPU, which survives it, running out of memory ends the search too.

    Args:
        measure: Measures a step of so many patches by doing so many steps.
        given: The configured size; smaller ones are left behind if only they fit.
        patches: Of one epoch.
        free: Bytes.

    Returns:
        The size, and the reason why it is not larger.

    Raises:
        ValueError: If not even one patch fits.
    """
    tried: list[Step] = []
    size, largest = 1, min(patches, max(patches // STEPS_OF_AN_EPOCH, given))
    while size <= largest:
        if tried and (wanted := predicted_bytes(tried, size)) > SHARE * free:
            return tried[-1].size, f"{size} would take about {wanted / GIGABYTE:.2g} GB of {free / GIGABYTE:.2g} GB that are free"
        try:
            step = measure(size, STEPS if size >= given else 2)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if not tried:
                raise ValueError(f"not even one patch fits into {free / GIGABYTE:.2g} GB of free memory; lower patch_size") from error
            return tried[-1].size, f"{size} do not fit into {free / GIGABYTE:.2g} GB of free memory"
        if tried and tried[-1].size >= given and step.rate < GAIN * tried[-1].rate:
            return tried[-1].size, f"{size} train {step.rate:.3g} patches per second, {tried[-1].size} train {tried[-1].rate:.3g}"
        tried.append(step)
        size = given if size < given < 2 * size else 2 * size
    return tried[-1].size, f"more leave fewer than {STEPS_OF_AN_EPOCH} steps to an epoch of {patches} patches"


def short_of_memory(trainer: pl.Trainer, framework: Framework, data: ImageData) -> str:
    """Say before a training that the machine has not enough memory for it, where it would be ended by the system without a word.

    Steps of one and two patches are done for it, on a copy, unless there is so much memory that no doubt arises. Empty where all is well.
    """
    device, size = trainer.strategy.root_device, data.sampling.batch_size
    free, pixels = free_memory(device) / trainer.num_devices, math.prod(data.sampling.patch_size)
    if device.type == "cuda" or free > KEPT * size * pixels * _rough(framework, data):
        return ""
    measure = measure_with(trainer, framework, data)
    steps = [measure(1, 2)]
    if size > 2 and predicted_bytes(steps, 2) < free:
        steps.append(measure(2, 2))
    if (wanted := predicted_bytes(steps, size)) <= free:
        return ""
    return (
        f"a step takes about {wanted / GIGABYTE:.3g} GB and {free / GIGABYTE:.3g} GB are free: the system may end this training; "
        f"lower batch_size={size} or patch_size={list(data.sampling.patch_size)}"
    )


def _rough(framework: Framework, data: ImageData) -> float:
    """Give the bytes that the network takes to predict a pixel; none where that cannot be told."""
    patch = framework.size(torch.empty(framework.record["in_channels"], *data.sampling.patch_size)).fitting(data.sampling.patch_size)
    try:
        return footprint(framework.network, framework.record["in_channels"], patch).bytes_per_voxel
    except ValueError:
        return 0.0
