"""Which part of each file is used: scenes, time points, channels and z planes, read lazily."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from im2im.axes import Region, spatial_axes
from im2im.io.image import Image

Choice: TypeAlias = int | str | Sequence[int | str] | None


@dataclass(frozen=True)
class Selection:
    """Chooses scenes, time points, channels and z planes of files; None takes all of them.

    Args:
        channels: Indices from 0, or names of channels; they come in the order given.
        times: Indices from 0.
        scenes: Indices from 0, or names of scenes.
        planes: Indices of z planes from 0.
        project: ``max`` or ``mean`` over the z planes (after ``planes``), for 2D work on 3D files.
    """

    channels: Choice = None
    times: Choice = None
    scenes: Choice = None
    planes: Choice = None
    project: Literal["max", "mean"] | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown projection."""
        if self.project not in (None, "max", "mean"):
            raise ValueError(f"a projection is max or mean, got {self.project!r}; correct data.project, or leave it out")

    def __call__(self, images: list[Image], spatial_dims: int, key: str = "channels") -> list[Image]:
        """Views of the chosen part of the scenes of one file, of which nothing is read here.

        Args:
            images: All scenes of one file.
            spatial_dims: 2 or 3; images must have one z plane, or several.
            key: What the setting of the channels is called under ``data.``, for errors: ``source_channels``.

        Raises:
            ValueError: Something chosen does not exist, or the images do not have ``spatial_dims`` dimensions.
        """
        names = tuple(image.scene or str(index) for index, image in enumerate(images))
        path = images[0].path
        chosen = _indices(self.scenes, len(images), names, path, "scenes") or range(len(images))
        views = [self._view(images[index], key) for index in chosen]
        for view in views:
            _check_dimensions(view, spatial_dims)
        return views

    def _view(self, image: Image, key: str) -> Image:
        times, channels, planes = image.shape[:3]
        parts = (
            _indices(self.times, times, (), image.path, "times"),
            _indices(self.channels, channels, image.channel_names, image.path, key),
            _indices(self.planes, planes, (), image.path, "planes"),
        )
        if not any(parts) and (self.project is None or planes == 1):
            return image
        chosen = [part or tuple(range(length)) for part, length in zip(parts, image.shape[:3], strict=True)]
        load = SelectedPart(image, chosen[0], chosen[1], chosen[2], self.project)
        names = tuple(image.channel_names[index] for index in load.channels) if image.channel_names else ()
        part = f"t{load.times} c{load.channels} z{load.planes} {load.project or ''}"
        view = replace(image, shape=load.shape, load=load, channel_names=names, part=part)
        if not self.project:
            return view
        dtype = np.dtype(np.float32) if self.project == "mean" else image.dtype
        return replace(view, dtype=dtype, axes=image.axes.replace("Z", ""), pixel_size=(None, *image.pixel_size[1:]))


@dataclass(frozen=True)
class SelectedPart:
    """Reads regions of a view, and of the image below only what they need.

    Args:
        image: Below the view.
        times: Indices into it.
        channels: Indices into it.
        planes: Indices into it, before projection.
        project: Over the planes.
    """

    image: Image
    times: tuple[int, ...]
    channels: tuple[int, ...]
    planes: tuple[int, ...]
    project: Literal["max", "mean"] | None

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Of the view, TCZYX."""
        return len(self.times), len(self.channels), 1 if self.project else len(self.planes), self.image.shape[3], self.image.shape[4]

    def __call__(self, region: Region) -> np.ndarray:
        """Region of the view (TCZYX) → TCZYX."""
        times, channels, planes = self.times[region[0]], self.channels[region[1]], self.planes
        if not self.project:
            return self._read(times, channels, planes[region[2]], region[3:])
        if region[2].start >= region[2].stop:
            return self._read(times, channels, (), region[3:])
        stack = self._read(times, channels, planes, region[3:])
        if self.project == "max":
            return stack.max(axis=2, keepdims=True)
        return stack.mean(axis=2, keepdims=True, dtype=np.float32)

    def _read(self, times: tuple[int, ...], channels: tuple[int, ...], planes: tuple[int, ...], rows_columns: Region) -> np.ndarray:
        rows, columns = rows_columns
        out = np.empty((len(times), len(channels), len(planes), rows.stop - rows.start, columns.stop - columns.start), self.image.dtype)
        for (t, times_there), (c, channels_there), (z, planes_there) in product(_runs(times), _runs(channels), _runs(planes)):
            out[t, c, z] = self.image.read((times_there, channels_there, planes_there, rows, columns))
        return out


def _runs(indices: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Neighbouring indices as one slice: (7, 8, 9, 2) → (0:3 ← 7:10), (3:4 ← 2:3)."""
    runs = []
    for _, members in groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0]):
        pairs = list(members)
        (here, there), length = pairs[0], len(pairs)
        runs.append((slice(here, here + length), slice(there, there + length)))
    return runs


def _indices(choice: Choice, length: int, names: tuple[str, ...], path: Path, key: str) -> tuple[int, ...]:
    """Positions of what was chosen; empty when nothing was, which takes all."""
    if choice is None:
        return ()
    wanted = [choice] if isinstance(choice, int | str) else list(choice)
    positions = tuple(names.index(item) if item in names else item for item in wanted)
    if not wanted or not all(isinstance(position, int) and 0 <= position < length for position in positions):
        named = f" ({', '.join(names)})" if names else ""
        raise ValueError(
            f"{path} has {length} {key.rsplit('_', maxsplit=1)[-1]}, 0 to {length - 1}{named}, got data.{key}={choice}; correct data.{key}"
        )
    return tuple(map(int, positions))


def _check_dimensions(image: Image, spatial_dims: int) -> None:
    planes, flat = image.shape[2], spatial_axes(spatial_dims) == "YX"
    if flat and planes > 1:
        raise ValueError(f"{image.path} has {planes} z planes but spatial_dims=2; set spatial_dims=3, or data.project=max for a projection")
    if not flat and planes == 1:
        times = f", or data.axes=ZYX if its {image.shape[0]} time points are planes" if image.shape[0] > 1 else ""
        raise ValueError(f"{image.path} has 1 z plane but spatial_dims=3; set spatial_dims=2{times}")
