"""The plan of a training, composed into its configuration."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from im2im.building import build
from im2im.checkpoint import find, read
from im2im.data.datamodule import ImageData
from im2im.hardware import choose_precision, uses_gpu
from im2im.planning.fingerprint import fingerprint
from im2im.planning.plan import Plan, make_plan, overrides, read_plan
from im2im.planning.situation import Situation
from im2im.planning.speed import pass_seconds
from im2im.ranks import started_together
from im2im.report.notation import seconds_of
from im2im.settings import UNLIMITED, command_keys, settle_length
from im2im.targets import check_saved

log = logging.getLogger(__name__)

SIZES = (  # which rules take into account where they are given
    "patch_size",
    "batch_size",
    "data.steps_per_epoch",
    "data.patches_per_image",
    "data.validation_limit",
    "data.validation_block",
    "framework.optimization.accumulate",
    "framework.criterion.extent",
)
Compose = Callable[[Sequence[str]], DictConfig]


def planned(cfg: DictConfig, given: Collection[str]) -> tuple[DictConfig, Plan | None]:
    """Plan a training, see :func:`is_planned`, and compose its configuration anew with what nobody gave.

    A new training that starts from other weights has the network of those, planned or not, such as a trial of a search.

    Args:
        cfg: Composed without a plan; its length is settled.
        given: Keys and groups that the command line or an experiment sets; they are never touched.

    Returns:
        The configuration and the plan; the same configuration and None where nothing is planned.
    """
    if not HydraConfig.initialized():
        return cfg, None
    told = HydraConfig.get()
    takes_over = cfg.init is not None and cfg.run is None and "framework" in told.runtime.choices
    if not is_planned(cfg, given, told.runtime.choices):
        if takes_over:
            _take_over(cfg, given)
        return cfg, None

    def compose(settings: Sequence[str]) -> DictConfig:
        composed = hydra.compose(told.job.config_name, [*settings, *told.overrides.task])
        settle_length(composed, command_keys())
        return composed

    plan = plan_training(cfg, given, told.runtime.choices, compose)
    cfg = compose(overrides(plan.settings))
    cfg.plan = {}  # it is in the settings now, also of what this run is saved as
    if takes_over:
        _take_over(cfg, given)
    return cfg, plan


def is_planned(cfg: DictConfig, given: Collection[str], choices: Mapping[str, str]) -> bool:
    """Tell whether a training is planned: a new one that is no experiment, which is a complete setting of its own.

    Args:
        cfg: Composed without a plan.
        given: Keys and groups that the command line or an experiment sets; ``plan`` among them plans an experiment as well.
        choices: Options by group; none of a configuration that was saved as a whole.
    """
    trains = cfg.mode._target_.rpartition(".")[2] in ("train", "check")
    complete = choices.get("experiment") is not None and not any(key.partition(".")[0] == "plan" for key in given)
    return cfg.run is None and bool(cfg.plan) and trains and "framework" in choices and not complete


def plan_training(cfg: DictConfig, given: Collection[str], choices: Mapping[str, str], compose: Compose) -> Plan:
    """Make the plan of a training, or read it from ``plan.file``, and print it.

    Nothing is measured where something else started several processes: each plans for itself, and all must plan the same.

    Args:
        cfg: Composed without a plan; its ``max_time`` is settled.
        given: Keys and groups that the command line or an experiment sets; they are never touched.
        choices: Options by group.
        compose: Composes the configuration with further settings.
    """
    if cfg.plan.file is not None:
        plan = read_plan(Path(str(cfg.plan.file)).expanduser(), cfg.trust)
        if cfg.init is not None:
            plan = plan.without({"network"}, {})  # it is that of the weights
        plan = plan.without(given, choices)
    else:
        plan = make_plan(_situation(cfg, given, choices, compose), choices)
    for line in plan.lines():
        log.info("plan: %s", line)
    return plan


def _take_over(cfg: DictConfig, given: Collection[str]) -> None:
    """Let the network be that of the weights that a training starts from, and offsets mean what they meant there."""
    saved = OmegaConf.create(read(find(cfg.init, key="init"))["im2im"]["config"])
    if "network" not in given:
        own = {key.split(".")[1] for key in given if key.startswith("network.")}
        there, here = (dict(OmegaConf.to_container(one.network, resolve=False)) for one in (saved, cfg))  # type: ignore[arg-type]
        if unknown := sorted(own - there.keys()):
            raise ValueError(f"the network of init={cfg.init} is configured without {unknown[0]}; leave out network.{unknown[0]}")
        check_saved({"network": there}, cfg.trust)
        kept = own | ({"in_channels", "out_channels", "spatial_dims"} & there.keys())
        cfg.network = {**there, **{key: here[key] for key in kept & here.keys()}}
    for key in ("framework.start_sigma", "framework.criterion.extent"):
        there = OmegaConf.select(saved, key)
        if key not in given and isinstance(there, int | float) and OmegaConf.select(cfg, key) is not None:
            OmegaConf.update(cfg, key, there)


def facts_of(cfg: DictConfig, data: ImageData, task: Any) -> dict[str, Any]:
    """Describe images and machine, see :func:`.fingerprint`, as the task and the given size of a voxel want it."""
    return fingerprint(data, task.objects, getattr(task, "ignore_index", None), cfg.voxel_size, _device(cfg))


def _device(cfg: DictConfig) -> str:
    return "cuda" if uses_gpu(cfg.hardware.accelerator) else "cpu"


def _situation(cfg: DictConfig, given: Collection[str], choices: Mapping[str, str], compose: Compose) -> Situation:
    data: ImageData = build(cfg.data.module)
    task = build(cfg.task)
    facts = facts_of(cfg, data, task)
    if started_together():
        del facts["memory"]  # each process would see another amount, and might choose another batch
    channels = {
        "in_channels": cfg.in_channels or facts["channels"][0],
        "out_channels": cfg.out_channels or task.out_channels(facts["channels"][1]),
    }
    precision = choose_precision(cfg.hardware.precision, cfg.hardware.accelerator, cfg.spatial_dims)

    def measure(settings: Mapping[str, Any]) -> Callable[[Any], float]:
        wanted = compose(overrides({**settings, **channels}))
        shape = (wanted.batch_size, wanted.in_channels, *wanted.patch_size)
        network = OmegaConf.to_yaml(wanted.network, resolve=True)

        def seconds(channels: int | list[int]) -> float:
            widths = tuple(channels) if isinstance(channels, list) else channels
            return pass_seconds(network, widths, shape, torch.device(_device(cfg)), str(precision))

        return seconds

    sizes = {key: OmegaConf.select(cfg, key) for key in SIZES if key in given}
    if cfg.max_epochs != UNLIMITED and ({"max_epochs", "data.max_epochs"} & set(given) or cfg.max_epochs != cfg.data.max_epochs):
        sizes["max_epochs"] = cfg.max_epochs
    return Situation(
        facts=facts,
        kind="objects" if task.objects else "classes" if data.target.labels else "intensities",
        dims=cfg.spatial_dims,
        framework=choices["framework"],
        network=choices["network"],
        has_weights=cfg.init is not None,
        given=given,
        paired=data.paired,
        classes=len(cfg.task.get("classes", [])),
        seconds=None if cfg.max_time is None else seconds_of(cfg.max_time),
        measure=None if started_together() or "network.channels" in given else measure,
        settings={key: list(value) if OmegaConf.is_list(value) else value for key, value in sizes.items()},
    )
