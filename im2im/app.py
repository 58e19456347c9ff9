"""From a composed configuration to built objects and one stage. The configuration ends here."""

import json
import logging
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from im2im import resolvers  # noqa: F401
from im2im.building import build
from im2im.nesting import leaves
from im2im.quiet import quieten
from im2im.ranks import first_process
from im2im.settings import announce, check_places, check_short_keys, command_keys, given_keys, settle_length

log = logging.getLogger("im2im")

TRAIN = "im2im.stages.train.train"

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
    if missing := [key for key, value in leaves(OmegaConf.to_container(cfg)) if value == "???"]:
        raise ValueError(f"these settings have no value yet: {', '.join(sorted(missing))}; give each as key=value")
    check_short_keys(cfg)  # before the seconds that torch takes to load
    check_places(cfg)
    refuse_overwriting(cfg)
    announce(cfg)
    settle_length(cfg, command_keys())
    import pytorch_lightning as pl

    from im2im.hardware import choose_precision
    from im2im.planning.training import planned
    from im2im.targets import check_targets
    from im2im.tuning import trainer_and_callbacks, tune

    if not first_process():
        logging.disable(logging.WARNING)  # the first one speaks
        warnings.simplefilter("ignore")
        if cfg.mode._target_ != TRAIN:
            return None
    quieten()
    if cfg.run is not None:
        check_targets(OmegaConf.to_container(cfg, resolve=True), cfg.trust)
    cfg, plan = planned(cfg, given_keys())
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    data = build(cfg.data.module)
    read_from_data(cfg, data)
    framework = build(cfg.framework)
    restore(cfg, framework, data)
    save(cfg, plan)
    loggers, (alone, callbacks) = [one for one in build(cfg.logger).values() if one is not None], trainer_and_callbacks(cfg)
    precision = choose_precision(cfg.hardware.precision, cfg.hardware.accelerator, cfg.spatial_dims)
    trainer = build(alone, callbacks=callbacks, logger=loggers, precision=precision, **side_by_side(cfg))
    if cfg.mode._target_ == TRAIN and tune(cfg, trainer, framework, data):
        framework.record["config"] = OmegaConf.to_yaml(cfg)
        save(cfg)
    try:
        return build(cfg.mode)(trainer, framework, data, **selection(cfg, framework))
    finally:
        end_wandb()


def selection(cfg: DictConfig, framework: Any) -> dict[str, Any]:
    """Give what a training needs to choose settings afterwards; nothing where it chooses none."""
    if cfg.mode._target_ != TRAIN or not cfg.mode.get("select", False):
        return {}
    from im2im.stages.selection import Selection

    def write(values: Mapping[str, Any]) -> str:
        for key, value in values.items():
            for place in (key, f"framework.{key}"):  # a saved configuration may hold a copy instead of a link
                if place == key or OmegaConf.select(cfg, place) not in (None, value):
                    OmegaConf.update(cfg, place, value, merge=False, force_add=True)
        save(cfg)
        return OmegaConf.to_yaml(cfg)

    quality: Any = OmegaConf.to_container(cfg.quality, resolve=True)
    return {"select": Selection(quality, write, framework.record["given"])}


