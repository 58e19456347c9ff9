"""Every framework trained in this process, or beside others: ``python tests_together.py FILE`` writes what came of it."""

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
import torch
from tests_tiny import built, composed, tiny
from torch import nn

from im2im.data.datamodule import ImageData
from im2im.frameworks.base import Framework
from im2im.launching import Together
from im2im.parallel import rank

FRAMEWORKS = ("fcn", "pix2pix", "pix2pixhd", "cyclegan", "embedseg")


class Curve(pl.Callback):
    """Remembers what each epoch logs."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epochs.append({name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")})

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epochs[-1] |= {name: float(value) for name, value in trainer.callback_metrics.items()}


def without_norms(module: nn.Module) -> None:
    """Take every norm out, which would see the batches of one process alone."""
    for name, child in module.named_children():
        if "Norm" in type(child).__name__:
            setattr(module, name, nn.Identity())
        else:
            without_norms(child)


def learner(name: str, batch_size: int) -> tuple[Framework, ImageData]:
    """Build a tiny framework whose steps are proportional to the gradient, which is accumulated and clipped."""
    task = "instance" if name == "embedseg" else "labelfree"
    config = tiny(composed(f"task={task}", f"framework={name}"), "fnet", 2)
    config.batch_size, config.data.patches_per_image, config.data.counts = batch_size, 5, {"train": 2, "val": 1, "test": 1}
    config.data.validation_patches = 3
    if name == "cyclegan":
        config.framework.judges.target.pool_size = 0
    framework, data, _ = built(config)
    without_norms(framework)
    optimizer = partial(torch.optim.SGD, lr=0.01)
    framework.optimization = replace(framework.optimization, optimizer=optimizer, scheduler=None, gradient_clip=1.0, accumulate=2)
    return framework, data


def train(name: str, batch_size: int, folder: Path, **settings) -> dict:
    """Train two epochs; give the weights and the curve."""
    framework, data = learner(name, batch_size)
    if rank() or os.environ.get("LOCAL_RANK") == "1":
        for parameter in framework.parameters():
            parameter.data += 1  # the first process's weights count
    curve = Curve()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, callbacks=[curve], default_root_dir=folder, num_sanity_val_steps=0, **quiet, **settings
    )
    trainer.fit(framework, datamodule=data)
    return {"weights": framework.state_dict(), "epochs": curve.epochs}


if __name__ == "__main__":
    file = Path(sys.argv[1])
    together = {"devices": 2, "use_distributed_sampler": False}
    results = {name: train(name, 2, file.parent, strategy=Together({}), **together) for name in FRAMEWORKS}
    torch.save(results, file)
