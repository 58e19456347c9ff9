"""The configuration of a finished or interrupted run, to start from again."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from im2im import checkpoint
from im2im.nesting import leaves
from im2im.targets import check_targets

FOLDER = "<output_dir>"


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


def take_edits(config: DictConfig, edited: Any) -> None:
    """Change the values of a composed configuration that differ in its resolved, edited copy."""
    known = dict(leaves(resolved(config)))
    for key, value in leaves(OmegaConf.to_container(edited)):
        if key not in {"output_dir", "run"} and (key not in known or known[key] != value):
            OmegaConf.update(config, key, value, force_add=True)
