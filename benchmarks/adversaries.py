"""Rows 13 and 14: a step of pix2pix and of cyclegan, against steps that run networks again for what they have computed already."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, mse_loss
from torch.utils.data import DataLoader

from benchmarks.measure import Result, report
from im2im.frameworks.base import Framework
from im2im.frameworks.cyclegan import CycleGAN
from im2im.frameworks.cyclegan import Weights as CycleWeights
from im2im.frameworks.judge import Judge
from im2im.frameworks.optimization import Optimization
from im2im.frameworks.pix2pix import Pix2Pix, Weights
from im2im.inference.tiling import TiledInference
from im2im.losses.adversarial import CrossEntropy, LeastSquares
from im2im.losses.reconstruction import MSE
from im2im.networks.fnet import FNet
from im2im.networks.patchgan import MultiScale, PatchGAN
from im2im.normalization import Identity
from im2im.tasks.regression import Regression

ADAM = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
STEPS, SIZE = 6, (4, 1, 128, 128)
TASK = Regression(MSE(), Identity(), {})


def generator() -> nn.Module:
    """Give a small generator."""
    return FNet(spatial_dims=2, in_channels=1, out_channels=1, channels=16, depth=3)


def discriminator(channels: tuple[int, ...]) -> nn.Module:
    """Give a small discriminator."""
    return MultiScale(partial(PatchGAN, 2, channels, channels=32, layers=3), 2, 1)


def batch() -> dict[str, Any]:
    """Give one batch."""
    source, target = torch.randn(2, *SIZE, generator=torch.Generator().manual_seed(0))
    return {"source": source, "target": target, "name": [""] * SIZE[0]}


class Calls:
    """Counts the calls of networks."""

    def __init__(self, *networks: nn.Module) -> None:
        self.count = 0
        for network in networks:
            network.register_forward_hook(self._add)

    def _add(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.count += 1


class StepTimes(pl.Callback):
    """Takes the CPU time of every training step but the first."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        """Start the clock."""
        self.start = time.process_time()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop it."""
        if batch_idx:
            self.seconds.append(time.process_time() - self.start)


def trained(framework: Framework) -> float:
    """Train some steps; gives the median time of one."""
    times = StepTimes()
    trainer = pl.Trainer(accelerator="cpu", max_epochs=1, limit_val_batches=0, callbacks=[times], **QUIET)  # type: ignore[arg-type]
    trainer.fit(framework, DataLoader([batch()] * STEPS, batch_size=None))
    return statistics.median(times.seconds)


def looped(step: Callable[[Tensor, Tensor], None]) -> float:
    """Do the same in a bare loop."""
    sample, seconds = batch(), []
    for _ in range(STEPS):
        start = time.process_time()
        step(sample["source"], sample["target"])
        seconds.append(time.process_time() - start)
    return statistics.median(seconds[1:])


def pix2pix_again() -> tuple[Callable[[Tensor, Tensor], None], Calls, Calls]:
    """Give a step that predicts for each side, and shows real and predicted images to the discriminator each on its own, for each side."""
    network, judge = generator(), discriminator((1, 1))
    of_network, of_judge = ADAM(network.parameters()), ADAM(judge.parameters())
    bce = binary_cross_entropy_with_logits

    def step(source: Tensor, target: Tensor) -> None:
        fake = network(source).detach()
        real_score, fake_score = (judge(torch.cat([source, image], 1))[0][0] for image in (target, fake))
        of_judge.zero_grad()
        (bce(real_score, torch.ones_like(real_score)) + bce(fake_score, torch.zeros_like(fake_score))).backward()
        of_judge.step()
        fake = network(source)
        real_score, fake_score = (judge(torch.cat([source, image], 1))[0][0] for image in (target, fake))
        of_network.zero_grad()
        (bce(fake_score, torch.ones_like(fake_score)) + 100 * mse_loss(fake, target)).backward()
        of_network.step()

    return step, Calls(network), Calls(judge)


def cyclegan_again() -> tuple[Callable[[Tensor, Tensor], None], Calls]:
    """Give a step that always computes the identities, whatever they weigh."""
    there, back, judges = generator(), generator(), nn.ModuleList(discriminator((1,)) for _ in range(2))
    of_networks, of_judges = ADAM([*there.parameters(), *back.parameters()]), ADAM(judges.parameters())

    def step(source: Tensor, target: Tensor) -> None:
        fake_target, fake_source = there(source), back(target)
        scores = judges[0](fake_target)[0][0], judges[1](fake_source)[0][0]
        cycles = l1_loss(back(fake_target), source) + l1_loss(there(fake_source), target)
        identities = l1_loss(there(target), target) + l1_loss(back(source), source)
        of_networks.zero_grad()
        (sum(mse_loss(score, torch.ones_like(score)) for score in scores) + 10 * cycles + 0 * identities).backward()
        of_networks.step()
        of_judges.zero_grad()
        for judge, real, fake in zip(judges, (target, source), (fake_target, fake_source), strict=True):
            scores = judge(real)[0][0], judge(fake.detach())[0][0]
            (mse_loss(scores[0], torch.ones_like(scores[0])) + mse_loss(scores[1], torch.zeros_like(scores[1]))).backward()
        of_judges.step()

    return step, Calls(there, back)


def compare(
    row: int, name: str, peer: str, framework: Callable[[], Framework], step: Callable[[Tensor, Tensor], None], bar: float
) -> Result:
    """Time some trainings of either in turns."""
    trained(framework()), looped(step)
    mine, theirs = (statistics.median(column) for column in zip(*((trained(framework()), looped(step)) for _ in range(5)), strict=True))
    return Result(row, name, peer, mine, theirs, "CPU s", mine / theirs, bar)


def pix2pix() -> Framework:
    """Give ours."""
    judge, weights = discriminator((1, 1)), Weights(reconstruction=100.0)
    return Pix2Pix(generator(), TASK, TiledInference(), Optimization(ADAM), judge, CrossEntropy(), weights)


def cyclegan() -> Framework:
    """Give ours, identity left out."""
    judges = {side: Judge(discriminator((1,)), LeastSquares(), 0) for side in ("source", "target")}
    return CycleGAN(generator(), TASK, TiledInference(), Optimization(ADAM), generator(), judges, CycleWeights(identity=0.0))


def main() -> list[Result]:
    """Count the calls of a step, then time it."""
    ours, theirs = pix2pix(), pix2pix_again()
    calls = Calls(ours.network)
    trained(ours), looped(theirs[0])
    results = [
        Result(
            13,
            "pix2pix step, generator forwards",
            "again for either side",
            calls.count / STEPS,
            theirs[1].count / STEPS,
            "calls",
            calls.count / STEPS,
            1,
        )
    ]
    results.append(compare(13, "pix2pix step, time", "again for either side", pix2pix, theirs[0], 0.8))
    both, again = cyclegan(), cyclegan_again()
    calls = Calls(both.network, both.backward_network)  # type: ignore[arg-type]
    trained(both), looped(again[0])
    results.append(
        Result(
            14,
            "cyclegan step, identity 0, generator forwards",
            "identities all the same",
            calls.count / STEPS,
            again[1].count / STEPS,
            "calls",
            calls.count / STEPS,
            4,
        )
    )
    results.append(compare(14, "cyclegan step, identity 0, time", "identities all the same", cyclegan, again[0], 0.72))
    return results


if __name__ == "__main__":
    report(main())
