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
    """Lengthen the last axes at their ends.

    What is added mirrors the image (its last pixel not repeated), or repeats the last pixel where the image is too short to be mirrored.

    Args:
        tensor: ...(Z)YX, with at least one pixel along every axis.
        size: (Z)YX, as large as the image at least.

    Returns:
        The padded tensor, the tensor itself where nothing is missing; and the index that crops a tensor of its size back, whatever the
        leading axes: ``padded[crop]``.
    """
    shape = tensor.shape[-len(size) :]
    crop: Crop = (..., *(slice(0, length) for length in shape))
    for axis, (length, wanted) in enumerate(zip(shape, size, strict=True), start=tensor.ndim - len(size)):
        if wanted > length:
            tensor = tensor.index_select(axis, _lengthened(length, wanted - length).to(tensor.device))
    return tensor, crop


def _lengthened(length: int, missing: int) -> Tensor:
    added = torch.arange(length - 2, length - 2 - missing, -1) if missing < length else torch.full((missing,), length - 1)
    return torch.cat([torch.arange(length), added])
