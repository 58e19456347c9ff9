"""Axes strings: what the dimensions of an array mean.

Everything inside im2im is ``TCZYX``: time, channel, and three axes of space. Files have a subset of these in an order of their own.
"""

from typing import TypeAlias

import numpy as np

Shape: TypeAlias = tuple[int, int, int, int, int]
Region: TypeAlias = tuple[slice, ...]

AXES = "TCZYX"


def parse(axes: str) -> str:
    """Check axes that a user or a file gives, and return them in capitals with RGB samples (``S``) counted as channels.

    Args:
        axes: A subset of ``TCZYX`` in any order, with ``Y`` and ``X``; ``S`` stands for ``C``.

    Raises:
        ValueError: Unknown or repeated letters, or no ``Y`` or no ``X``.
    """
    parsed = str(axes).upper().replace("S", "C")
    if set(parsed) - set(AXES) or len(set(parsed)) < len(parsed) or not set("YX") <= set(parsed):
        raise ValueError(
            f"axes must be some of T, C, Z and both of Y, X, each once, got {axes!r}; correct data.axes, for example data.axes=ZYX"
        )
    return parsed


def spatial_axes(spatial_dims: int) -> str:
    """``YX`` for 2 and ``ZYX`` for 3 spatial dimensions."""
    if spatial_dims not in (2, 3):
        raise ValueError(f"an image has 2 or 3 spatial dimensions, got {spatial_dims!r}; set spatial_dims=2 or spatial_dims=3")
    return AXES[-spatial_dims:]


def shape_tczyx(shape: tuple[int, ...], axes: str) -> Shape:
    """The TCZYX shape of an array of ``shape`` in ``axes``; axes it has not get length 1."""
    axes = _matching(shape, axes)
    t, c, z, y, x = (int(shape[axes.index(axis)]) if axis in axes else 1 for axis in AXES)
    return t, c, z, y, x


def to_tczyx(array: np.ndarray, axes: str) -> np.ndarray:
    """A view of ``array`` (in ``axes``) as TCZYX; axes it has not get length 1."""
    axes = _matching(array.shape, axes)
    ordered = array.transpose([axes.index(axis) for axis in AXES if axis in axes])
    return ordered.reshape(shape_tczyx(array.shape, axes))


def from_tczyx(array: np.ndarray, axes: str) -> np.ndarray:
    """A view of a TCZYX ``array`` in ``axes``; only axes of length 1 can be left out.

    Raises:
        ValueError: ``axes`` leave out an axis with more than one entry.
    """
    axes = parse(axes)
    left_out = [axis for axis in AXES if axis not in axes]
    if lost := {axis: array.shape[AXES.index(axis)] for axis in left_out if array.shape[AXES.index(axis)] > 1}:
        raise ValueError(f"axes {axes} leave out axes that are longer than 1, got {lost}; add {', '.join(lost)} to data.axes")
    kept = "".join(axis for axis in AXES if axis in axes)
    return array.squeeze(tuple(AXES.index(axis) for axis in left_out)).transpose([kept.index(axis) for axis in axes])


def _matching(shape: tuple[int, ...], axes: str) -> str:
    axes = parse(axes)
    if len(axes) != len(shape):
        raise ValueError(f"axes {axes} name {len(axes)} dimensions, got an array of shape {tuple(shape)}; correct data.axes")
    return axes
