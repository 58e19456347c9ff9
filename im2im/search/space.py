"""What is searched: dimensions as Hydra writes sweeps, or named choices of several settings; kept in a YAML that can be edited."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from im2im.files import replacing

HEAD = """# What this search chooses from. Edit it and search again with search.space=THIS_FILE. A dimension is a sweep as on the
# command line, learning_rate: tag(log, interval(1e-4, 1e-2)), or choices by name, each a list of settings.
"""


LENGTHS = ("max_epochs", "max_time")


@dataclass(frozen=True)
class Dimension:
    """One thing that differs between trials.

    Args:
        name: A key of the configuration, or any name where choices are named.
        distribution: What Optuna draws from.
        choices: By name, the settings that each choice makes.
    """

    name: str
    distribution: BaseDistribution
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def keys(self) -> set[str]:
        """The keys of the configuration that it changes."""
        settings = [setting for listed in self.choices.values() for setting in listed] if self.choices else [self.name]
        return {setting.partition("=")[0].lstrip("+~") for setting in settings}

    def overrides(self, value: Any) -> list[str]:
        """Give the settings of a drawn value."""
        return list(self.choices[value]) if self.choices else [f"{self.name}={value}"]


def dimension(name: str, values: str | Mapping[str, Sequence[str]]) -> Dimension:
    """Read one dimension.

    Args:
        name: A key of the configuration, or any name where choices are named.
        values: A sweep such as ``choice(fnet,unet)``, ``range(1,5)``, ``int(interval(2,8))`` or ``tag(log, interval(1e-5,1e-2))``, or
            settings by name.

    Raises:
        ValueError: If it is neither, or leaves no choice.
    """
    if isinstance(values, Mapping):
        if not all(isinstance(settings, Sequence) and not isinstance(settings, str) for settings in values.values()) or not values:
            raise ValueError(f"choices are lists of settings by name, got {name}: {values}; write {{large: [network.channels=64]}}")
        return Dimension(
            name,
            CategoricalDistribution(tuple(map(str, values))),
            {str(key): [str(one) for one in listed] for key, listed in values.items()},
        )
    try:
        override = OverridesParser.create().parse_override(f"{name}={values}")
    except HydraException as error:
        raise ValueError(
            f"{name}: {values} is no sweep; write choice(a,b), range(1,5) or interval(0.1,1), or a list of settings"
        ) from error
    if not override.is_sweep_override():
        raise ValueError(f"{name}: {values} leaves no choice; write choice(a,b), range(1,5) or interval(0.1,1)")
    return Dimension(name, _distribution(override))


def _distribution(override: Override) -> BaseDistribution:
    swept: Any = override.value()
    if isinstance(swept, IntervalSweep):
        whole = isinstance(swept.start, int) and isinstance(swept.end, int)
        return (IntDistribution if whole else FloatDistribution)(swept.start, swept.end, log="log" in swept.tags)  # type: ignore[arg-type]
    if isinstance(swept, RangeSweep) and swept.start is not None and swept.stop is not None and not swept.shuffle:
        last = swept.start + swept.step * math.floor((swept.stop - swept.start) / swept.step - 1e-9)  # a range leaves its end out
        kind = IntDistribution if all(isinstance(one, int) for one in (swept.start, swept.stop, swept.step)) else FloatDistribution
        low, high = sorted((swept.start, type(swept.start)(last)))
        return kind(low, high, step=abs(swept.step))  # type: ignore[arg-type]
    return CategoricalDistribution(tuple(override.sweep_string_iterator()))


def space_of(listed: Mapping[str, Any]) -> list[Dimension]:
    """Read all dimensions.

    Raises:
        ValueError: If one of them is how long a training lasts, which the search itself decides.
    """
    dimensions = [dimension(str(name), values) for name, values in listed.items()]
    if lengths := sorted(key for one in dimensions for key in one.keys if key in LENGTHS):
        raise ValueError(f"the search itself says how long each training lasts, got {lengths[0]} to choose from; give one {lengths[0]}")
    return dimensions


def given(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Tell settings from dimensions on a command line.

    Returns:
        Settings that all trials share, as they were given; dimensions by key.
    """
    parsed = OverridesParser.create().parse_overrides(list(arguments))
    swept = {one.get_key_element(): str(one.input_line).partition("=")[2] for one in parsed if one.is_sweep_override()}
    return [str(one.input_line) for one in parsed if not one.is_sweep_override()], swept


def write_space(path: Path, space: Mapping[str, Any], fingerprint: Mapping[str, Any]) -> None:
    """Write what is searched and what it was made from."""
    with replacing(path) as temporary:
        temporary.write_text(HEAD + OmegaConf.to_yaml(OmegaConf.create({"fingerprint": dict(fingerprint), "space": dict(space)})))


def read_space(path: Path) -> dict[str, Any]:
    """Read the dimensions that :func:`write_space` wrote or somebody edited.

    Raises:
        ValueError: If there is no such file, or nothing to search in it.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}; correct search.space, a file such as space.yaml of an earlier search")
    read: Any = OmegaConf.to_container(OmegaConf.load(path))
    if not isinstance(read, dict) or not isinstance(read.get("space"), dict) or not read["space"]:
        raise ValueError(f"{path} has no dimensions below space:; correct search.space")
    return read["space"]
