"""A plan: settings with reasons, kept in a file that can be edited and given again."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Quote, QuotedString

from im2im.files import replacing
from im2im.planning.rules import RULES
from im2im.planning.situation import Part, Situation
from im2im.targets import check_saved

FITTED = {"task", "framework", "data", "mode", "plan", "hardware", "trainer", "callbacks", "logger", "reader", "experiment", "search"}
PLANNED = re.compile(  # keys that rules choose, and a file may set
    r"(augmentation|batch_size|learning_rate|patch_size|task\.single"
    r"|(criterion|network|normalization|optimizer|scheduler)(\.\w+)*|framework(\.\w+)+"
    r"|data\.(divide_each|foreground|max_epochs|patches_per_image|places\._target_|steps_per_epoch|validation_\w+))",
    re.ASCII,
)
WORD = re.compile(r"\w+", re.ASCII)  # a key within a value, or the name of an option
PLAIN = re.compile(r"[\w./-]+", re.ASCII)  # what Hydra reads as it stands
FILE = "plan.yaml"  # in the run folder
HEAD = "# What was chosen from the data and why; edit the settings and train with plan=FILE.\n"


@dataclass(frozen=True)
class Plan:
    """Settings that the rules chose.

    Args:
        parts: By subject.
        facts: Of data and machine, from which they were chosen; empty where a file gave the settings.
    """

    parts: Sequence[Part]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings by key."""
        return {key: value for part in self.parts for key, value in part.settings.items()}

    def without(self, given: Collection[str], choices: Mapping[str, str]) -> "Plan":
        """Leave out what somebody gave, see :func:`untouched`."""
        parts = [replace(part, settings=untouched(part.settings, given, choices)) for part in self.parts]
        return replace(self, parts=[part for part in parts if part.settings])

    def lines(self) -> list[str]:
        """Give a line for each part: settings and reason."""
        return [
            f"{part.name}: {', '.join(f'{key}={_short(value)}' for key, value in part.settings.items())} ({part.reason})"
            for part in self.parts
        ]

    def write(self, folder: Path) -> None:
        """Write settings, reasons and facts as YAML."""
        content = {
            "plan": {part.name: {"reason": part.reason, "settings": part.settings} for part in self.parts},
            "facts": dict(self.facts),
        }
        with replacing(folder / FILE) as place:
            place.write_text(HEAD + yaml.safe_dump(content, sort_keys=False, width=140))


def read_plan(path: Path, trust: bool = False) -> Plan:
    """Read what :meth:`Plan.write` wrote.

    Args:
        path: Of the file.
        trust: Allow it to name any class.

    Raises:
        ValueError: It is no plan, sets what no plan chooses, or names a class that is not allowed.
    """
    try:
        content = yaml.safe_load(path.read_text())
        parts = [Part(str(name), dict(part["settings"]), str(part.get("reason", "as given"))) for name, part in content["plan"].items()]
    except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is no plan ({type(error).__name__}); give a plan.yaml of a run folder as plan=FILE") from error
    plan = Plan(parts)
    for key, value in plan.settings.items():
        if not PLANNED.fullmatch(str(key)):
            raise ValueError(f"{path} sets {key}, which no plan chooses; give {key} on the command line")
        if strange := _strange(value, option="." not in key):
            raise ValueError(f"{path} sets {key} to {strange!r}, which is no plain value; give it on the command line")
    check_saved(plan.settings, trust)
    return plan


def make_plan(situation: Situation, choices: Mapping[str, str]) -> Plan:
    """Apply the rules one after the other; what somebody gave stays as it is.

    Args:
        situation: What the rules look at.
        choices: Options by group.
    """
    parts: list[Part] = []
    for rule in RULES:
        if (part := rule(situation)) is None:
            continue
        if settings := untouched(part.settings, situation.given, choices):
            parts.append(replace(part, settings=settings))
            known = {**situation.settings, **settings}
            situation = replace(situation, settings=known, step_seconds=part.step_seconds or situation.step_seconds)
    return Plan(parts, situation.facts)


def untouched(settings: Mapping[str, Any], given: Collection[str], choices: Mapping[str, str]) -> dict[str, Any]:
    """Leave out what somebody gave, and what belongs to a group whose option is left out.

    The option of a group such as ``network`` is left out as well where a setting within it was given, which others may not have. The rules
    fit their settings to the options of ``task``, ``framework`` and ``data``, which therefore leave out nothing, and neither does an
    option that would be planned anyway.

    Args:
        settings: By key.
        given: Keys and groups that the command line or an experiment sets.
        choices: Options by group.
    """
    same = {key for key, option in settings.items() if choices.get(key) == option}
    taken = {key for key in settings if key not in same and _touched(key, set(given) - same)}
    groups = {key for key in taken if "." not in key}
    return {key: value for key, value in settings.items() if key not in taken and key.partition(".")[0] not in groups}


def overrides(settings: Mapping[str, Any]) -> list[str]:
    """Write settings as Hydra reads them."""
    return [f"{key}={_written(value)}" for key, value in settings.items()]


def _strange(value: Any, option: bool) -> str | None:
    """Find a text within a value that looks up or computes another one, a key that is no word, or an option that is no name."""
    if isinstance(value, Mapping):
        keys = [str(key) for key in value if not WORD.fullmatch(str(key))]
        return keys[0] if keys else _strange(list(value.values()), option=False)
    if isinstance(value, list):
        return next((found for one in value if (found := _strange(one, option))), None)
    if isinstance(value, str) and ("${" in value or (option and not WORD.fullmatch(value))):
        return value
    return None


def _touched(key: str, given: Collection[str]) -> bool:
    return any(one == key or one.startswith(f"{key}.") or (one not in FITTED and key.startswith(f"{one}.")) for one in given)


def _written(value: Any) -> str:
    """Write a value as Hydra's override grammar reads it."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, str) and not PLAIN.fullmatch(value):
        return QuotedString(value, Quote.single).with_quotes()
    return str(value)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("_target_", dict(value))).rpartition(".")[2]
    return str(value).rpartition("im2im.")[2].rpartition(".")[2] if isinstance(value, str) else _written(value)
