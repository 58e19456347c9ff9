"""Row 9: what the trainer adds to a step, against a bare loop; the first step, which measures the network, is left out."""

import statistics
import time
from functools import partial

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.measure import Result, report
from im2im.frameworks.fcn import FCN
from im2im.frameworks.optimization import Optimization
from im2im.inference.tiling import TiledInference
from im2im.losses.reconstruction import MSE
from im2im.networks.fnet import FNet
from im2im.normalization import Identity
from im2im.tasks.regression import Regression

STEPS = 60
ADAM = partial(torch.optim.AdamW, lr=1e-3)


def batches(size: int) -> DataLoader:
    """Give an epoch of one batch again and again."""
    source, target = torch.randn(2, 4, 1, size, size, generator=torch.Generator().manual_seed(0))
    return DataLoader([{"source": source, "target": target, "name": [""] * 4}] * STEPS, batch_size=None)


def network(channels: int) -> nn.Module:
    """Give the same network again."""
    torch.manual_seed(0)
    return FNet(spatial_dims=2, in_channels=1, out_channels=1, channels=channels, depth=2)


def ours(size: int, channels: int, folder: str) -> tuple[float, torch.Tensor]:
    """Train an epoch as a run does, with its log and progress bar; gives CPU seconds and a weight."""
    framework = FCN(network(channels), Regression(MSE(), Identity(), {}), TiledInference(), Optimization(ADAM))
    quiet = {"enable_checkpointing": False, "enable_model_summary": False, "enable_progress_bar": False}
    logger = pl.loggers.CSVLogger(folder)
    clock = Clock()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_val_batches=0,
        logger=logger,
        log_every_n_steps=1,
        callbacks=[clock],
        **quiet,  # type: ignore
    )  # type: ignore[arg-type]
    assert not trainer._detect_anomaly
    trainer.fit(framework, batches(size))
    return clock.seconds, next(framework.network.parameters()).detach()


class Clock(pl.Callback):
    """Takes the CPU time of all steps but the first."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Start the clock, or read it."""
        if batch_idx == 0:
            self.start = time.process_time()
        self.seconds = time.process_time() - self.start


def theirs(size: int, channels: int) -> tuple[float, torch.Tensor]:
    """Train an epoch in a bare loop."""
    model = network(channels).train()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer, loader = ADAM(model.parameters()), batches(size)
    for index, batch in enumerate(loader):
        loss = nn.functional.mse_loss(model(batch["source"]), batch["target"])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if index == 0:
            start = time.process_time()
    return time.process_time() - start, next(model.parameters()).detach()


def main() -> list[Result]:
    """Compare small steps, whose overhead shows, and steps of some 30 ms, after checking that both learn the same."""
    import tempfile

    results = []
    with tempfile.TemporaryDirectory() as folder:
        for size, channels, what in ((32, 4, "overhead"), (128, 16, "share")):
            pairs = [(ours(size, channels, folder), theirs(size, channels)) for _ in range(5)]
            assert torch.allclose(pairs[0][0][1], pairs[0][1][1], atol=1e-5)
            mine, peer = (statistics.median(seconds / (STEPS - 1) for seconds, _ in column) for column in zip(*pairs, strict=True))
            if what == "overhead":
                results.append(
                    Result(9, "what a step takes beside computing", "bare loop", mine * 1e3, peer * 1e3, "ms", (mine - peer) * 1e3, 1.2)
                )
            else:
                results.append(Result(9, f"a step of {1e3 * peer:.0f} ms", "bare loop", mine * 1e3, peer * 1e3, "ms", mine / peer, 1.05))
    return results


if __name__ == "__main__":
    report(main())
