"""The configuration of a finished or interrupted run, to start from again."""

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from im2im import checkpoint
from im2im.targets import check_targets


def saved_configuration(run: str, trust: bool = False) -> DictConfig:
    """Give the configuration of a run as it was composed, with what its config.yaml has been edited to.

    A checkpoint holds the configuration with its interpolations, so that ``batch_size=4`` still reaches everything that follows it.

    Args:
        run: A run folder or a .ckpt file.
        trust: Allow it to name any class.

    Raises:
        ValueError: If there is no checkpoint, or the configuration names a class that is not allowed.
    """
    path = checkpoint.find(run)
    config = OmegaConf.create(checkpoint.read(path)["im2im"]["config"])
    if folder := checkpoint.folder_of(path):
        take_edits(config, OmegaConf.load(folder / "config.yaml"))
    check_targets(OmegaConf.to_container(config), trust)
    return config


def take_edits(config: DictConfig, edited: Any) -> None:
    """Change the values of a composed configuration that differ in its resolved, edited copy."""
    resolved = OmegaConf.merge(config, {"output_dir": None})
    known = dict(leaves(OmegaConf.to_container(resolved, resolve=True)))
    for key, value in leaves(OmegaConf.to_container(edited)):
        if key not in {"output_dir", "run"} and (key not in known or known[key] != value):
            OmegaConf.update(config, key, value, force_add=True)


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give every value that is no dictionary, with its dotted key."""
    if not isinstance(node, dict) or not node:
        yield path, node
        return
    for key, value in node.items():
        yield from leaves(value, f"{path}.{key}" if path else str(key))
