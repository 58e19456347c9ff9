"""One picture each of a source, a target, a prediction and an error, with the caption that says how it is drawn."""

from __future__ import annotations

import numpy as np

from im2im.report import colours
from im2im.report.canvas import Cell
from im2im.report.display import View, display_range
from im2im.report.labels import compare_classes, compare_objects
from im2im.report.notation import number, number_range


def source_cell(source: np.ndarray, view: View) -> Cell:
    """The source CZYX on its own range, three channels as red, green and blue, with the scale bar."""
    if source.shape[0] == 3:
        ranges = [display_range(channel) for channel in source]
        planes = view.planes(np.moveaxis(source, 0, -1))
        cell = Cell("source", ("RGB, each channel 0.1–99.9 %",), tuple(colours.rgb(plane, ranges) for plane in planes))
    else:
        cell = grey_cell("source", source, view, display_range(source[0]))
    return Cell(cell.name, cell.detail, (_with_scale_bar(cell.pictures[0], view.scale_bar_pixels()), *cell.pictures[1:]))


def result_cell(name: str, image: np.ndarray, view: View) -> Cell:
    """A target or a prediction CZYX by itself: labels in colours, all else on its own range."""
    return label_cell(name, image, view) if are_labels(image) else grey_cell(name, image, view, display_range(image[0]))


def cost_map_cell(cost_map: np.ndarray, view: View) -> Cell:
    """The cost map CZYX, black where a pixel is excluded, and how many are."""
    excluded = 100 * np.mean(cost_map[0] <= 0)
    limits = (0.0, max(1.0, float(np.max(cost_map[0], initial=0, where=np.isfinite(cost_map[0])))))
    return grey_cell("cost map", cost_map, view, limits, f" · {excluded:.0f} % excluded (black)")


def grey_cell(name: str, image: np.ndarray, view: View, limits: tuple[float, float], remark: str = "") -> Cell:
    """The first channel of an image CZYX as grey between two limits."""
    caption = number_range(*limits) + remark + _constant(image[0]) + _channel(image) + _not_finite(image[0])
    return Cell(name, (caption,), tuple(colours.grey(plane, *limits) for plane in view.planes(image[0])))


def label_cell(name: str, image: np.ndarray, view: View) -> Cell:
    """The first channel of labels CZYX, one colour for each."""
    ids = np.unique(image[0])
    caption = f"{np.count_nonzero(ids)} label{'' if np.count_nonzero(ids) == 1 else 's'} on background{_channel(image)}"
    return Cell(name, (caption,), tuple(colours.labels(plane) for plane in view.planes(image[0], mean=False)))


def compare(target: np.ndarray, prediction: np.ndarray, view: View) -> list[Cell]:
    """Target, prediction (both on the range of the target) and error of intensities CZYX."""
    limits = display_range(target[0])
    limit = error_limit(limits)
    error = np.subtract(prediction[0], target[0], dtype=np.float32)
    bar = colours.diverging(np.linspace(-limit, limit, 65)[None], limit)
    detail = (number(-limit), bar, number(limit) + _beyond(error, limit) + _not_finite(error))
    return [
        grey_cell("target", target, view, limits, " (0.1–99.9 %)"),
        grey_cell("prediction", prediction, view, limits, ", as target"),
        Cell("error = prediction − target", detail, tuple(colours.diverging(plane, limit) for plane in view.planes(error))),
    ]


def compare_labels(target: np.ndarray, prediction: np.ndarray, view: View, objects: bool) -> list[Cell]:
    """Target, prediction and difference of labels CZYX, which are classes or objects."""
    shown, codes = (compare_objects if objects else compare_classes)(target[0], prediction[0])
    detail: list[str | np.ndarray] = []
    for key, name in (("missed", "missed"), ("extra", "extra"), ("other", "other object" if objects else "other class")):
        detail += [np.array([[colours.AGREEMENT[key]]], np.uint8), name]
    pictures = tuple(colours.agreement(plane) for plane in view.planes(codes, mean=False))
    return [
        label_cell("target", target, view),
        label_cell("prediction", np.concatenate([shown[None], prediction[1:]]), view),
        Cell("difference", tuple(detail), pictures),
    ]


def error_limit(limits: tuple[float, float]) -> float:
    """Half of the display range: where the colours of the error end."""
    return (limits[1] - limits[0]) / 2


def are_labels(*images: np.ndarray) -> bool:
    """Whether all images hold whole numbers (or bool), which stand for classes or objects."""
    return all(image.dtype.kind in "biu" for image in images)


def _channel(image: np.ndarray) -> str:
    return f" · channel 1 of {image.shape[0]}" if image.shape[0] > 1 else ""


def _constant(values: np.ndarray) -> str:
    finite = values[np.isfinite(values)]
    return f" · constant {number(float(finite[0]))}" if finite.size and finite.min() == finite.max() else ""


def _beyond(error: np.ndarray, limit: float) -> str:
    """How much of the error the ends of the colours hide."""
    percent = 100 * np.mean(np.abs(np.nan_to_num(error)) > limit)
    return f" · {number(percent, 1)} % beyond" if percent >= 0.1 else ""


def _not_finite(values: np.ndarray) -> str:
    count = int(np.size(values) - np.count_nonzero(np.isfinite(values)))
    share = 100 * count / np.size(values)
    return f" · {f'{share:.0f} %' if share >= 1 else count} not finite (orange)" if count else ""


def _with_scale_bar(picture: np.ndarray, length: int) -> np.ndarray:
    """White with a black rim in the lower right corner, so that it shows on any image."""
    height, width = picture.shape[:2]
    if length == 0 or length + 20 > width or height < 32:
        return picture
    picture = picture.copy()
    picture[height - 15 : height - 8, width - length - 11 : width - 9] = 0
    picture[height - 14 : height - 9, width - length - 10 : width - 10] = 255
    return picture
