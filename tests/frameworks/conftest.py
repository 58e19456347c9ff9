"""A small network, a task and batches for every way of training."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from im2im.frameworks.cyclegan import CycleGAN
from im2im.frameworks.cyclegan import Weights as CycleWeights
from im2im.frameworks.fcn import FCN
from im2im.frameworks.judge import Judge
from im2im.frameworks.optimization import Optimization
from im2im.frameworks.pix2pix import Pix2Pix, Weights
from im2im.inference.tiling import TiledInference
from im2im.losses.adversarial import LeastSquares
from im2im.losses.reconstruction import MSE
from im2im.metrics import pearson
from im2im.networks.patchgan import MultiScale, PatchGAN
from im2im.normalization import Identity
from im2im.tasks.regression import Regression


class Counted(nn.Conv2d):
    """A convolution that counts its forwards."""

    calls = 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(image)


class Batches(torch.utils.data.Dataset):
    """Eight fixed random pairs of 32² pixels, with what else is said of each."""

    def __init__(self, **facts) -> None:
        generator = torch.Generator().manual_seed(3)
        self.facts = facts
        self.source = torch.randn(8, 1, 32, 32, generator=generator)
        self.target = self.source.roll(1, dims=-1) * 0.5 + 1

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        return {"source": self.source[index], "target": self.target[index], "name": str(index), **self.facts}


@pytest.fixture
def task() -> Regression:
    return Regression(MSE(), Identity(), {"pearson": pearson})


@pytest.fixture
def make_fcn(task):
    def make(**settings) -> FCN:
        torch.manual_seed(0)
        settings = {"optimizer": partial(torch.optim.SGD, lr=0.1), **settings}
        return FCN(Counted(1, 1, 3, padding=1), task, TiledInference(), Optimization(**settings))

    return make


@pytest.fixture
def make_pix2pix(task):
    def make(weights: Weights = Weights(), scales: int = 1, task=task, channels=(1, 1), **settings) -> Pix2Pix:
        torch.manual_seed(0)
        settings = {"optimizer": partial(torch.optim.Adam, lr=1e-3), **settings}
        discriminator = MultiScale(partial(PatchGAN, 2, channels, channels=4, layers=1), 2, scales)
        optimization = Optimization(**settings)
        return Pix2Pix(Counted(1, 1, 3, padding=1), task, TiledInference(), optimization, discriminator, LeastSquares(), weights)

    return make


@pytest.fixture
def make_cyclegan(task):
    def make(
        weights: CycleWeights = CycleWeights(), there=None, back=None, task=task, channels=(1, 1), direction="forward", **settings
    ) -> CycleGAN:
        torch.manual_seed(0)
        pool_size, adversarial = settings.pop("pool_size", 50), settings.pop("adversarial", LeastSquares())
        judges = {
            side: Judge(MultiScale(partial(PatchGAN, 2, (count,), channels=4, layers=1), 2, 1), adversarial, pool_size)
            for side, count in zip(("source", "target"), channels, strict=True)
        }
        optimization = Optimization(**{"optimizer": partial(torch.optim.SGD, lr=0.01), **settings})
        there, back = (network or Counted(1, 1, 3, padding=1) for network in (there, back))
        return CycleGAN(there, task, TiledInference(), optimization, back, judges, weights, direction)

    return make


@pytest.fixture
def fit(tmp_path):
    def run(framework, batch_size: int = 4, data: torch.utils.data.Dataset | None = None, resume=None, **settings) -> pl.Trainer:
        settings = {"max_epochs": 1, "accelerator": "cpu", "logger": False, "enable_checkpointing": False, **settings}
        trainer = pl.Trainer(default_root_dir=tmp_path, enable_progress_bar=False, enable_model_summary=False, **settings)
        loader = torch.utils.data.DataLoader(data or Batches(), batch_size, generator=torch.Generator())  # leaves the global state alone
        framework.record.setdefault("target_scale", {})
        trainer.fit(framework, loader, loader, ckpt_path=resume, weights_only=True)
        return trainer

    return run
