"""Trained runs, one or several whose outputs are averaged."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from im2im import checkpoint
from im2im.building import build
from im2im.saved import resolved, saved_configuration
from im2im.targets import check_targets

ALIKE = ("in_channels", "out_channels", "spatial_dims", "normalization", "task.normalization", "task.classes")


def runs_of(cfg: DictConfig) -> list[str]:
    """Give the runs of ``run=RUN`` or ``run=[A,B]``, whose outputs are averaged."""
    return [cfg.run] if isinstance(cfg.run, str) else list(cfg.run)


def load_framework(run: str | Path, trust: bool = False, changes: Mapping[str, Any] | None = None) -> tuple[DictConfig, Any]:
    """Build the framework of a trained run with its weights and its record; gives its configuration as well.

    Args:
        run: A run folder or a .ckpt file.
        trust: Allow its configuration to name any class.
        changes: New values of keys that it has.

    Raises:
        ValueError: If there is no such run, or it names a class that is not allowed.
    """
    config = saved_configuration(str(run), trust)
    config.output_dir = "."
    for key, value in (changes or {}).items():
        if OmegaConf.select(config, key) is not None:
            OmegaConf.update(config, key, value, merge=False)
    check_targets(OmegaConf.to_container(config, resolve=True), trust)
    path = checkpoint.find(run)
    state = checkpoint.read(path)
    framework = build(config.framework)
    checkpoint.load_weights(framework, state, path)
    framework.record.update({key: value for key, value in state["im2im"].items() if key != "random"})
    return config, framework.eval()


def member(run: str, cfg: DictConfig, trust: bool) -> Any:
    """Load a further run of an ensemble; how images are predicted is the first run's to say.

    Raises:
        ValueError: If its outputs cannot be averaged with the first run's.
    """
    here = OmegaConf.create(resolved(cfg))
    changes = {key: value for key in ("inference", "framework.direction") if (value := OmegaConf.select(here, key)) is not None}
    there = OmegaConf.create(resolved(saved_configuration(run, trust)))
    _require_alike(ALIKE, here, there, run)
    framework = load_framework(run, trust, changes)[1]
    if framework.task.objects:
        _require_alike(["voxel_size"], here, there, run)
    return framework


def _require_alike(keys: Iterable[str], here: DictConfig, there: DictConfig, run: str) -> None:
    for key in keys:
        if OmegaConf.select(here, key) != (other := OmegaConf.select(there, key)):
            raise ValueError(f"runs of an ensemble must agree in {key}, got {other} in {run}; leave it out of run=")
