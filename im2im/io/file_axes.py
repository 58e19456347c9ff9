"""What the axes of a file's array are: as given, as the file says, or by a rule where it says nothing."""

from pathlib import Path

from im2im.axes import AXES, parse


def file_axes(path: Path, shape: tuple[int, ...], found: str, given: str | None) -> str:
    """Axes (a subset of TCZYX) for an array of ``shape``.

    Axes that are given win. A file with one axis less than given has no channel axis, as a mask beside an image of
    several channels. Without given axes the file's own letters are taken; where they say nothing about one leading
    axis (tifffile calls it Q or I), that axis is Z. Everything else has to be given.

    Args:
        path: Named in errors.
        shape: Of the array.
        found: One letter per axis, as the file's metadata have them; S are RGB samples.
        given: ``data.axes``.

    Raises:
        ValueError: ``given`` does not fit the shape, or nothing is given and the file does not say enough.
    """
    if given is not None:
        return _given_axes(path, shape, parse(given))
    axes = found.upper().replace("S", "C")
    unknown = [letter for letter in axes if letter not in AXES]
    if unknown == [axes[0]] and axes[1:] in ("YX", "YXC", "CYX") and shape[axes.index("X")] > 4:
        axes = "Z" + axes[1:]
    if set(axes) - set(AXES) or len(set(axes)) < len(axes) or not set("YX") <= set(axes):
        raise ValueError(
            f"{path} does not say what its axes are, got shape {shape} with axes {found}; set data.axes, for example data.axes=ZYX"
        )
    return axes


def _given_axes(path: Path, shape: tuple[int, ...], given: str) -> str:
    if len(given) == len(shape) + 1 and "C" in given:
        given = given.replace("C", "")
    if len(given) != len(shape):
        raise ValueError(f"data.axes={given} names {len(given)} axes, but {path} has shape {shape}; correct data.axes, or leave it out")
    return given
