"""Cost against work: images 1×, 4×, 16×, volume 1×, 8×, objects 1×, 4×; a table and a plot for docs/benchmarks.md."""

import math
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch

from benchmarks.embeddings import EXTENT, backward, balls, output_for, raw_for_loss
from benchmarks.networks import fnet
from im2im.clustering import Clustering
from im2im.data.augment import Augmentation
from im2im.data.datamodule import ImageData
from im2im.data.index import Synthetic
from im2im.data.patches import Sampling
from im2im.data.side import Side
from im2im.data.synthetic import SyntheticCells
from im2im.frameworks.fcn import FCN
from im2im.frameworks.optimization import Optimization
from im2im.inference.tiling import TiledInference
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.losses.embedding import EmbeddingLoss
from im2im.losses.reconstruction import MSE
from im2im.networks.demand import Demand
from im2im.normalization import Identity, Standard
from im2im.tasks.regression import Regression

ROOT = Path(__file__).resolve().parents[1]
Costs = dict[int, float]
COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#805ad5")


def cost(work: Callable[[], object], runs: int = 3) -> float:
    """Give the median CPU seconds of a call, after a first one."""
    seconds = []
    for _ in range(runs + 1):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds[1:])


def images() -> Costs:
    """Measure an epoch of a training on more and more images."""
    return {factor: _epoch(4 * factor) for factor in (1, 4, 16)}


def _epoch(count: int) -> float:
    side, sampling = Side(AutoReader(), Selection(), Standard(), 2), Sampling((64, 64), 4, patches_per_image=4)
    cells = Synthetic(SyntheticCells(2, (96, 96), "brightfield", 0), {"train": count, "val": 0, "test": 0})
    data = ImageData(cells, side, side, sampling, Augmentation(), 0, 0, 4.0)
    framework = FCN(fnet(2, 4), Regression(MSE(), Identity(), {}), TiledInference(), Optimization(partial(torch.optim.AdamW, lr=1e-3)))
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    times: list[float] = []

    class Clock(pl.Callback):
        def on_train_epoch_start(self, *_: object) -> None:
            times.append(time.process_time())

    trainer = pl.Trainer(accelerator="cpu", max_epochs=4, limit_val_batches=0, callbacks=[Clock()], **quiet)  # type: ignore[arg-type]
    trainer.fit(framework, datamodule=data)
    return statistics.median(np.diff(times)[1:].tolist())


def volumes() -> Costs:
    """Measure the prediction of a volume and of one of twice the length along each axis, in tiles of one size."""
    network, inference = fnet(3, 4), TiledInference(max_voxels=200_000)
    demand = Demand((16, 16, 16))
    stacks = {factor: torch.randn(1, 32 * side, 96 * side, 96 * side) for factor, side in ((1, 1), (8, 2))}
    return {factor: cost(partial(inference, network, stack, demand), 1) for factor, stack in stacks.items()}


def objects() -> tuple[Costs, Costs]:
    """Measure clustering and loss of a plane with more and more objects, which cover the same area."""
    clusterings, losses = {}, {}
    loss = EmbeddingLoss((1.0, 1.0), EXTENT)
    for factor, radius in ((1, 16), (4, 8)):
        labels = balls((512, 512), 100 * factor, radius)
        output, raw, numbers = output_for(labels, radius), raw_for_loss(labels), torch.from_numpy(labels)
        clusterings[factor] = cost(partial(Clustering((1.0, 1.0), EXTENT), output))
        losses[factor] = cost(partial(backward, lambda raw, numbers: loss(raw[None], numbers[None, None]), raw, numbers))
    return clusterings, losses


def table(measured: dict[str, Costs]) -> str:
    """Give the rows of a table in Markdown."""
    lines = ["| | work | CPU s | cost, relative | relative to work |\n|---|---|---|---|---|\n"]
    for name, costs in measured.items():
        for factor, seconds in costs.items():
            relative = seconds / costs[1]
            lines.append(f"| {name} | {factor}× | {seconds:.3g} | {relative:.2f}× | {relative / factor:.2f} |\n")
    return "".join(lines)


def plot(measured: dict[str, Costs]) -> str:
    """Draw cost over work, both relative and logarithmic, with the diagonal along which cost grows as work does; SVG."""

    def place(factor: float, relative: float) -> tuple[float, float]:
        return 60 + 90 * math.log2(factor), 330 - 70 * math.log2(max(relative, 0.5))

    style = 'font-family="sans-serif" font-size="13"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 420" {style}><rect width="640" height="420" fill="white"/>']
    for factor in (1, 2, 4, 8, 16):
        (x, y), (_, level) = place(factor, 1), place(1, factor)
        parts.append(
            f'<text x="{x}" y="{y + 52}" text-anchor="middle">{factor}×</text>'
            f'<text x="50" y="{level + 4}" text-anchor="end">{factor}×</text>'
        )
        parts.append(f'<path d="M60 {level}H430M{x} 365V50" stroke="#ddd"/>')
    (x0, y0), (x1, y1) = place(1, 1), place(16, 16)
    parts.append(
        f'<path d="M{x0} {y0}L{x1} {y1}" stroke="#999" stroke-dasharray="4 4"/><text x="245" y="408" text-anchor="middle">work</text>'
    )
    parts.append('<text x="60" y="36">cost (CPU time)</text>')
    for (name, costs), colour in zip(measured.items(), COLOURS, strict=True):
        points = [place(factor, seconds / costs[1]) for factor, seconds in costs.items()]
        line = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        dots = "".join(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{colour}"/>' for x, y in points)
        x, y = points[-1]
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}')
        parts.append(f'<text x="{x + 10:.0f}" y="{y + 4:.0f}" fill="{colour}">{name}</text>')
    return "".join([*parts, "</svg>\n"])


def main() -> None:
    """Measure, and write the table and the plot."""
    clusterings, losses = objects()
    measured = {
        "images, an epoch": images(),
        "volume, a prediction": volumes(),
        "objects, clustering": clusterings,
        "objects, loss": losses,
    }
    (ROOT / "docs" / "images" / "cost_against_work.svg").write_text(plot(measured))
    (ROOT / "benchmarks" / "page_scaling.md").write_text(
        "\n## Cost against work\n\n![cost against work](images/cost_against_work.svg)\n\n"
        + table(measured)
        + "\n`python -m benchmarks.scaling`, one thread.\n"
    )
    print(table(measured))


if __name__ == "__main__":
    main()
