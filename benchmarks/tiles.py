"""Rows 2 and 3: an image in tiles, against MONAI's sliding window at the same overlap; and joining the tiles alone."""

import math
from typing import Any

import torch
from monai.inferers import sliding_window_inference

from benchmarks.measure import Result, medians, ratio, report
from benchmarks.networks import fnet
from im2im.inference.tiling import TiledInference
from im2im.networks.demand import Demand

OVERLAP = 0.25


class Counting:
    """A network that counts the voxels it computes."""

    def __init__(self, network: Any) -> None:
        self.network, self.voxels = network, 0

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Count, then predict."""
        self.voxels += math.prod(batch.shape[2:]) * len(batch)
        return self.network(batch)


def tiled() -> list[Result]:
    """Compare on 32×256×256 with windows of 16×128×128, and with what the network alone takes for the same tiles."""
    network, image = fnet(3, 8), torch.randn(1, 32, 256, 256)
    demand = Demand((16, 16, 16), bytes_per_voxel=200.0)
    inference = TiledInference(overlap=OVERLAP)
    counted, peers = Counting(network), Counting(network)

    def ours() -> None:
        inference(counted, image, demand)

    def alone() -> None:
        with torch.no_grad():
            for tile in inference.plan(image.shape[1:], demand):
                network(image[(slice(None), *tile.read)][None])

    def monai() -> None:
        with torch.no_grad():
            sliding_window_inference(image[None], (16, 128, 128), 1, peers, overlap=OVERLAP)

    whole = inference(network, image, demand)
    with torch.no_grad():
        assert torch.allclose(whole, network(image[None])[0], atol=1e-4)
    mine, pure, theirs = medians(ours, alone, monai, runs=3)
    runs, size = 4, math.prod(image.shape[1:])
    voxels = [counter.voxels / runs / size for counter in (counted, peers)]
    return [
        Result(2, "tiled inference, voxels computed", "MONAI's", *voxels, "× the image", voxels[0], 1.35),
        Result(2, "tiled inference, time", "the network alone on these tiles", mine, pure, "CPU s", mine / pure, 1.1),
        Result(2, "tiled inference, time", "MONAI", mine, theirs, "CPU s", mine / theirs, 1.0),
    ]


def stitching() -> list[Result]:
    """Compare on 2048² with tiles of 512² through a network that does nothing."""
    image, inference = torch.rand(1, 2048, 2048), TiledInference(tile=(512, 512), overlap=OVERLAP)
    assert torch.equal(inference(lambda batch: batch, image), image)
    assert torch.allclose(sliding_window_inference(image[None], (512, 512), 1, lambda batch: batch, overlap=OVERLAP)[0], image)
    work = (
        lambda: inference(lambda batch: batch, image),
        lambda: sliding_window_inference(image[None], (512, 512), 1, lambda batch: batch, overlap=OVERLAP),
    )
    return [ratio(3, "stitching 2048², overlap .25", "MONAI", work, 0.3, runs=15)]


def main() -> list[Result]:
    """Run both rows."""
    return tiled() + stitching()


if __name__ == "__main__":
    report(main())
