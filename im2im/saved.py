"""The configuration of a finished or interrupted run, to start from again."""

import json
from typing import Any

from omegaconf import DictConfig, OmegaConf

from im2im import checkpoint, resolvers  # noqa: F401
from im2im.nesting import leaves
from im2im.targets import check_saved

FOLDER = "<output_dir>"
MISSING = object()
OF_EACH_RUN = {"output_dir", "run"}


def saved_configuration(run: str, trust: bool = False) -> DictConfig:
    """Give the configuration of a run as it was composed, with what its config.yaml has been edited to.

    A checkpoint holds the configuration with its interpolations, so that ``batch_size=4`` still reaches everything that follows it.

    Args:
        run: A run folder or a .ckpt file.
        trust: Allow it to name any class.

    Raises:
        ValueError: If there is no checkpoint, or the configuration names a class that is not allowed.
    """
    path = checkpoint.find(run, "last")  # of the latest part of the training
    config = OmegaConf.create(checkpoint.read(path)["im2im"]["config"])
    config.setdefault("voxel_size", None)  # runs from before it existed
    if folder := checkpoint.folder_of(path):
        take_edits(config, OmegaConf.load(folder / "config.yaml"))
    check_saved(OmegaConf.to_container(config), trust)
    return config


def resolved(config: DictConfig) -> dict[str, Any]:
    """Fill in every interpolation but the output folder, which each run has of its own."""
    filled = OmegaConf.to_container(OmegaConf.merge(config, {"output_dir": FOLDER}), resolve=True)
    return {**_with_folder(filled), "output_dir": "${hydra:runtime.output_dir}"}


def _with_folder(node: Any) -> Any:
    """Put the interpolation back where the mark stands."""
    if isinstance(node, dict):
        return {key: _with_folder(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_folder(value) for value in node]
    return node.replace(FOLDER, "${output_dir}") if isinstance(node, str) else node


def undo_selection(config: DictConfig, run: str) -> None:
    """Put back what was set before a selection, so that a training goes on as it began; what was edited since then stays."""
    folder = checkpoint.folder_of(checkpoint.find(run))
    if folder and (path := folder / "selection.json").is_file():
        for choice in json.loads(path.read_text())["choices"]:
            for place in (choice["key"], f"framework.{choice['key']}"):
                if choice["chosen"] != choice["before"] and OmegaConf.select(config, place) == choice["chosen"]:
                    OmegaConf.update(config, place, choice["before"], merge=False)


def splits_of(run: str) -> str | None:
    """Give the splits.csv of a run, or None where its checkpoint was moved out of it."""
    folder = checkpoint.folder_of(checkpoint.find(run))
    return str(folder / "splits.csv") if folder and (folder / "splits.csv").is_file() else None


def take_edits(config: DictConfig, edited: Any) -> None:
    """Change the values of a composed configuration that differ in its resolved, edited copy.

    What others interpolate goes first, so that it still reaches them; what then differs was edited in its own place.
    """
    before = dict(leaves(resolved(config)))
    changed = [(key, value) for key, value in leaves(OmegaConf.to_container(edited)) if before.get(key, MISSING) != value]
    for linked in (False, True):
        now = dict(leaves(resolved(config)))
        for key, value in changed:
            if key not in OF_EACH_RUN and now.get(key, MISSING) != value and (_link(config, key) is not None) <= linked:
                _unlink(config, key)
                OmegaConf.update(config, key, value, force_add=True)


def _link(config: DictConfig, key: str) -> str | None:
    """Find the shortest part of a dotted key that is an interpolation."""
    node: Any = config
    parts = key.split(".")
    for length, part in enumerate(parts, start=1):
        if not isinstance(node, DictConfig) or part not in node:
            return None
        if OmegaConf.is_interpolation(node, part):
            return ".".join(parts[:length])
        node = node._get_node(part)
    return None


def _unlink(config: DictConfig, key: str) -> None:
    """Put copies in the place of interpolated parents of a key."""
    while (link := _link(config, key)) not in {None, key}:
        copy = OmegaConf.create(OmegaConf.to_container(OmegaConf.select(config, str(link))))
        OmegaConf.update(config, str(link), copy, merge=False)
