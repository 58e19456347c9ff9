"""Batch size and learning rate found by rehearsal, and put where the configuration has them."""

import logging
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from im2im.building import build
from im2im.data.datamodule import ImageData
from im2im.frameworks.base import Framework
from im2im.memory import explained, free_memory
from im2im.rehearsal.batch_size import find_batch_size
from im2im.rehearsal.learning_rate import FASTEST, SLOWEST, range_test
from im2im.rehearsal.step import measure_with
from im2im.stages.train import make_ready

log = logging.getLogger(__name__)

SEARCHED = {"auto_batch_size": "batch_size", "auto_lr": "learning_rate"}  # keys of trainer, and what each of them finds
HOMES = {"batch_size": "data.module.sampling.batch_size", "learning_rate": "framework.optimization.optimizer.lr"}


def trainer_alone(cfg: DictConfig) -> dict[str, Any]:
    """Give the trainer's node without the keys that are this package's own."""
    node: Any = OmegaConf.to_container(cfg.trainer, resolve=True)
    return {key: value for key, value in node.items() if key not in SEARCHED}


def trainer_and_callbacks(cfg: DictConfig) -> tuple[dict[str, Any], list[pl.Callback]]:
    """Give the trainer's own settings and the callbacks, without a progress bar where ``trainer.enable_progress_bar=false``."""
    alone, callbacks = trainer_alone(cfg), [one for one in build(cfg.callbacks).values() if one is not None]
    shown = [one for one in callbacks if isinstance(one, pl.callbacks.ProgressBar)]
    if alone.setdefault("enable_progress_bar", bool(shown)):
        return alone, callbacks
    return alone, [one for one in callbacks if one not in shown]  # Lightning refuses a bar beside enable_progress_bar=false


def tune(cfg: DictConfig, trainer: pl.Trainer, framework: Framework, data: ImageData) -> bool:
    """Find what ``trainer.auto_batch_size`` and ``trainer.auto_lr`` ask for and set it, in the configuration and in what was built of it.

    The keys are false afterwards: the configuration then says what was found, and the run goes on with that.

    Returns:
        Whether anything was asked for.

    Raises:
        ValueError: If several processes train, or the key that is searched leads nowhere.
    """
    asked = [key for key in SEARCHED if cfg.trainer.get(key, False)]
    if not asked:
        return False
    cfg.trainer.update(dict.fromkeys(asked, False))
    if cfg.run is not None:
        log.info("run= goes on with batch_size=%d and learning_rate=%g: nothing is searched", cfg.batch_size, cfg.learning_rate)
        return True
    for key in asked:
        _refuse(cfg, key, trainer)
    make_ready(trainer, framework, data, cfg.output_dir)
    for key in asked:
        found, reason = (_batch_size if key == "auto_batch_size" else _learning_rate)(cfg, trainer, framework, data)
        cfg[SEARCHED[key]] = found
        log.info("%s=%g: %s", SEARCHED[key], found, reason)
        data.sampling, framework.optimization = build(cfg.data.module.sampling), build(cfg.framework.optimization)
    return True


def _refuse(cfg: DictConfig, key: str, trainer: pl.Trainer) -> None:
    """Raise ValueError where a search would find nothing of use."""
    name, home = SEARCHED[key], HOMES[SEARCHED[key]]
    if trainer.world_size > 1:
        raise ValueError(
            f"trainer.{key} searches in one process, got {trainer.world_size}; search with hardware.devices=1, then give {name}=NUMBER"
        )
    if OmegaConf.select(cfg, home) != cfg[name]:
        raise ValueError(f"trainer.{key} finds {name}, got {home}={OmegaConf.select(cfg, home)} beside it; leave that to {name}")
    if cfg[name] == 0:
        raise ValueError(f"trainer.{key} needs a {name} to start from, got 0; leave it out")


def _batch_size(cfg: DictConfig, trainer: pl.Trainer, framework: Framework, data: ImageData) -> tuple[int, str]:
    start, patches = time.perf_counter(), len(data.training_patches(data.entries("train")))
    free = free_memory(trainer.strategy.root_device)
    found, reason = find_batch_size(measure_with(trainer, framework, data), cfg.batch_size, patches, free)
    return found, f"{reason} (searched for {time.perf_counter() - start:.0f} s)"


def _learning_rate(cfg: DictConfig, trainer: pl.Trainer, framework: Framework, data: ImageData) -> tuple[float, str]:
    start, path = time.perf_counter(), Path(cfg.output_dir, "lr_finder.csv")
    with explained(data.batch_shape(cfg.in_channels), trainer.strategy.root_device):
        curve = range_test(trainer, framework, data, cfg.learning_rate)
    curve.write(path)
    told, found = f"{SLOWEST:g} to {FASTEST:g}, {time.perf_counter() - start:.0f} s, {path.name}", curve.suggestion()
    if found is None:
        return cfg.learning_rate, f"kept, for the loss falls nowhere by much ({told})"
    return found, f"halfway from the steepest fall of the loss to its lowest value ({told})"
