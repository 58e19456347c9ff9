"""How numbers and metric names are written, the same way in pictures, on the page and in the terminal."""

from __future__ import annotations

import math

LABELS = {
    "pearson": "Pearson r",
    "ssim": "SSIM",
    "psnr": "PSNR (dB)",
    "nrmse": "NRMSE",
    "ri_ssim": "SSIM, range-invariant",
    "ri_psnr": "PSNR (dB), range-invariant",
    "ri_nrmse": "NRMSE, range-invariant",
    "dice": "Dice",
    "iou": "IoU",
    "f1": "F1",
    "ap_50": "AP at IoU 0.5",
    "ap_75": "AP at IoU 0.75",
    "map": "mean AP, IoU 0.5–0.95",
    "f1_50": "F1 at IoU 0.5",
    "pq": "Panoptic quality",
    "aji": "Aggregated Jaccard",
    "mean_iou": "mean IoU",
}
BASELINES = {
    "identity": "identity",
    "gaussian": "Gaussian filter",
    "linear_filter": "linear filter",
    "otsu": "Otsu",
    "histogram": "intensity histogram",
    "otsu_components": "Otsu and components",
}
LOWER_IS_BETTER = {"nrmse", "ri_nrmse", "mse", "mae", "loss"}
MISSING = "–"


def metric_label(name: str) -> str:
    """The name of a metric for people: ``dice/gland`` becomes ``Dice, gland``; an unknown name stays as it is."""
    metric, _, of = name.partition("/")
    label = LABELS.get(metric, metric)
    return f"{label}, {of}" if of else label


def baseline_label(name: str) -> str:
    """The name of a baseline for people; an unknown name stays as it is."""
    return BASELINES.get(name, name)


def setting_label(key: str, value: object) -> tuple[str, str]:
    """The name and the value of a setting for people, such as ``mirrored views`` and ``on``; other keys stay as they are."""
    if key == "inference.views":
        return "mirrored views", "on" if value else "off"
    return key, str(value)


def better(name: str) -> str:
    """Which way a metric improves, ``higher`` or ``lower``; empty for a name that is not known."""
    metric = name.partition("/")[0]
    if metric in LOWER_IS_BETTER:
        return "lower"
    return "higher" if metric in LABELS else ""


def number(value: float, digits: int = 3) -> str:
    """A number with ``digits`` significant digits and a true minus sign; what is not finite is a dash."""
    if not math.isfinite(value):
        return MISSING
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        text = f"{value:.{decimals(value, digits)}f}"
    else:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


def amount(count: int, noun: str) -> str:
    """A count with its noun: ``1 epoch``, ``20 epochs``, ``4,000 steps``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def number_range(low: float, high: float) -> str:
    """Two numbers with the decimals of the larger one, as ``0.085 to 0.978``."""
    largest = max(abs(low), abs(high))
    if not 1e-3 <= largest < 1e5:
        return f"{number(low)} to {number(high)}"
    places = decimals(largest)
    return " to ".join(f"{value:.{places}f}" if value else "0" for value in (low, high)).replace("-", "−")


def decimals(value: float, digits: int = 3) -> int:
    """How many decimals show ``digits`` significant digits of a value."""
    if value == 0 or not math.isfinite(value):
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))


def spread(mean: float, deviation: float) -> str:
    """The standard deviation written with the decimals of its mean, so that the two can be read together."""
    if not (math.isfinite(mean) and math.isfinite(deviation)):
        return MISSING
    places = decimals(mean) if 1e-3 <= abs(mean) < 1e5 else -1
    return number(deviation) if places < 0 else f"{deviation:.{places}f}"


def duration(seconds: float) -> str:
    """Seconds as ``42 s``, ``3 min 20 s`` or ``5 h 02 min``."""
    if not math.isfinite(seconds):
        return MISSING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def clock(seconds: float) -> str:
    """Seconds as ``0:03:20``, hours first; days are hours."""
    whole = max(round(seconds), 0)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def days(seconds: float) -> str:
    """Seconds as ``00:00:03:20``, days first, as ``max_time`` is written; at least one second."""
    whole = max(int(seconds), 1)
    return f"{whole // 86400:02d}:{whole // 3600 % 24:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def seconds_of(text: str) -> float:
    """Read DD:HH:MM:SS.

    Raises:
        ValueError: If it is written otherwise.
    """
    parts = str(text).split(":")
    if len(parts) != 4 or not all(part.isdigit() for part in parts):
        raise ValueError(f"max_time is written DD:HH:MM:SS, got {text}; 00:00:10:00 is ten minutes")
    days, hours, minutes, seconds = map(int, parts)
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
