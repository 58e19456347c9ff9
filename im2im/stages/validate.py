"""What tells trainings apart before a test image is looked at."""

import math
import time
from typing import Any

import pytorch_lightning as pl

from im2im.checkpoint import find, load_weights, read
from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.frameworks.base import Framework
from im2im.metrics import summarize
from im2im.stages.evaluate import compared, predict_entry


def validated(trainer: pl.Trainer, framework: Framework, data: ImageData, folder: str, seconds: float) -> dict[str, Any]:
    """Score the best checkpoint on whole validation images, whatever patches it was trained with.

    Args:
        trainer: That trained; its device is used.
        framework: What was trained; has the best weights afterwards.
        data: Its validation images are scored, the training images where it has none.
        folder: The run folder.
        seconds: How long it was trained.

    Returns:
        "val": mean metrics as "val/<name>"; where no image has a target of its own, the best validation that was logged; and
        "seconds_per_megavoxel" of prediction. "train": seconds, epochs and whether it was stopped because others were better.
    """
    best = find(folder)
    load_weights(framework, read(best), best)
    framework.to(trainer.strategy.root_device).eval()
    entries = data.entries("val") or data.entries("train")
    matched = [entry for entry in entries if entry.matched]
    scores = {name: math.nan if one["mean"] is None else one["mean"] for name, one in _summary(framework, data, matched).items()}
    speed = _speed(framework, data, entries[0])
    pruned = any(getattr(callback, "pruned", False) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    train = {"seconds": round(seconds, 1), "epochs": trainer.current_epoch, "pruned": pruned}
    return {"val": {**_logged(trainer), **scores, "seconds_per_megavoxel": speed}, "train": train}


def _summary(framework: Framework, data: ImageData, entries: list[Entry]) -> dict[str, Any]:
    rows = [framework.task.score(*compared(framework, data, entry)) for entry in entries]
    return {f"val/{name}": one for name, one in summarize(rows).items()}


def _speed(framework: Framework, data: ImageData, entry: Entry) -> float:
    """Predict an image once more, now that scoring has warmed all up, and time it."""
    start = time.perf_counter()
    _, _, found = predict_entry(framework, data, entry)
    return (time.perf_counter() - start) / (found[0].size / 1e6)


def _logged(trainer: pl.Trainer) -> dict[str, float]:
    kept = {getattr(one, "monitor", None): getattr(one, "best_model_score", None) for one in trainer.checkpoint_callbacks}
    return {str(name): float(score) for name, score in kept.items() if name and score is not None}
