"""Making an image as large as a network wants it, and going back."""

import math
from collections.abc import Sequence
from types import EllipsisType

import torch
from torch import Tensor

Crop = tuple[EllipsisType | slice, ...]


def pad_to_multiple(tensor: Tensor, multiple: Sequence[int]) -> tuple[Tensor, Crop]:
    """Lengthen the last axes, one for each entry of ``multiple``, until each is a multiple, see :func:`pad_to`."""
    shape = tensor.shape[-len(multiple) :]
    return pad_to(tensor, [math.ceil(length / unit) * unit for length, unit in zip(shape, multiple, strict=True)])


def pad_to(tensor: Tensor, size: Sequence[int]) -> tuple[Tensor, Crop]:
    """Lengthen the last axes at their ends to a size (Z)YX, as large as the image at least, see :func:`pad`."""
    shape = tensor.shape[-len(size) :]
    return pad(tensor, [(0, wanted - length) for length, wanted in zip(shape, size, strict=True)])


def pad(tensor: Tensor, margin: Sequence[tuple[int, int]]) -> tuple[Tensor, Crop]:
    """Lengthen the last axes, one for each entry of ``margin``.

    What is added mirrors the image (its last pixel not repeated), or repeats the last pixel where the image is too short to be mirrored.

    Args:
        tensor: ...(Z)YX, with at least one pixel along every axis.
        margin: Pixels before and after the image.

    Returns:
        The padded tensor, the tensor itself where nothing is missing; and the index that crops a tensor of its size back, whatever the
        leading axes: ``padded[crop]``.
    """
    shape = tensor.shape[-len(margin) :]
    crop: Crop = (..., *(slice(before, before + length) for length, (before, _) in zip(shape, margin, strict=True)))
    for axis, (length, (before, after)) in enumerate(zip(shape, margin, strict=True), start=tensor.ndim - len(margin)):
        if before > 0 or after > 0:
            tensor = tensor.index_select(axis, _lengthened(length, before, after).to(tensor.device))
    return tensor, crop


def _lengthened(length: int, before: int, after: int) -> Tensor:
    ahead = torch.arange(before, 0, -1) if before < length else torch.zeros(before, dtype=torch.long)
    behind = torch.arange(length - 2, length - 2 - after, -1) if after < length else torch.full((after,), length - 1)
    return torch.cat([ahead, torch.arange(length), behind])