def end_wandb() -> None:
    """End the run of W&B, which would else take what the next job of a sweep logs in this process."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and getattr(wandb, "run", None) is not None:
        wandb.finish()


def side_by_side(cfg: DictConfig) -> dict[str, Any]:
    """Give what the trainer needs for several processes; nothing for one.

    Raises:
        ValueError: If something else started several processes, but each is to train alone.
    """
    from im2im.hardware import count_devices, uses_gpu

    count, nodes = count_devices(cfg.hardware.devices, cfg.hardware.accelerator), cfg.hardware.get("num_nodes", 1)
    if count * nodes == 1:
        if not first_process():
            raise ValueError(
                f"several processes were started, got hardware.devices={cfg.hardware.devices}; set hardware=slurm or start one"
            )
        return {}

    from im2im.launching import Together

    on_gpu = uses_gpu(cfg.hardware.accelerator)
    configuration: Any = OmegaConf.to_container(cfg, resolve=True)
    return {"strategy": Together(configuration), "sync_batchnorm": on_gpu, "use_distributed_sampler": False}


def follow() -> None:
    """Be a further process of a training: run the configuration on stdin, and end with the process that wrote it."""
    cfg = OmegaConf.create(json.loads(sys.stdin.readline()))
    Thread(target=_end_with_the_first, daemon=True).start()
    try:
        run(cfg)
    except Exception as error:
        sys.stdout.write(f"{one_line(error)}\n")
        raise SystemExit(1) from error


def _end_with_the_first() -> None:
    sys.stdin.read()
    os._exit(1)


def read_from_data(cfg: DictConfig, data: Any) -> None:
    """Fill in what nobody gave: the source's channels and the size of a voxel from the data, the output's channels from task and data."""
    if None not in [cfg.in_channels, cfg.out_channels, cfg.voxel_size]:
        return
    source, target = data.channels()
    cfg.in_channels = cfg.in_channels or source
    cfg.out_channels = cfg.out_channels or build(cfg.task).out_channels(target)
    cfg.voxel_size = cfg.voxel_size or data.voxel_size()


def restore(cfg: DictConfig, framework: Any, data: Any) -> None:
    """Put the weights of ``run=`` or ``init=`` into the framework, and what a checkpoint of this run must say into its record."""
    from im2im import __version__, checkpoint
    from im2im.ensemble import member, runs_of

    framework.record.update(
        version=__version__, config=OmegaConf.to_yaml(cfg), in_channels=cfg.in_channels, patch_size=list(cfg.patch_size)
    )
    given = [key for key in given_keys() if "." in key or key == "inference"]
    framework.record["given"] = given
    if cfg.run is not None:
        first, *others = runs_of(cfg)
        path = checkpoint.find(first)
        state = checkpoint.read(path)
        require_meaning(cfg, state, path)
        checkpoint.load_weights(framework, state, path)
        told = {key: state["im2im"].get(key) for key in ("target_scale", "source_scale", "target_names", "target_channels")}
        earlier = [key for key in state["im2im"].get("given", []) if key not in given]
        framework.record.update(told, runs=[first, *others], given=[*earlier, *given])
        data.evaluating = root_of(cfg) != root_of(OmegaConf.create(state["im2im"]["config"]))
        framework.others = [member(run, cfg, cfg.trust) for run in others]
    elif cfg.init is not None:
        path = checkpoint.find(cfg.init, key="init")
        state = checkpoint.read(path)
        require_meaning(cfg, state, path)
        log.info(checkpoint.initialize(framework, state, path))


def require_meaning(cfg: DictConfig, state: dict[str, Any], path: Path) -> None:
    """Raise ValueError where weights were trained with another meaning of the output than the configuration gives it."""
    there = OmegaConf.create(state["im2im"]["config"])
    for key in ("framework.start_sigma", "framework.criterion.extent"):
        trained, given = OmegaConf.select(there, key), OmegaConf.select(cfg, key)
        if None not in (trained, given) and trained != given:
            raise ValueError(f"{path} was trained with {key}={trained}, got {given}; set {key}={trained}")


def refuse_overwriting(cfg: DictConfig) -> None:
    """Raise ValueError where the run folder holds another run."""
    folder = Path(cfg.output_dir)
    if first_process() and (folder / "config.yaml").exists() and not goes_on(cfg):
        raise ValueError(f"{folder} already holds a run; choose another hydra.run.dir, or go on with it by run={folder}")


def goes_on(cfg: DictConfig) -> bool:
    """Tell whether this goes on with the run of its own folder."""
    from im2im.ensemble import runs_of

    resumed = runs_of(cfg)[0] if cfg.run is not None else cfg.mode.get("resume")
    return resumed is not None and Path(resumed).resolve() == Path(cfg.output_dir).resolve()


def save(cfg: DictConfig, plan: Any = None) -> None:
    """Write the resolved configuration to the run folder, and the plan where there is one; ``-cp`` and ``run=`` run it again."""
    if not first_process():
        return
    from im2im.files import replacing
    from im2im.saved import resolved

    if plan is not None:
        plan.write(Path(cfg.output_dir))
    with replacing(Path(cfg.output_dir) / "config.yaml") as path:
        path.write_text(OmegaConf.to_yaml(OmegaConf.create({**resolved(cfg), **({"run": None} if goes_on(cfg) else {})})))


def root_of(cfg: DictConfig) -> Path | None:
    """Give the absolute folder of the data, however it was written."""
    return Path(cfg.data.root).expanduser().resolve() if cfg.data.get("root") else None


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
