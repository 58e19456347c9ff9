"""What is known of images from earlier runs: their statistics, and where their foreground is."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from im2im.data.side import Side
from im2im.io.formats import OF_SEVERAL_FILES, kind
from im2im.io.image import Image, SlicedArray
from im2im.io.store import Store
from im2im.normalization import Affine, Fitted, StainTransform

FITTED: dict[str, type[Any]] = {kind.__name__: kind for kind in (Affine, StainTransform)}
EVERY = 0.5  # seconds between writes; as much is lost when a process is killed


def known_scale(store: Store, side: Side, image: Image, time: int, cost_map: Image | None, fit: Callable[[], Fitted]) -> Fitted:
    """Give the normalization of one time point of an image, fitted now unless that was done before.

    Args:
        store: Knows what was fitted before.
        side: Says by what.
        image: Of the side.
        time: Index of the time point.
        cost_map: Of the image.
        fit: Does it.
    """
    found: list[Fitted] = []

    def find() -> dict[str, Any] | None:
        found.append(fit())
        name = type(found[0]).__name__
        return {"kind": name, **asdict(found[0])} if FITTED.get(name) is type(found[0]) else None  # type: ignore[call-overload]

    fact = known(
        store, f"{side.normalization} in {side.spatial_dims}D, labels: {side.labels}, by {side.reader}", image, time, cost_map, find
    )
    return found[0] if found else _fitted(**fact)


def known(store: Store, what: str, image: Image, time: int, cost_map: Image | None, find: Callable[[], Any]) -> Any:
    """Give what is known of one time point of an image and its cost map, see :meth:`im2im.io.store.Store.remember`."""
    images = [image] if cost_map is None else [image, cost_map]
    views = " without ".join(f"{one.axes} {one.shape} {one.dtype} scene {one.scene} part {one.part}" for one in images)
    files = [file for one in images for file in (one.path, *one.others)]
    if any(kind(file.name) in OF_SEVERAL_FILES for file in files) or any(_made_up(one) for one in images):
        return find()
    fact = store.remember(files, f"{what}: {views}, time {time}", find)
    store.write(EVERY)
    return fact


def _made_up(image: Image) -> bool:
    """Tell whether an image was never in a file, whatever its path says."""
    return isinstance(image.load, SlicedArray) and isinstance(image.load.array, np.ndarray)


def _fitted(kind: str, **values: Any) -> Fitted:
    """Make what was written down; lists are tuples again."""
    return FITTED[kind](**{name: _tuples(value) for name, value in values.items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
