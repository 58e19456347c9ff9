"""What a network asks of the tiles that it is given."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Unmirror = Callable[[Tensor, tuple[int, ...]], Tensor]


@dataclass(frozen=True)
class Demand:
    """What a network, or several whose outputs are averaged, asks of tiles.

    Attributes:
        multiple: Pixels of which every size is a multiple, (Z)YX, or one for all axes.
        fixed: Whether ``multiple`` itself is the only size.
        bytes_per_voxel: Feature maps that it holds at a time.
        out_channels: That it puts out.
        device: Where it computes.
        reach: Measures how many pixels, (Z)YX, it sees to either side of one; may raise ValueError.
        unmirror: Turns the output C(Z)YX of an image back that was mirrored along some axes, counted from the end.
    """

    multiple: tuple[int, ...] = (1,)
    fixed: bool = False
    bytes_per_voxel: float = 1024.0
    out_channels: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    reach: Callable[[], tuple[int, ...]] | None = None
    unmirror: Unmirror = torch.flip


def together(demands: Sequence[Demand]) -> Demand:
    """Give what suits several networks at once: one device, one meaning of the output.

    Raises:
        ValueError: Two of them take one size only, and not the same.
    """
    sizes = {demand.multiple for demand in demands if demand.fixed}
    if len(sizes) > 1:
        raise ValueError(f"runs of an ensemble that take one size only must agree in it, got {sorted(sizes)}; leave one out of run=")
    multiples = zip(*(demand.multiple for demand in demands), strict=True)
    reaches = [demand.reach for demand in demands if demand.reach is not None]
    first = demands[0]
    return Demand(
        multiple=sizes.pop() if sizes else tuple(math.lcm(*along) for along in multiples),
        fixed=any(demand.fixed for demand in demands),
        bytes_per_voxel=max(demand.bytes_per_voxel for demand in demands),
        out_channels=first.out_channels,
        device=first.device,
        reach=lambda: tuple(max(along) for along in zip(*(reach() for reach in reaches), strict=True)),
        unmirror=first.unmirror,
    )
