"""Predicting an image of any size: plan tiles, run them through the network, join what comes out."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from im2im.inference.acceleration import Acceleration
from im2im.inference.averaging import MirroredViews, Network
from im2im.inference.blending import Blending, Crop
from im2im.inference.planning import Halo, Region, Tile, choose_tile, for_axes, plan, plan_grid, round_up
from im2im.inference.streaming import Job, work_through
from im2im.memory import free_memory, out_of_memory
from im2im.networks.demand import Demand
from im2im.networks.padding import Crop as CropIndex
from im2im.networks.padding import pad

__all__ = ["Tile", "TiledInference", "one_ahead", "plan", "predict_tiles"]

Read = Callable[[Region], Tensor]
Item = TypeVar("Item")
Result = TypeVar("Result")

SHARE = 0.5  # of the memory that is free
WORKSPACE = 2.0  # memory that computing takes, relative to the feature maps that it holds
LARGEST_TILE = 1 << 24  # voxels: of 128 channels, as many numbers as the kernels of GPUs can count


def predict_tiles(
    network: Network, read: Read, tiles: Sequence[Tile], batch_size: int = 1, ahead: bool = False
) -> Iterator[tuple[Tile, Tensor]]:
    """Run tiles through a network, one batch at a time.

    Args:
        network: BC(Z)YX to BC'(Z)YX of the same size.
        read: Gives the image's C(Z)YX in a region of its (Z)YX.
        tiles: From :func:`plan`; they get their margins and are cropped back.
        batch_size: How many tiles at a time.
        ahead: Read the next batch in another thread meanwhile.

    Yields:
        Each tile and its prediction C'(Z)YX, as large as what it reads, on the CPU and in single precision at least.

    Raises:
        ValueError: The network changes the size, or the device has too little memory.
    """
    groups = [tiles[start : start + batch_size] for start in range(0, len(tiles), batch_size)]

    def load(group: Sequence[Tile]) -> list[tuple[Tensor, CropIndex]]:
        return [pad(read(tile.read), tile.margin) for tile in group]

    for group, padded in one_ahead(load, groups) if ahead else ((group, load(group)) for group in groups):
        images, crops = zip(*padded, strict=True)
        batch = torch.stack(images) if len(images) > 1 else images[0][None]  # one tile alone stays a view of the image
        for tile, prediction, crop in zip(group, _predict(network, batch), crops, strict=True):
            yield tile, prediction[crop].to("cpu", torch.promote_types(prediction.dtype, torch.float32))


def one_ahead(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    """Give each item with what comes of it, while another thread works on the next one."""
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(1) as thread:
        for item in items:
            waiting.append((item, thread.submit(work, item)))
            if len(waiting) > 1:
                first, result = waiting.popleft()
                yield first, result.result()
        for last, result in waiting:
            yield last, result.result()


@dataclass(frozen=True)
class TiledInference:
    """An image through a network, in tiles where it is too large for one go.

    Args:
        tile: Largest (Z)YX of a tile, None: as large as ``memory`` and ``max_voxels`` allow.
        overlap: Fraction of a tile that it shares with its neighbour, half of it on each side.
        halo: Instead of ``overlap``, how many pixels, (Z)YX, a tile reads at least beyond what it writes; "receptive_field": as many as the
            network sees, so that tiles make no difference.
        border: How many pixels of the mirrored image the network sees beyond the ends of Y and X, rounded up to its stride and at most as
            many as the halo; zeros, with which convolutions pad, begin behind them. None of a network that takes one size only.
        blending: Joins the tiles' predictions.
        memory: GB that predicting may take, None: half of what is free, on a GPU of its own memory.
        max_voxels: Where no tile is given: what goes through the network in one go, whatever the memory; None: as much as fits.
        batch_size: How many tiles go through the network together.
        precision: "bf16", or "fp16" on a GPU, for numbers of fewer bits, see :class:`im2im.inference.precision.Reduced`; None: single.
        fold: Whether batch norms become part of the convolutions before them, see :func:`im2im.networks.folding.folded`.
        engine: "compile" or "openvino", see :mod:`im2im.inference.engines`; None: torch as it comes.
        tolerance: How much these three may change the first tile, relative to its standard deviation.
        views: Axes along which tiles are mirrored as well, counted from the end; their outputs are averaged.

    Raises:
        ValueError: A value is out of range.
    """

    tile: Sequence[int] | None = None
    overlap: float = 0.25
    halo: Sequence[int] | str | None = None
    border: int = 0
    blending: Blending = field(default_factory=Crop)
    memory: float | None = None
    max_voxels: int | None = None
    batch_size: int = 1
    precision: str | None = None
    fold: bool = False
    engine: str | None = None
    tolerance: float = 0.05
    views: Sequence[Sequence[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse settings that no image can be tiled with."""
        if not 0 <= self.overlap < 1:
            raise ValueError(
                f"Tiles can share between none and less than all of their length, got {self.overlap}; set inference.overlap to 0.25"
            )
        if self.tile is not None and min(self.tile, default=0) < 1:
            raise ValueError(f"A tile needs at least one pixel along every axis, got {self.tile}; change inference.tile")
        if isinstance(self.halo, str) and self.halo != "receptive_field":
            raise ValueError(f"A halo is a number of pixels for each axis, or receptive_field, got {self.halo}; change inference.halo")
        if self.border < 0:
            raise ValueError(f"The border is a number of pixels, got {self.border}; set inference.border to 16, or to 0 for none")
        for name in ("max_voxels", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}; raise inference.{name}")
        if self.memory is not None and not self.memory > 0:
            raise ValueError(f"Predicting takes memory, got {self.memory} GB; raise inference.memory, or set it to null")

    def __call__(self, network: Network, image: Tensor, demand: Demand | None = None) -> Tensor:
        """Predict one image.

        Args:
            network: BC(Z)YX to BC'(Z)YX of the same size, in evaluation mode.
            image: C(Z)YX.
            demand: What the network asks of tiles.

        Returns:
            C'(Z)YX of the image's size, on the CPU.

        Raises:
            ValueError: The settings do not suit the image or the network.
        """
        demand = demand or Demand()
        tiles = self.plan(tuple(image.shape[1:]), demand)
        blending = self.blending if len(tiles) > 1 else Crop()
        return blending(self.run(network, lambda region: image[(slice(None), *region)], tiles, demand), tuple(image.shape[1:]))

    def run(
        self, network: Network, read: Read, tiles: Sequence[Tile], demand: Demand, ahead: bool = False
    ) -> Iterator[tuple[Tile, Tensor]]:
        """Predict tiles of an image that is read region by region, see :func:`predict_tiles`."""
        computed = Acceleration(self.precision, self.fold, self.engine, demand.device)(network, self.tolerance)
        seen = MirroredViews(computed, self.views, demand.unmirror) if self.views else computed
        return predict_tiles(seen, read, tiles, self.batch_size, ahead)

    def work(self, job: Job, numbers: Sequence[int]) -> Iterator[int]:
        """Predict tiles of an image larger than memory and let them be written; gives the number of each once it is."""
        return work_through(job, numbers, partial(self.run, ahead=True))

    def streams(self, needed: int) -> bool:
        """Tell whether an image that takes so many bytes of memory as a whole is rather predicted tile by tile."""
        return needed > self.budget()

    def plan(self, shape: Sequence[int], demand: Demand | None = None, grid: bool = False) -> list[Tile]:
        """Return the tiles of an image of ``shape`` (Z)YX, a single one where it may go through the network whole.

        Args:
            shape: Of the image.
            demand: What the network asks of tiles.
            grid: Let tiles write the cells of a grid, see :func:`plan_grid`, rather than be as few as possible.
        """
        demand = demand or Demand()
        multiple = for_axes(demand.multiple, len(shape))
        if grid and not isinstance(self.blending, Crop):
            raise ValueError(
                f"tiles of images larger than memory are cropped, got {type(self.blending).__name__}; "
                "set inference.blending._target_=im2im.inference.blending.Crop, or raise inference.memory"
            )
        halo, planned = self._halo(demand, len(shape)), plan_grid if grid else plan
        if demand.fixed:
            return [_widened(tile, shape, multiple) for tile in planned(shape, multiple, halo(multiple), (1,) * len(shape))]
        if self.tile is not None and len(self.tile) != len(shape):
            raise ValueError(f"A tile needs one length for each of the {len(shape)} spatial axes, got {self.tile}; change inference.tile")
        border = round_up((0, self.border, self.border)[-len(shape) :], multiple)
        seen = [size + 2 * pixels for size, pixels in zip(shape, border, strict=True)]
        tile = round_up(self.tile or choose_tile(seen, halo, multiple, self.most_voxels(demand), grid), multiple)
        return planned(shape, tile, halo(tile), multiple, border)

    def most_voxels(self, demand: Demand) -> int:
        """Tell how many voxels may go through the network in one go."""
        if self.max_voxels is not None:
            return self.max_voxels
        voxels = self.budget(demand.device) / (WORKSPACE * demand.bytes_per_voxel * self.batch_size)
        return max(1, min(int(voxels), LARGEST_TILE))

    def budget(self, device: torch.device | str = "cpu") -> int:
        """Tell how many bytes predicting may take on a device."""
        return int(SHARE * free_memory(device) if self.memory is None else self.memory * 1e9)

    def _halo(self, demand: Demand, spatial_dims: int) -> Halo:
        if self.halo is None:
            return Halo(self.overlap)
        if isinstance(self.halo, str):
            return Halo(pixels=for_axes(demand.reach() if demand.reach is not None else (0,), spatial_dims))
        if len(self.halo) != spatial_dims or min(self.halo) < 0:
            raise ValueError(f"A halo needs a number of pixels for each of the {spatial_dims} axes, got {self.halo}; change inference.halo")
        return Halo(pixels=tuple(self.halo))


