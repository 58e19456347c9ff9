"""The GPU column: training and prediction of fnet in 3D, against bare PyTorch and MONAI's inferer; and how busy the GPU is.

``python -m benchmarks.gpu`` on a machine with a GPU; ``--tiny`` runs everything at a small size wherever.
"""

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.networks import fnet
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
from im2im.losses.reconstruction import MSE
from im2im.normalization import Identity, Standard
from im2im.tasks.regression import Regression

TINY = "--tiny" in sys.argv
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PATCH, BATCH, STEPS = ((16, 32, 32), 2, 4) if TINY else ((32, 64, 64), 8, 100)
VOLUME, WINDOW = ((16, 64, 64), (16, 32, 32)) if TINY else ((64, 1024, 1024), (64, 256, 256))
STACK = (16, 48, 48) if TINY else (40, 160, 160)
ADAM = partial(torch.optim.AdamW, lr=1e-3)
CHANNELS = 4 if TINY else 32


def network() -> nn.Module:
    """Give the same network again."""
    return fnet(3, CHANNELS)


def settle() -> None:
    """Wait until the device has done all it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


@contextmanager
def utilisation() -> Iterator[list[float]]:
    """Ask the driver every 50 ms what share of the time the GPU computes."""
    seen: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.05):
            seen.append(float(torch.cuda.utilization()))

    thread = threading.Thread(target=ask, daemon=True)
    if DEVICE.type == "cuda":
        thread.start()
    yield seen
    stop.set()
    if DEVICE.type == "cuda":
        thread.join()


class Clock(pl.Callback):
    """Takes the time from the end of the first epoch to the end of the last."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note it."""
        settle()
        self.times = [*getattr(self, "times", []), time.perf_counter()]


def bare(precision: torch.dtype, layout: torch.memory_format) -> float:
    """Train on batches that lie on the device already; gives patches per second."""
    model = network().train().to(DEVICE, memory_format=layout)  # type: ignore[call-overload]
    optimizer = ADAM(model.parameters())
    source, target = torch.randn(2, BATCH, 1, *PATCH, device=DEVICE)

    def step() -> None:
        with torch.autocast(DEVICE.type, precision, enabled=precision != torch.float32):
            prediction = model(source)
        nn.functional.mse_loss(prediction.float(), target).backward()
        optimizer.step()
        optimizer.zero_grad()

    return BATCH * STEPS / seconds(lambda: [step() for _ in range(STEPS)])


def seconds(work: Callable[[], Any], warm_up: int = 1) -> float:
    """Time one call after some."""
    for _ in range(warm_up):
        work()
    settle()
    start = time.perf_counter()
    work()
    settle()
    return time.perf_counter() - start


def framework() -> FCN:
    """Give ours."""
    return FCN(network(), Regression(MSE(), Identity(), {}), TiledInference(), Optimization(ADAM))


def fit(framework: FCN, precision: str, epochs: int = 3, **data: Any) -> tuple[float, list[float]]:
    """Train with the trainer; gives patches per second after the first epoch, and how busy the GPU was."""
    clock = Clock()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    accelerator = "gpu" if DEVICE.type == "cuda" else "cpu"
    trainer = pl.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=precision,
        max_epochs=epochs,
        limit_val_batches=0,
        callbacks=[clock],
        benchmark=True,
        **quiet,  # type: ignore[arg-type]
    )
    with utilisation() as seen:
        trainer.fit(framework, **data)
    patches = BATCH * STEPS * (epochs - 1)
    return patches / (clock.times[-1] - clock.times[0]), seen


def resident() -> DataLoader:
    """Give the same batch again and again: what the trainer costs, without data."""
    source, target = torch.randn(2, BATCH, 1, *PATCH)
    return DataLoader([{"source": source, "target": target, "name": [""] * BATCH}] * STEPS, batch_size=None)


