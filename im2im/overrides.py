"""What the arguments of a command line say, read and completed before Hydra composes them."""

import re
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

PATHS = {"run", "init", "input", "output", "data.root", "mode.input", "mode.output"}  # settings that name files


def parsed(key: str, value: str) -> Override:
    """Read a setting as Hydra does.

    Raises:
        OverrideParseException: If Hydra cannot read it.
    """
    return OverridesParser.create().parse_overrides([f"{key}={value}"])[0]


def paths_of(key: str, value: str) -> list[str]:
    """List the paths of a setting: one, or several in brackets; none for null. What a sweep goes through stays one text."""
    override = parsed(key, value)
    found = value if override.is_sweep_override() else override.value()
    return [str(path) for path in (found if isinstance(found, list) else [found]) if path not in (None, "")]


def is_sweep(key: str, value: str) -> bool:
    """Tell whether a setting has several values, each for a job of its own."""
    return parsed(key, value).is_sweep_override()


def plain_settings(arguments: list[str]) -> dict[str, str]:
    """Pick the arguments of the form key=value whose key has no dots, such as groups and short keys."""
    split = (argument.partition("=") for argument in arguments)
    return {key: value for key, separator, value in split if separator and key.isidentifier()}


def with_custom_network(arguments: list[str]) -> list[str]:
    """Let ``network._target_=CLASS`` alone start from an empty network instead of the settings of the default one."""
    named = any(argument.startswith("network._target_=") for argument in arguments)
    return ["network=custom", *arguments] if named and not {"network", "run"} & plain_settings(arguments).keys() else arguments


def with_plan_file(arguments: list[str]) -> list[str]:
    """Let ``plan=FILE`` give the file of a plan, and ``plan=RUN`` that of a run folder."""
    plan = plain_settings(arguments).get("plan", "auto")
    path = Path(plan, "plan.yaml") if plan not in {"auto", "none"} and Path(plan).expanduser().is_dir() else Path(plan)
    if path.suffix not in {".yaml", ".yml"}:
        return arguments
    return [*(one for one in arguments if one != f"plan={plan}"), "plan=auto", f"plan.file={path}"]


def with_paths_as_text(arguments: list[str]) -> list[str]:
    """Quote paths that Hydra would read as numbers, such as ``data.root=2024_05``; what is quoted already stays as it is."""
    split = [argument.partition("=") for argument in arguments]
    return [key + separator + (_as_text(key, value) if separator and key in PATHS else value) for key, separator, value in split]


def _as_text(key: str, value: str) -> str:
    if set("'\"$") & set(value):
        return value
    parts = re.split(r"([\[\](),])", value)
    quoted = "".join(f"'{part.strip()}'" if _is_number(part) else part for part in parts)
    return value if quoted == value or isinstance(parsed(key, value).value(), str) else quoted


def _is_number(text: str) -> bool:
    """Tell whether Hydra reads a text as a number, true or false; it takes underscores between digits, as Python does."""
    if text.strip().lower() in {"true", "false"}:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
