"""Predicting an image of any size: plan tiles, run them through the network, join what comes out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from im2im.inference.blending import Blending, Crop
from im2im.inference.planning import Region, Tile, choose_tile, for_axes, halo_of, plan, round_up
from im2im.networks.padding import pad_to_multiple

__all__ = ["Tile", "TiledInference", "plan", "predict_tiles"]

Network = Callable[[Tensor], Tensor]


def predict_tiles(
    network: Network, read: Callable[[Region], Tensor], tiles: Sequence[Tile], multiple: Sequence[int], batch_size: int = 1
) -> Iterator[tuple[Tile, Tensor]]:
    """Run tiles through a network, one batch at a time.

    Args:
        network: BC(Z)YX to BC'(Z)YX of the same size.
        read: Gives the image's C(Z)YX in a region of its (Z)YX.
        tiles: From :func:`plan`.
        multiple: What the network's input must be a multiple of, or is; tiles are padded to it and cropped back.
        batch_size: How many tiles at a time.

    Yields:
        Each tile and its prediction C'(Z)YX, as large as what it reads, on the CPU and in single precision at least.

    Raises:
        ValueError: The network changes the size, or the device has too little memory.
    """
    for start in range(0, len(tiles), batch_size):
        group = tiles[start : start + batch_size]
        padded, crops = zip(*(pad_to_multiple(read(tile.read), multiple) for tile in group), strict=True)
        batch = torch.stack(padded) if len(padded) > 1 else padded[0][None]  # one tile alone stays a view of the image
        for tile, prediction, crop in zip(group, _predict(network, batch), crops, strict=True):
            yield tile, prediction[crop].to("cpu", torch.promote_types(prediction.dtype, torch.float32))


@dataclass(frozen=True)
class TiledInference:
    """An image through a network, in tiles where it is too large for one go.

    Args:
        tile: Largest (Z)YX of a tile, None: as large as ``max_voxels`` allows.
        overlap: Fraction of a tile that it shares with its neighbour, half of it on each side.
        blending: Joins the tiles' predictions.
        max_voxels: Where no tile is given: what goes through the network in one go.
        batch_size: How many tiles go through the network together.

    Raises:
        ValueError: A value is out of range.
    """

    tile: Sequence[int] | None = None
    overlap: float = 0.25
    blending: Blending = field(default_factory=Crop)
    max_voxels: int = 4_194_304
    batch_size: int = 1

    def __post_init__(self) -> None:
        """Refuse settings that no image can be tiled with."""
        if not 0 <= self.overlap < 1:
            raise ValueError(
                f"Tiles can share between none and less than all of their length, got {self.overlap}; set inference.overlap to 0.25"
            )
        if self.tile is not None and min(self.tile, default=0) < 1:
            raise ValueError(f"A tile needs at least one pixel along every axis, got {self.tile}; change inference.tile")
        for name in ("max_voxels", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}; raise inference.{name}")

    def __call__(
        self, network: Network, image: Tensor, multiple: Sequence[int] = (1,), fixed: bool = False, unmirror: object = None
    ) -> Tensor:
        """Predict one image.

        Args:
            network: BC(Z)YX to BC'(Z)YX of the same size, on the device of ``image``, and in evaluation mode.
            image: C(Z)YX.
            multiple: The network's total stride along every axis, or one for all: sizes that it takes are multiples of it.
            fixed: The network takes the size ``multiple`` alone; every tile has it, whatever ``tile`` and ``max_voxels`` say.
            unmirror: For averages over mirrored views; here the image is seen as it is.

        Returns:
            C'(Z)YX of the image's size, on the CPU.

        Raises:
            ValueError: The settings do not suit the image or the network.
        """
        shape, multiple = tuple(image.shape[1:]), for_axes(multiple, image.ndim - 1)
        tiles = self.plan(shape, multiple, fixed)
        predictions = predict_tiles(network, lambda region: image[(slice(None), *region)], tiles, multiple, self.batch_size)
        blending = self.blending if len(tiles) > 1 else Crop()
        return blending(predictions, shape)

    def plan(self, shape: Sequence[int], multiple: Sequence[int] = (1,), fixed: bool = False) -> list[Tile]:
        """Return the tiles of an image of ``shape`` (Z)YX, a single one where it may go through the network whole."""
        multiple = for_axes(multiple, len(shape))
        if fixed:
            tiles = plan(shape, multiple, halo_of(multiple, self.overlap), (1,) * len(shape))
            return [_widened(tile, shape, multiple) for tile in tiles]
        if self.tile is not None and len(self.tile) != len(shape):
            raise ValueError(f"A tile needs one length for each of the {len(shape)} spatial axes, got {self.tile}; change inference.tile")
        tile = round_up(self.tile or choose_tile(shape, self.overlap, multiple, self.max_voxels), multiple)
        return plan(shape, tile, halo_of(tile, self.overlap), multiple)


def _widened(tile: Tile, shape: Sequence[int], size: Sequence[int]) -> Tile:
    """Let a tile read ``size`` pixels, more of the image on either side; fewer only where the image itself has fewer."""
    starts = [
        max(0, min((read.start + read.stop - pixels) // 2, length - pixels))
        for read, length, pixels in zip(tile.read, shape, size, strict=True)
    ]
    read = tuple(slice(start, min(start + pixels, length)) for start, length, pixels in zip(starts, shape, size, strict=True))
    inner = tuple(slice(write.start - start, write.stop - start) for write, start in zip(tile.write, starts, strict=True))
    return Tile(read, tile.write, inner)


def _predict(network: Network, batch: Tensor) -> Tensor:
    shape = tuple(batch.shape)
    try:
        with torch.no_grad():
            prediction = network(batch)
    except torch.OutOfMemoryError as error:
        raise ValueError(f"The device's memory is too small for a batch of tiles, got {shape}; lower inference.max_voxels") from error
    if (len(prediction), *prediction.shape[2:]) != (len(batch), *batch.shape[2:]):
        raise ValueError(f"The network must keep the size of its input {shape}, got {tuple(prediction.shape)}; choose another network")
    return prediction
