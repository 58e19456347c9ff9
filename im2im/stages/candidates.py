"""What is still free once a network is trained: settings of the prediction, and which weights predict."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from im2im.checkpoint import State, load_weights, read
from im2im.frameworks.base import Framework

FLIPS: tuple[list[list[int]], ...] = ([[-1], [-2], [-2, -1]], [])  # as inference=flips has them, and none
PROBABILITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SEEDS = {"seed_threshold": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), "foreground": (0.3, 0.4, 0.5, 0.6, 0.7)}
NOT_AVERAGED = "current_model_state"  # the key of a checkpoint beside averaged weights of those that they are the average of


@dataclass(frozen=True)
class Setting:
    """A setting that can change after training.

    Args:
        key: Of the configuration.
        part: Attribute of the framework, a dataclass.
        name: Field of that dataclass.
        values: That are tried.
    """

    key: str
    part: str
    name: str
    values: Sequence[Any]

    def of(self, framework: Framework) -> Any:
        """Give its value."""
        return getattr(getattr(framework, self.part), self.name)

    def put(self, framework: Framework, value: Any) -> None:
        """Change its value."""
        setattr(framework, self.part, dataclasses.replace(getattr(framework, self.part), **{self.name: value}))


def decoding_settings(framework: Framework) -> list[Setting]:
    """List the settings that turn an activated output into classes or objects; the output itself does not depend on them."""
    found = []
    if _has(framework, "task", "threshold") and len(getattr(framework.task, "classes", ())) == 2:
        found.append(Setting("task.threshold", "task", "threshold", PROBABILITIES))
    for name, values in SEEDS.items():
        if _has(framework, "clustering", name):
            found.append(Setting(f"framework.clustering.{name}", "clustering", name, values))
    if _has(framework, "clustering", "min_size"):
        clustering: Any = framework.clustering
        size = clustering.min_size
        sizes = sorted({int(size * factor) for factor in (0, 0.25, 0.5, 2, 4)} - {size})
        found.append(Setting("framework.clustering.min_size", "clustering", "min_size", sizes))
    return found


def view_settings(framework: Framework) -> list[Setting]:
    """List the setting of mirrored views, where the inference has one."""
    return [Setting("inference.views", "inference", "views", FLIPS)] if _has(framework, "inference", "views") else []


def _has(framework: Framework, part: str, name: str) -> bool:
    owner = getattr(framework, part, None)
    return dataclasses.is_dataclass(owner) and hasattr(owner, name)


@dataclass(frozen=True)
class Weights:
    """Weights of a checkpoint that could predict.

    Args:
        name: "best" or "last"; followed by ", not averaged" for those that a running mean was taken of.
        path: The checkpoint.
        key: Of the checkpoint, which holds them.
    """

    name: str
    path: Path
    key: str = "state_dict"

    def content(self) -> dict[str, Any]:
        """Read the checkpoint, with these weights as those that predict."""
        content = read(self.path)
        return {**content, "state_dict": content[self.key]}

    def load(self, framework: Framework) -> None:
        """Put them into the framework."""
        load_weights(framework, self.content(), self.path)


def weights_of(best: Path, last: Path) -> list[Weights]:
    """List the weights that a run has: of the best and the last epoch, where these differ, with and without averaging.

    Args:
        best: The best checkpoint; its weights come first.
        last: The last one, which need not exist.
    """
    found: list[Weights] = []
    seen: list[State] = []
    for name, path in (("best", best), ("last", last)):
        if path.is_file():
            content = read(path)
            for suffix, key in (("", "state_dict"), (", not averaged", NOT_AVERAGED)):
                state = content.get(key)
                if state and not any(_equal(state, other) for other in seen):
                    seen.append(state)
                    found.append(Weights(name + suffix, path, key))
    return found


def _equal(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(value.equal(other[key]) for key, value in one.items())
