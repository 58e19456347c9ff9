"""Runs and checkpoints on disk: find them, read them safely, put their weights into a network."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor, nn

State: TypeAlias = "dict[str, Tensor]"


def find(run: str | Path, which: str = "best", key: str = "run") -> Path:
    """Give the checkpoint of a run; without torch, so that a missing one is told at once.

    Args:
        run: A run folder or a .ckpt file.
        which: "best", what predicts: the one that a selection after the training has written (chosen.ckpt), else that of the best epoch;
            or "last", to go on from. The other one where a run folder lacks it.
        key: The setting that names the run, for the message.

    Raises:
        ValueError: If there is no checkpoint.
    """
    path = Path(run).expanduser()
    if path.is_file():
        return path
    if not path.exists():
        raise ValueError(f"there is nothing at {key}={run}; give a run folder or a .ckpt file")
    for name in ("chosen", "best", "last") if which == "best" else ("last", "best", "chosen"):
        if (found := path / "checkpoints" / f"{name}.ckpt").is_file():
            return found
    raise ValueError(f"{path} holds no checkpoints/best.ckpt; give {key}= a run folder made by mode=train, or a .ckpt file")


def folder_of(checkpoint: Path) -> Path | None:
    """Give the run folder that a checkpoint lies in, or None where it was moved out of it."""
    folder = checkpoint.resolve().parent.parent
    return folder if checkpoint.parent.name == "checkpoints" and (folder / "config.yaml").is_file() else None


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint of this package without running any code that it may hold.

    Raises:
        ValueError: If the file is no checkpoint, or one of something else.
    """
    import torch

    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} cannot be read as a checkpoint ({_first_line(error)}); give run= or init= a .ckpt made by im2im"
        ) from error
    record = checkpoint.get("im2im") if isinstance(checkpoint, dict) else None
    if not isinstance(record, dict) or not {"config", "target_scale"} <= record.keys() or "state_dict" not in checkpoint:
        raise ValueError(f"{path} is a checkpoint of something else; give run= or init= a .ckpt made by im2im")
    return checkpoint


def load_weights(framework: nn.Module, checkpoint: dict[str, Any], path: Path) -> None:
    """Put all weights of a checkpoint into the framework that it was made by.

    Raises:
        ValueError: If any weight is missing, left over or of another shape.
    """
    if problem := misfit(framework.state_dict(), checkpoint["state_dict"]):
        raise ValueError(f"the weights of {path} do not fit: {problem}; leave network and framework as the run has them")
    framework.load_state_dict(checkpoint["state_dict"], strict=True)


def initialize(framework: nn.Module, checkpoint: dict[str, Any], path: Path) -> str:
    """Start from the trained parts of another run, each of them wholly or not at all.

    A part is a direct child: the network, a discriminator. What the other run lacks starts fresh, what only it has stays unused.

    Returns:
        One line that says which part did what.

    Raises:
        ValueError: If the network, or another part that both have, differs.
    """
    parts, said = dict(framework.named_children()), []
    states = {name: _part(checkpoint["state_dict"], name) for name in parts}
    if not states.get("network"):
        raise ValueError(f"{path} holds no network; give init= a run folder or .ckpt of im2im")
    for name, part in parts.items():
        if not part.state_dict():
            continue
        if not states[name]:
            said.append(f"{name} starts fresh")
            continue
        if problem := misfit(part.state_dict(), states[name]):
            raise ValueError(f"init={path} does not fit the {name}: {problem}; choose the same {name} settings as that run")
        part.load_state_dict(states[name], strict=True)
        said.append(f"{name}: all {len(states[name])} tensors taken")
    unused = {key.split(".")[0] for key in checkpoint["state_dict"]} - set(parts)
    said += [f"{name} of {path.name} unused" for name in sorted(unused)]
    return f"init={path}: {', '.join(said)}"


def misfit(wanted: State, offered: State) -> str:
    """Say in short how two sets of weights differ; empty where they fit."""
    missing, surplus = sorted(wanted.keys() - offered.keys()), sorted(offered.keys() - wanted.keys())
    reshaped = [key for key in wanted.keys() & offered.keys() if wanted[key].shape != offered[key].shape]
    told = []
    for what, keys in (("missing", missing), ("left over", surplus), ("of another shape", sorted(reshaped))):
        if keys:
            told.append(f"{len(keys)} {what} (first: {keys[0]})")
    return ", ".join(told)


def _part(state: State, name: str) -> State:
    """Take the weights of one child out of a framework's."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}


def _first_line(error: BaseException) -> str:
    """Give the first line of a message."""
    return str(error).strip().split("\n")[0][:120]
