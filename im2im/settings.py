"""What a command line asks for: which keys it gives, what ends its training, and what is wrong with it before torch is loaded."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from im2im import checkpoint
from im2im.console import ONLY_FILE, opening
from im2im.io.pairing import list_images
from im2im.nesting import leaves
from im2im.ranks import first_process
from im2im.report.notation import seconds_of

log = logging.getLogger("im2im")

UNLIMITED = -1  # max_epochs where max_time alone ends a training, as Lightning writes it


def check_short_keys(cfg: DictConfig) -> None:
    """Refuse short keys of the wrong kind before anything is built.

    Raises:
        ValueError: Naming the key.
    """
    if cfg.spatial_dims not in {2, 3}:
        raise ValueError(f"spatial_dims is 2 or 3, got {cfg.spatial_dims}; set spatial_dims=2 or spatial_dims=3")
    require_numbers(cfg, ("batch_size", int, 1), ("seed", int, 0), ("learning_rate", float | int, 0))
    if cfg.max_epochs != UNLIMITED:
        require_numbers(cfg, ("max_epochs", int | None, 1))
    devices, lengths = OmegaConf.select(cfg, "hardware.devices"), cfg.voxel_size
    if devices == 0:
        raise ValueError(f"hardware.devices is a number, a list of GPUs or auto, got {devices}; set hardware.devices=1 or more")
    fits = OmegaConf.is_list(lengths) and len(lengths) == cfg.spatial_dims and all(length > 0 for length in lengths)
    if lengths is not None and not fits:
        raise ValueError(f"voxel_size has {cfg.spatial_dims} positive lengths, got {lengths}; set voxel_size={[1.0] * cfg.spatial_dims}")
    if cfg.max_time is not None:
        seconds_of(cfg.max_time)


def settle_length(cfg: DictConfig, given: Collection[str] = ()) -> None:
    """Decide what ends a training: ``max_epochs`` or ``max_time`` where one is given alone, both where both are, else those of the data.

    Args:
        cfg: Its ``max_epochs`` and ``max_time`` are set; -1 epochs are as many as the time allows.
        given: Keys of the command line alone, see :func:`command_keys`; they win over an experiment and over the run that is resumed.
    """
    given_alone = {key for key in ("max_epochs", "max_time") if key in given and cfg[key] is not None}
    if given_alone == {"max_time"} or (cfg.max_epochs is None and cfg.max_time is not None):
        cfg.max_epochs = UNLIMITED
    elif given_alone == {"max_epochs"}:
        cfg.max_time = None
    elif cfg.max_epochs is None:
        cfg.max_epochs, cfg.max_time = cfg.data.max_epochs, cfg.data.max_time


def settle_search_length(cfg: DictConfig) -> None:
    """Give every training of a search a number of epochs, after which trials are compared, beside its time."""
    if cfg.max_epochs is None and cfg.max_time is None:
        cfg.max_time = cfg.data.max_time
    if cfg.max_epochs in (None, UNLIMITED):
        cfg.max_epochs = cfg.data.max_epochs


def check_places(cfg: DictConfig) -> None:
    """Refuse a configuration that lacks a run, images or a folder which its mode needs, before torch is loaded.

    Raises:
        ValueError: Naming the key.
    """
    mode = str(cfg.mode._target_).rpartition(".")[2]
    if mode == "predict":
        require_images(cfg.mode.input, cfg.mode.output)
    if mode in {"predict", "evaluate"} and cfg.run is None:
        raise ValueError(f"mode={mode} needs a trained network, got run=null; set run= to a run folder or .ckpt")
    places = {key: value for key in ("run", "init") if (value := cfg.get(key)) is not None}
    if mode == "predict":
        places["input"] = cfg.mode.input
    elif OmegaConf.is_missing(cfg.data, "root"):
        raise ValueError("these settings have no value yet: data.root; give each as key=value")
    elif cfg.data.get("root") is not None:
        places["data.root"] = cfg.data.root
    if cfg.run is None and (plan := OmegaConf.select(cfg, "plan.file")) is not None:
        places["plan"] = plan
    refuse_missing(places)


def require_images(input: str | None, output: str | None) -> None:
    """Raise ValueError for a prediction that was not told which images, or where to."""
    for key, value in (("input", input), ("output", output)):
        if value is None:
            raise ValueError(f"mode=predict needs {key}=, got nothing; say which images with input=IMAGES and where to with output=FOLDER")


def refuse_missing(places: Mapping[str, Any]) -> None:
    """Raise ValueError for the first setting that names something which is not on disk.

    Args:
        places: Of run, init, input, data.root and plan those that are given; run may be several.
    """
    for key in ("run", "init"):
        value = places.get(key) or []
        for run in [value] if isinstance(value, str) else value:
            checkpoint.find(run, key=key)
    if "input" in places and not Path(str(places["input"])).expanduser().exists():
        list_images(str(places["input"]))  # a glob may find some
    if "data.root" in places and not Path(str(places["data.root"])).expanduser().exists():
        raise ValueError(f"there is no folder or table at data.root={places['data.root']}; correct data.root")
    if "plan" in places and not Path(str(places["plan"])).expanduser().is_file():
        raise ValueError(f"there is no file at plan={places['plan']}; give a plan.yaml, or a run folder that holds one")


def announce(cfg: DictConfig, mode: str | None = None) -> None:
    """Say what was started, before torch is loaded.

    Args:
        cfg: Of the run or, with what belongs to Hydra in it, of the sweep.
        mode: What a sweep is told as; its trials are not told here.
    """
    if mode is None and not (HydraConfig.initialized() and HydraConfig.get().mode == RunMode.RUN and first_process()):
        return
    choices = (cfg.hydra if mode else HydraConfig.get()).runtime.choices
    facts = {
        "mode": mode or str(cfg.mode._target_).rpartition(".")[2],
        "task": choices.get("task"),
        "experiment": choices.get("experiment"),
    }
    facts |= {"data": cfg.data.get("root") or choices.get("data"), "run": cfg.run, "init": cfg.init, "input": cfg.mode.get("input")}
    log.info("%s", opening(facts), extra=ONLY_FILE if cfg.run is not None else None)  # said before that run was read


def require_numbers(cfg: DictConfig, *wanted: tuple[str, Any, float]) -> None:
    """Raise ValueError for the first setting that is not of its kind, or too small: (key, kind, smallest)."""
    for key, kind, smallest in wanted:
        value = OmegaConf.select(cfg, key)
        if not isinstance(value, kind) or isinstance(value, bool) or (value is not None and value < smallest):
            whole = "whole " if isinstance(1, kind) and not isinstance(1.5, kind) else ""
            raise ValueError(f"{key} must be a {whole}number of at least {smallest}, got {value}; set {key}=NUMBER")


def quoted(text: str | Path) -> str:
    """Write a value of a setting as Hydra reads it, whatever it contains."""
    return "'" + str(text).replace("'", "\\'") + "'"


def command_keys(hydra: Any = None) -> list[str]:
    """List the keys and groups that the command line sets, as it writes them; none in a further process of a training.

    Args:
        hydra: Hydra's own settings of a sweep; those of this job unless given.
    """
    if hydra is None and not HydraConfig.initialized():
        return []
    overrides = (hydra or HydraConfig.get()).overrides.task
    return [override.lstrip("+~").partition("=")[0].partition("@")[0] for override in overrides]


def given_keys(hydra: Any = None) -> list[str]:
    """List the keys and groups that the command line or its experiment sets; none in a further process of a training.

    Args:
        hydra: Hydra's own settings of a sweep; those of this job unless given.
    """
    if hydra is None and not HydraConfig.initialized():
        return []
    hydra = hydra or HydraConfig.get()
    keys = command_keys(hydra)
    experiment, stored = hydra.runtime.choices.get("experiment"), ConfigStore.instance().repo.get("experiment", {})
    if node := stored.get(f"{experiment}.yaml"):
        settings: Any = OmegaConf.to_container(node.node)
        chosen = [group for one in settings.pop("defaults", []) if isinstance(one, dict) for group in one]
        keys += [*(group.rpartition("/")[2].removeprefix("override ") for group in chosen), *(key for key, _ in leaves(settings))]
    return sorted({key.removeprefix("framework.") if _is_copy(key) else key for key in keys})


def _is_copy(key: str) -> bool:
    return key.startswith(("framework.task.", "framework.inference."))
