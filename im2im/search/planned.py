"""The plan that all trials of a search start from."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from im2im.planning.plan import Plan, overrides
from im2im.planning.training import Compose, is_planned, plan_training
from im2im.report.notation import days
from im2im.search.budget import lengths, share


def plan_search(cfg: DictConfig, settings: Sequence[str], given: Collection[str], compose: Compose) -> Plan | None:
    """Plan what the default trial of a search trains, in the time that a whole training of it has.

    Args:
        cfg: Of the search; its length is settled.
        settings: Of the command line, which all trials share.
        given: Keys and groups that the command line or an experiment sets, and those that are searched; they are never touched.
        compose: Composes a job.

    Returns:
        The plan, which is in the folder of the search as well; None where trainings are not planned, see
        :func:`im2im.planning.training.is_planned`.
    """
    choices = cfg.hydra.runtime.choices
    if not is_planned(cfg, given, choices):
        return None
    seconds = cfg.max_epochs * share(cfg, lengths(cfg), cfg.search.trials)
    timed = compose(settings)
    timed.max_time = cfg.max_time or (days(seconds) if math.isfinite(seconds) else None)
    plan = plan_training(timed, given, choices, lambda further: compose([*further, *settings]))
    folder = Path(cfg.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    plan.write(folder)
    return plan


def of_trial(plan: Mapping[str, Any], trial: Sequence[str], choices: Mapping[str, str]) -> list[str]:
    """Write the settings of a plan for a trial, without those of a group for which the trial chooses another option.

    Args:
        plan: Settings by key, as of :func:`plan_search`.
        trial: What the trial differs by.
        choices: Options by group, as planned.
    """
    chosen = dict(one.lstrip("+").partition("=")[::2] for one in trial)
    other = {key for key, option in chosen.items() if choices.get(key) not in (None, option)}
    if "framework" in other:
        other.add("optimizer")  # each framework has its own
    return overrides({key: value for key, value in plan.items() if key.partition(".")[0] not in other})
