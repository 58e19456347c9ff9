"""The metric of whole images by which choices are made."""

from collections.abc import Iterable, Mapping

from im2im.report.notation import better


def deciding_metric(quality: Mapping[str, str] | None, known: Iterable[str]) -> tuple[str, bool]:
    """Give the name of the metric that decides, and whether more of it is better.

    Args:
        quality: "monitor", such as "val/dice", and "mode", "max" or "min", as configured.
        known: Metrics of a whole image; the first one decides where quality names another figure, such as a loss, or is not given.
    """
    names = list(known)
    if quality and (name := quality["monitor"].removeprefix("val/")) in names:
        return name, quality["mode"] == "max"
    return names[0], better(names[0]) != "lower"
