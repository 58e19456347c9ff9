"""One image that is predicted tile by tile into arrays on disk."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from torch import Tensor

from im2im.axes import AXES, from_tczyx
from im2im.data.side import Side
from im2im.frameworks.base import Framework
from im2im.frameworks.predictor import Predictor
from im2im.inference.planning import Region, Tile
from im2im.io.image import Image
from im2im.io.ome_zarr import create_zarr, open_zarr
from im2im.networks.demand import Demand
from im2im.normalization import Fitted

LARGEST_CHUNK = {2: (512, 512), 3: (16, 256, 256)}  # pixels, (Z)YX


@dataclass(frozen=True)
class TiledImage:
    """An image, its tiles and where their predictions are kept; all that a worker elsewhere needs. Tiles are numbered through all times.

    Args:
        framework: Trained.
        source: How images are opened and normalized.
        image: Opened.
        scales: Normalization of each time point.
        tiles: Of one time point.
        outputs: What is written.
        folder: Holds an OME-Zarr for each output, and of objects what was found in each tile.
        channel_names: Of the outputs' channels, or none.
    """

    framework: Framework
    source: Side
    image: Image
    scales: tuple[Fitted, ...]
    tiles: tuple[Tile, ...]
    outputs: tuple[str, ...]
    folder: Path
    channel_names: tuple[str, ...] = ()

    @cached_property
    def network(self) -> Predictor:
        """All runs over one tile."""
        return self.framework.predictor()

    @cached_property
    def demand(self) -> Demand:
        """What they ask of tiles."""
        return self.network.demand(self.image.shape[1], self.source.spatial_shape(self.image))

    @property
    def numbers(self) -> range:
        """Of all tiles."""
        return range(self.image.shape[0] * len(self.tiles))

    def place(self, number: int) -> tuple[int, Tile]:
        """Tell time point and tile of a number."""
        time, index = divmod(number, len(self.tiles))
        return time, self.tiles[index]

    def read(self, time: int, region: Region) -> Tensor:
        """Read and normalize a region of a time point, C(Z)YX."""
        return torch.from_numpy(self.scales[time].apply(self.source.array(self.image, region, time)))

    def write(self, number: int, prediction: Tensor) -> None:
        """Decode the prediction of a tile, C'(Z)YX, and keep the part that it writes; of objects all that it found, to be joined later."""
        time, tile = self.place(number)
        for name in self.outputs:
            decoded = self.framework.decode(prediction.numpy(), name)
            if self.numbers_objects(name):
                save_objects(self.objects(name, number), decoded[0])
            else:
                self.put(name, time, tile.write, decoded[(slice(None), *tile.inner)])

    def numbers_objects(self, name: str) -> bool:
        """Tell whether an output numbers objects, which each tile does on its own."""
        return self.framework.task.objects and name == "labels"

    def objects(self, name: str, number: int) -> Path:
        """Name the file of the objects of a tile."""
        return self.folder / f"{name}.objects" / f"{number}.npz"

    def store(self, name: str) -> Path:
        """Name the OME-Zarr of an output."""
        return self.folder / f"{name}.ome.zarr"

    def axes(self, channels: int) -> str:
        """Tell the axes of an output of so many channels: those longer than one and those that the image has."""
        return kept_axes(self.image, (self.image.shape[0], channels, *self.image.shape[2:]))

    def put(self, name: str, time: int, region: Region, block: np.ndarray, **facts: Any) -> None:
        """Write a region (Z)YX of an output, C(Z)YX; its array is made when there is none."""
        if not self.store(name).exists():
            self._create(name, len(block), block.dtype, **facts)
        axes, whole = self.axes(len(block)), (slice(None),) * (3 - len(region))
        spatial = (slice(time, time + 1), slice(None), *whole, *region)
        full = block[None] if block.ndim == 4 else block[None, :, None]
        array = zarr.open_array(str(self.store(name) / "0"), mode="r+")
        array[tuple(spatial[AXES.index(axis)] for axis in axes)] = from_tczyx(full, axes)

    def get(self, name: str, time: int, region: Region) -> np.ndarray:
        """Read a region (Z)YX of an output of one channel, 1(Z)YX."""
        (image,) = open_zarr(self.store(name))
        whole = (slice(None),) * (3 - len(region))
        block = image.read((slice(time, time + 1), slice(None), *whole, *region))[0]
        return block if len(region) == 3 else block[:, 0]

    def _create(self, name: str, channels: int, dtype: np.dtype, **facts: Any) -> None:
        axes = self.axes(channels)
        shape = dict(zip(AXES, (self.image.shape[0], channels, *self.image.shape[2:]), strict=True))
        chunks = dict(zip(AXES[-self.source.spatial_dims :], self._chunk(), strict=True))
        names = self.channel_names if len(self.channel_names) == channels else ()
        lengths = tuple(shape[axis] for axis in axes)
        sides = tuple(chunks.get(axis, 1) for axis in axes)
        create_zarr(self.store(name), lengths, dtype, axes, self.image.pixel_size, names, sides, **facts)

    def _chunk(self) -> tuple[int, ...]:
        """Choose chunks of which every tile writes whole ones: parts of what the first one writes."""
        shape = self.source.spatial_shape(self.image)
        cells = [part.stop for part in self.tiles[0].write]
        limits = LARGEST_CHUNK[self.source.spatial_dims]
        return tuple(
            min(limit, size) if cell == size else max(part for part in range(1, min(cell, limit) + 1) if cell % part == 0)
            for cell, size, limit in zip(cells, shape, limits, strict=True)
        )


def kept_axes(image: Image, shape: tuple[int, ...]) -> str:
    """Choose the axes to write of a TCZYX shape: those longer than one and those that the input had, in the order TCZYX."""
    return "".join(axis for axis, size in zip(AXES, shape, strict=True) if axis in "YX" or size > 1 or (axis in image.axes and axis != "C"))


def save_objects(path: Path, labels: np.ndarray) -> None:
    """Keep the objects of a tile, (Z)YX; the file appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with open(temporary, "wb") as file:
        np.savez_compressed(file, labels=labels.astype(np.uint32))
    os.replace(temporary, path)


def load_objects(path: Path) -> np.ndarray:
    """Read them back."""
    with np.load(path) as file:
        return np.asarray(file["labels"])


class Done:
    """Which tiles are written: one line each in a file, which can be read after the process was killed.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[int]:
        """Give their numbers; a line that was not finished does not count."""
        lines = self.path.read_text().split("\n")[:-1] if self.path.exists() else []
        return (json.loads(line) for line in lines)

    def add(self, number: int) -> None:
        """Say so of one more, once it is safe on disk."""
        with open(self.path, "a") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