def _widened(tile: Tile, shape: Sequence[int], size: Sequence[int]) -> Tile:
    """Let a tile read ``size`` pixels, more of the image on either side; of the mirrored one only where the image itself has fewer."""
    starts = [
        max(0, min((read.start + read.stop - pixels) // 2, length - pixels))
        for read, length, pixels in zip(tile.read, shape, size, strict=True)
    ]
    read = tuple(slice(start, min(start + pixels, length)) for start, length, pixels in zip(starts, shape, size, strict=True))
    inner = tuple(slice(write.start - start, write.stop - start) for write, start in zip(tile.write, starts, strict=True))
    margin = tuple((0, max(0, pixels - length)) for length, pixels in zip(shape, size, strict=True))
    return Tile(read, tile.write, inner, margin)


def _predict(network: Network, batch: Tensor) -> Tensor:
    shape = tuple(batch.shape)
    try:
        with torch.no_grad():
            prediction = network(batch)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise ValueError(
            f"The device's memory is too small for a batch of tiles, got {shape}; lower inference.memory or inference.batch_size"
        ) from error
    if (len(prediction), *prediction.shape[2:]) != (len(batch), *batch.shape[2:]):
        raise ValueError(f"The network must keep the size of its input {shape}, got {tuple(prediction.shape)}; choose another network")
    return prediction
