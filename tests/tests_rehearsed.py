"""Tiny frameworks and a trainer to rehearse with."""

import pytorch_lightning as pl
from tests_tiny import built, composed, tiny

from im2im.data.datamodule import ImageData
from im2im.frameworks.base import Framework

FRAMEWORKS = ("fcn", "pix2pix", "pix2pixhd", "cyclegan", "embedseg")


def learner(name: str, spatial_dims: int = 2) -> tuple[Framework, ImageData, dict]:
    """Build a tiny framework, its data and a batch of them."""
    task = "instance" if name == "embedseg" else "labelfree"
    framework, data, batch = built(tiny(composed(f"task={task}", f"framework={name}"), "fnet", spatial_dims))
    framework.record["patch_size"] = list(data.sampling.patch_size)
    return framework, data, batch


def trainer(precision: str = "32-true") -> pl.Trainer:
    """Give a quiet trainer on the CPU."""
    return pl.Trainer(accelerator="cpu", precision=precision, logger=False, enable_checkpointing=False, enable_progress_bar=False)
