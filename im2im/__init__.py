"""Image-to-image transformation by deep learning for microscopy.

``im2im.load(run)`` gives a trained model to use on arrays and files; ``python -m im2im`` trains, evaluates and predicts.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from im2im.api import Model, load

try:
    __version__ = version("microscopy-im2im")
except PackageNotFoundError:  # a plain clone that was never installed
    __version__ = "0+unknown"

__all__ = ["Model", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import ``load`` and ``Model`` on first use, so that ``--help`` needs no torch."""
    if name in {"load", "Model"}:
        from im2im import api

        return getattr(api, name)
    raise AttributeError(f"module 'im2im' has no attribute {name!r}")
