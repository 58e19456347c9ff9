"""What a configuration can compute beside looking values up."""

import math
from collections.abc import Sequence

from omegaconf import Container, DictConfig, OmegaConf

CHANNELS = ("in_channels", "out_channels")


def swapped(key: str, *, _root_: Container) -> DictConfig:
    """Give a copy of a network's node for the way back: ``${swapped:network}`` has input and output channels exchanged.

    Raises:
        ValueError: If the node has no such settings.
    """
    node = OmegaConf.select(_root_, key)
    there, back = CHANNELS
    if there not in node or back not in node:
        raise ValueError(f"the way back needs a network with {there} and {back}, got {node.get('_target_')}; choose another network=")
    copy = DictConfig(OmegaConf.to_container(node))
    copy._set_parent(node._get_parent())
    copy[there], copy[back] = node[back], node[there]
    return copy


def steps_of(pixels: int, batch_size: int, patch_size: Sequence[int]) -> int:
    """Count the batches that have so many pixels together, at least one: ``${steps_of:13107200,${batch_size},${patch_size}}``."""
    return max(1, round(pixels / (batch_size * math.prod(patch_size))))


OmegaConf.register_new_resolver("swapped", swapped, replace=True)
OmegaConf.register_new_resolver("steps_of", steps_of, replace=True)
