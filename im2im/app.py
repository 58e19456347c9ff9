"""From a composed configuration to built objects and one stage. The configuration ends here."""

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from im2im.nesting import leaves

log = logging.getLogger("im2im")

EXPECTED = (ValueError, OSError, LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError, ImportError, InstantiationException)


def job(cfg: DictConfig) -> Any:
    """Run one composed configuration; what goes wrong is told in one line, unless tracebacks are wanted or a sweep keeps the record."""
    if full_error() or HydraConfig.get().mode == RunMode.MULTIRUN:
        return run(cfg)
    try:
        return run(cfg)
    except EXPECTED as error:
        log.error("%s", one_line(error))
        raise SystemExit(1) from error


def run(cfg: DictConfig) -> Any:
    """Build everything that a configuration names and run its stage."""
    import pytorch_lightning as pl

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # of the trainer's own making
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    if missing := [key for key, value in leaves(OmegaConf.to_container(cfg)) if value == "???"]:
        raise ValueError(f"these settings have no value yet: {', '.join(sorted(missing))}; give each as key=value")
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    data = build(cfg.data.module)
    count_channels(cfg, data)
    choose_hardware(cfg)
    framework = build(cfg.framework)
    restore(cfg, framework, data)
    save(cfg)
    callbacks, loggers = list(build(cfg.callbacks).values()), list(build(cfg.logger).values())
    trainer = build(cfg.trainer, callbacks=callbacks, logger=loggers)
    return build(cfg.mode)(trainer, framework, data)


def build(node: Any, **settings: Any) -> Any:
    """Build the object that a node names, with everything in it."""
    from hydra.utils import instantiate

    return instantiate(node, _convert_="all", **settings)


def count_channels(cfg: DictConfig, data: Any) -> None:
    """Fill in the channels that nobody gave: the source's from the data, the output's from the task and the data."""
    if cfg.in_channels is not None and cfg.out_channels is not None:
        return
    source, target = data.channels()
    cfg.in_channels = cfg.in_channels or source
    cfg.out_channels = cfg.out_channels or build(cfg.task).out_channels(target)


def choose_hardware(cfg: DictConfig) -> None:
    """Replace what is "auto" by what this machine does best."""
    from im2im.hardware import choose_precision

    cfg.hardware.precision = choose_precision(cfg.hardware.precision, cfg.hardware.accelerator, cfg.spatial_dims)


def restore(cfg: DictConfig, framework: Any, data: Any) -> None:
    """Put the weights of ``run=`` or ``init=`` into the framework, and what a checkpoint of this run must say into its record."""
    from im2im import __version__, checkpoint

    framework.record.update(version=__version__, config=OmegaConf.to_yaml(cfg), in_channels=cfg.in_channels)
    if cfg.run is not None:
        path = checkpoint.find(cfg.run)
        state = checkpoint.read(path)
        checkpoint.load_weights(framework, state, path)
        told = {key: state["im2im"][key] for key in ("target_scale", "target_names")}
        framework.record.update(told, checkpoint=str(cfg.run))
        trained_on = OmegaConf.create(state["im2im"]["config"]).data.get("root")
        data.evaluating = cfg.data.get("root") != trained_on
    elif cfg.init is not None:
        path = checkpoint.find(cfg.init)
        log.info(checkpoint.initialize(framework, checkpoint.read(path), path))


def save(cfg: DictConfig) -> None:
    """Write the resolved configuration to the run folder; ``-cp`` and ``run=`` run it again."""
    from im2im.files import replacing
    from im2im.saved import resolved

    folder = Path(cfg.output_dir)
    if (folder / "config.yaml").exists() and Path(str(cfg.run)).resolve() != folder.resolve():
        raise ValueError(f"{folder} already holds a run; choose another hydra.run.dir, or go on with it by run={folder}")
    with replacing(folder / "config.yaml") as path:
        path.write_text(OmegaConf.to_yaml(OmegaConf.create(resolved(cfg))))


def one_line(error: BaseException) -> str:
    """Tell an error in one line: the innermost message that was meant for the user."""
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split())
    if isinstance(error, ValueError | OSError) and text:
        return text
    return f"{type(error).__name__}: {text} (HYDRA_FULL_ERROR=1 shows where)"


def full_error() -> bool:
    """Tell whether the user asked for tracebacks."""
    return sys.excepthook is sys.__excepthook__
