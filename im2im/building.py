"""Where a configuration becomes objects."""

from typing import Any

from omegaconf import OmegaConf


def build(node: Any, **settings: Any) -> Any:
    """Build the object that a node names, with everything in it; the node keeps its interpolations."""
    from hydra.utils import instantiate

    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node  # Hydra would fill in what it points to
    return instantiate(plain, _convert_="all", **settings)
