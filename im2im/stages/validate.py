"""What tells trainings apart before a test image is looked at."""

import math
import time
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from im2im.data.datamodule import ImageData
from im2im.frameworks.base import Framework


def validated(trainer: pl.Trainer, framework: Framework, data: ImageData, seconds: float) -> dict[str, Any]:
    """Give the best validation that the checkpoint keeps, how fast the network predicts, and how long it was trained."""
    monitors = {
        str(callback.monitor): callback.best_model_score
        for callback in trainer.checkpoint_callbacks
        if isinstance(callback, ModelCheckpoint)
    }
    scores = {name: math.nan if score is None else float(score) for name, score in monitors.items()}
    entry = (data.entries("val") or data.entries("train"))[0]
    source, _ = data.cutter.normalized(entry)
    start = time.perf_counter()
    framework.eval().predict(torch.from_numpy(source))
    speed = (time.perf_counter() - start) / (source[0].size / 1e6)
    pruned = any(getattr(callback, "pruned", False) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    train = {"seconds": round(seconds, 1), "epochs": trainer.current_epoch, "pruned": pruned}
    return {"val": {**scores, "seconds_per_megavoxel": speed}, "train": train}
