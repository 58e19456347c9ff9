"""Nested dictionaries by dotted keys."""

from collections.abc import Iterator
from typing import Any


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give every value that is no dictionary, with its dotted key."""
    if not isinstance(node, dict) or not node:
        yield path, node
        return
    for key, value in node.items():
        yield from leaves(value, f"{path}.{key}" if path else str(key))