def images(workers: int) -> ImageData:
    """Give patches of built-in cells that are cut, normalized and flipped by workers: what a training does."""
    count = 2
    side = Side(AutoReader(), Selection(), Standard(), 3)
    sampling = Sampling(PATCH, BATCH, patches_per_image=BATCH * STEPS // count)
    cells = Synthetic(SyntheticCells(3, STACK, "brightfield", 0), {"train": count, "val": 0, "test": 0})
    return ImageData(cells, side, side, sampling, Augmentation(), 0, workers, 4.0)


def training() -> None:
    """Print patches per second."""
    channels_last, contiguous = torch.channels_last_3d, torch.contiguous_format
    size = "×".join(map(str, PATCH))
    for precision, name in ((torch.float32, "32-true"), (torch.bfloat16, "bf16-mixed")):
        usual, limit = bare(precision, contiguous), bare(precision, channels_last)
        ours, busy = fit(framework(), name, train_dataloaders=resident())
        print(f"training, {BATCH} patches of {size}, {name}: bare loop {usual:.0f} patches/s, channels-last {limit:.0f}; ", end="")
        print(f"ours on one batch {ours:.0f} ({ours / limit:.2f} of the bare loop), GPU busy {mean(busy):.0f} %", flush=True)
    for workers in (0, 8) if not TINY else (0,):
        ours, busy = fit(framework(), "bf16-mixed", datamodule=images(workers))
        print(f"training from images, {workers} workers, bf16-mixed: {ours:.0f} patches/s, GPU busy {mean(busy):.0f} %", flush=True)


def mean(values: list[float]) -> float:
    """Give the mean, not a number where there is nothing."""
    return sum(values) / len(values) if values else math.nan


def computed(model: nn.Module, dtype: torch.dtype, batch: Tensor) -> Tensor:
    """Run a network in a type of numbers."""
    with torch.no_grad(), torch.autocast(DEVICE.type, dtype, enabled=dtype != torch.float32):
        return model(batch.to(DEVICE)).float()


def windows(run: Callable[[Tensor], Tensor], volume: Tensor, device: torch.device | str) -> Tensor:
    """Predict with MONAI, joining windows on a device."""
    there = volume[None].to(device)
    joined = sliding_window_inference(there, WINDOW, 4, run, overlap=0.25, mode="gaussian", sw_device=DEVICE, device=device)
    return joined.cpu()  # type: ignore[union-attr]


def prediction() -> None:
    """Print Mvoxel per second, from a volume in memory to its prediction in memory."""
    ours, volume = framework().to(DEVICE).eval(), torch.randn(1, *VOLUME)
    ours.record["patch_size"] = list(PATCH)
    demand = ours.predictor().demand(1, VOLUME)
    tiles = ours.inference.plan(VOLUME, demand)
    shape = [part.stop - part.start for part in tiles[0].read]
    exact = ours.inference(partial(computed, ours.network, torch.float32), volume, demand)
    for dtype in (torch.float32, torch.bfloat16):
        run = partial(computed, ours.network, dtype)
        with utilisation() as busy:
            mine = seconds(partial(ours.inference, run, volume, demand))
        theirs = [seconds(partial(windows, run, volume, device)) for device in ("cpu", DEVICE)]
        pure = seconds(partial(run, torch.randn(1, 1, *shape, device=DEVICE))) * len(tiles)
        rates = [math.prod(VOLUME) / 1e6 / time for time in (mine, pure, *theirs)]
        difference = float((ours.inference(run, volume, demand) - exact).abs().max() / exact.std())
        print(f"prediction of {'×'.join(map(str, VOLUME))}, {dtype}, {len(tiles)} tiles: ours {rates[0]:.1f} Mvoxel/s, GPU busy ", end="")
        print(
            f"{mean(busy):.0f} %; the network alone {rates[1]:.1f}; MONAI {rates[2]:.1f}, joined on the GPU {rates[3]:.1f}; ",
            end="",
        )
        print(f"differs from single precision by {difference:.2g} standard deviations at most", flush=True)


if __name__ == "__main__":
    if DEVICE.type == "cuda":
        print(torch.cuda.get_device_name(), "torch", torch.__version__)
    training()
    prediction()
