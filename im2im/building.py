"""Where a configuration becomes objects."""

from typing import Any


def build(node: Any, **settings: Any) -> Any:
    """Build the object that a node names, with everything in it."""
    from hydra.utils import instantiate

    return instantiate(node, _convert_="all", **settings)
