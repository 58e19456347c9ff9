"""Which classes a saved configuration may name: data from elsewhere must not choose what code runs."""

import importlib
import re
from collections.abc import Iterator
from typing import Any

from im2im.nesting import leaves

CLASSES = (
    "im2im",
    "torch.nn",
    "torch.optim",
    "monai.networks",
    "monai.losses",
    "monai.transforms",
    "torchmetrics",
    "pytorch_lightning.callbacks",
    "pytorch_lightning.loggers",
)
EXCLUDED = ("monai.transforms.io",)  # call readers and writers by name
INTERPOLATION = re.compile(r"\$\{([^}:$]*)([:}$]|$)")
RESOLVERS = {"oc.select", "hydra", "swapped", "steps_of"}
SINGLE = ("pytorch_lightning.Trainer", "pytorch_lightning.trainer.trainer.Trainer")
FUNCTIONS = ("im2im.stages", "im2im.metrics")


def check_targets(config: Any, trust: bool = False) -> None:
    """Refuse a configuration that names anything outside im2im and the parts of torch, monai, torchmetrics and lightning it is made of.

    Args:
        config: Nested plain containers, as loaded from a run or checkpoint.
        trust: Allow everything.

    Raises:
        ValueError: Naming the key and the target.
    """
    for key, target in [] if trust else _named(config):
        if not _allowed(target):
            raise ValueError(
                f"the run's configuration would build {target!r} at {key}, which is not allowed; set trust=true if you trust its origin"
            )


def check_saved(config: Any, trust: bool = False) -> None:
    """Refuse a saved configuration that names foreign classes, or computes values by more than looking up other ones.

    Args:
        config: As composed, with its interpolations.
        trust: Allow everything.

    Raises:
        ValueError: Naming the key and the target or interpolation.
    """
    check_targets(config, trust)
    for key, value in [] if trust else leaves(config):
        if found := next((text for text in _texts(value) if _computes(text)), None):
            raise ValueError(f"the run's configuration computes {key} by {found!r}, which is not allowed; set trust=true if you trust it")


def _texts(value: Any) -> Iterator[str]:
    """Give the texts of a value and of everything in it."""
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(one)


def _computes(text: str) -> bool:
    """Tell whether a text does more than look up other values: by a foreign resolver, a computed name, or a dictionary of its own."""
    used = INTERPOLATION.findall(text)
    foreign = [name for name, end in used if end == "$" or (end == ":" and name.strip() not in RESOLVERS)]
    return bool(foreign or (used and re.search(r"(?<!\$)\{", text)))


def _named(config: Any, path: str = "config") -> Iterator[tuple[str, Any]]:
    """Give every target with the key under which it stands; keys may be dotted."""
    items = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in items:
        if str(key).rpartition(".")[2] == "_target_":
            yield path, value
        else:
            yield from _named(value, f"{path}.{key}")


def _allowed(target: Any) -> bool:
    """Judge by the object that the name leads to, not by the name."""
    if not isinstance(target, str) or not _within(target, (*CLASSES, *SINGLE)):
        return False
    found = _locate(target)
    origin = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    if isinstance(found, type):
        return _within(origin, (*CLASSES, *SINGLE)) and not _within(origin, EXCLUDED)
    return callable(found) and _within(origin, FUNCTIONS)


def _within(name: str, packages: tuple[str, ...]) -> bool:
    """Tell whether a dotted name lies in one of the packages."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _locate(target: str) -> Any:
    """Import the module of a dotted name and follow the rest; None where there is no such thing."""
    parts = target.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part, None)
        return found
    return None
