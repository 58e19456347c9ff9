"""Pictures of a run: source | target | prediction | error, under rules that can be read off the picture.

Target and prediction share one display range, taken from the target; the error is prediction minus target, between minus and plus
half of that range, so that errors of one image can be compared with those of another. Whole numbers are labels: drawn in colours, and
compared as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from im2im.files import replacing
from im2im.report.canvas import Strip, draw
from im2im.report.cells import are_labels, compare, compare_labels, cost_map_cell, result_cell, source_cell
from im2im.report.display import PixelSize, View

UNKNOWN: PixelSize = (None, None, None)


@dataclass(frozen=True)
class Row:
    """What :func:`preview` shows in one row: arrays C(Z)YX, of which target and cost map may be missing."""

    source: np.ndarray
    target: np.ndarray | None = None
    cost_map: np.ndarray | None = None
    title: str = ""


def panel(
    source: np.ndarray,
    target: np.ndarray | None,
    prediction: np.ndarray,
    *,
    title: str = "",
    pixel_size: PixelSize = UNKNOWN,
    objects: bool = False,
) -> np.ndarray:
    """Draw source | target | prediction | error, or source | prediction where there is no target.

    Args:
        source: C(Z)YX. Three channels are drawn as red, green and blue, each on its own range.
        target: C(Z)YX or ``None``. Whole numbers (and bool) in target and prediction are labels, everything else is intensity.
        prediction: As the target; of both the first channel is drawn.
        title: First line of the picture.
        pixel_size: ZYX in micrometre, for the scale bar and the proportions of the xz cut.
        objects: Labels are objects, whose numbers mean nothing; otherwise they are classes.

    Returns:
        The picture, uint8 YX3.

    Raises:
        ValueError: The images have different sizes, or are not C(Z)YX.
    """
    source, prediction = as_volume(source), as_volume(prediction)
    target = None if target is None else as_volume(target)
    sizes = [image.shape[1:] for image in (source, target, prediction) if image is not None]
    if len(set(sizes)) > 1:
        raise ValueError(f"Source, target and prediction must have one size ZYX, got {sizes}; hand panel() images of the same region")
    view = _view(prediction if target is None else target, pixel_size)
    cells = [source_cell(source, view)]
    if target is None:
        cells.append(result_cell("prediction", prediction, view))
    elif are_labels(target, prediction):
        cells += compare_labels(target, prediction, view, objects)
    else:
        cells += compare(target, prediction, view)
    return draw([Strip(title, view.caption(), tuple(cells))])


def preview(rows: Sequence[Row], pixel_size: PixelSize = UNKNOWN) -> np.ndarray:
    """Draw several pairs of source | target [| cost map] below each other, to be looked at before a day is spent.

    Args:
        rows: At least one pair. Source and target of unpaired data may differ in size.
        pixel_size: ZYX in micrometre.

    Returns:
        The picture, uint8 YX3.
    """
    if not rows:
        raise ValueError("There is no pair to preview, got 0; check data.root")
    return draw([_pair_strip(row, pixel_size) for row in rows])


def save_png(path: Path, image: np.ndarray) -> None:
    """Write a uint8 YX3 picture; whoever looks at the file meanwhile sees the old one or the new one, never half of it."""
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")


def as_volume(image: np.ndarray) -> np.ndarray:
    """CYX or CZYX as CZYX."""
    image = np.asarray(image)
    if image.ndim not in (3, 4) or image.size == 0:
        raise ValueError(f"An image to draw must be CYX or CZYX and not empty, got shape {image.shape}; take one sample out of its batch")
    return image[:, None] if image.ndim == 3 else image


def _view(image: np.ndarray, pixel_size: PixelSize) -> View:
    """Choose planes of CZYX: of intensities the busiest ones, of labels those where the most is labelled, whatever the numbers."""
    return View.of(image[0] > 0 if are_labels(image) else image[0], pixel_size)


def _pair_strip(row: Row, pixel_size: PixelSize) -> Strip:
    source = as_volume(row.source)
    target = source if row.target is None else as_volume(row.target)
    view = _view(target, pixel_size)
    if source.shape[1:] == target.shape[1:]:
        of_source, note = view, view.caption()
    else:
        of_source = View.of(source[0], pixel_size)
        note = f"source: {of_source.caption() or 'as it is'} | target: {view.caption() or 'as it is'}"
    cells = [source_cell(source, of_source)]
    if row.target is not None:
        cells.append(result_cell("target", target, view))
    if row.cost_map is not None:
        cells.append(cost_map_cell(as_volume(row.cost_map), view))
    return Strip(row.title, note, tuple(cells))
