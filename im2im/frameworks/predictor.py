"""Trained runs as tiles see them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from im2im.networks.demand import Demand, together
from im2im.networks.footprint import bytes_per_voxel
from im2im.networks.receptive_field import receptive_field

if TYPE_CHECKING:
    from im2im.frameworks.base import Framework


class Predictor:
    """One function over tiles from one run, or from several whose activated outputs are averaged.

    Args:
        runs: Of one meaning; all are moved to the device of the first, and evaluate from now on.
    """

    def __init__(self, runs: Sequence[Framework]) -> None:
        self.runs = [run.to(runs[0].device).eval() for run in runs]

    @torch.no_grad()
    def __call__(self, batch: Tensor) -> Tensor:
        """BC(Z)YX on any device → activated BC'(Z)YX on the device of the runs."""
        batch = batch.to(self.runs[0].device)
        outputs = [run.output(batch) for run in self.runs]
        return torch.stack(outputs).mean(dim=0) if len(outputs) > 1 else outputs[0]

    def demand(self, channels: int, shape: Sequence[int]) -> Demand:
        """Tell what the runs ask of the tiles of an image of so many channels and of a shape (Z)YX."""
        image = torch.empty(channels, *shape, device="meta")
        return together([_demand(run, image) for run in self.runs])


def _demand(run: Framework, image: Tensor) -> Demand:
    size, network, channels = run.size(image), run.predicting, image.shape[0]
    small = size.multiple if size.fixed else size.fitting([4 * pixels for pixels in size.multiple])
    return Demand(
        size.multiple,
        size.fixed,
        bytes_per_voxel(network, channels, small),
        run.device,
        partial(receptive_field, network, channels, size.multiple),
        run.unmirror,
    )
