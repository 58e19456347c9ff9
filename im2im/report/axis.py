"""Axes of a plot: where values come to lie, and which of them are written."""

from __future__ import annotations

import math
from dataclasses import dataclass

LOG_FROM = 30
"""Positive values that span more than this factor get a logarithmic axis."""


@dataclass(frozen=True)
class Axis:
    """Values ``low`` to ``high`` laid out between two positions in pixels.

    Args:
        low: Value at ``start``.
        high: Value at ``end``.
        ticks: Values that are written.
        start: In pixels.
        end: In pixels.
        log: Logarithmic.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    start: float
    end: float
    log: bool = False

    @classmethod
    def around(cls, low: float, high: float, start: float, end: float, log: bool = False, count: int = 5) -> Axis:
        """An axis with round ticks that holds ``low`` to ``high``."""
        ticks = log_ticks(low, high) if log else linear_ticks(low, high, count)
        return cls(ticks[0], ticks[-1], ticks, start, end, log)

    @classmethod
    def of_epochs(cls, low: float, high: float, start: float, end: float, count: int = 6) -> Axis:
        """An axis from the first to the last epoch, written in whole numbers; a single epoch lies in the middle."""
        if low == high:
            return cls(low - 1, low + 1, (low,), start, end)
        return cls(low, high, whole_ticks(low, high, count), start, end)

    def __call__(self, value: float) -> float:
        """Position of a value in pixels."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def wants_log(values: list[float]) -> bool:
    """Whether the values are all positive and span more than :data:`LOG_FROM`."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > LOG_FROM


def linear_ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """About ``count`` multiples of 1, 2 or 5 times a power of ten around ``low`` to ``high``."""
    if high <= low:
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def whole_ticks(low: float, high: float, count: int = 6) -> tuple[float, ...]:
    """``low``, ``high`` and round whole numbers between them."""
    inside = [tick for tick in linear_ticks(low, high, count) if low < tick < high and tick == round(tick)]
    margin = 0.06 * (high - low)
    return (low, *(tick for tick in inside if tick - low > margin and high - tick > margin), high)


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """1, 2 and 5 times powers of ten around ``low`` to ``high``; of many of them the ends and the powers of ten between."""
    exponents = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    steps = [step * 10.0**exponent for exponent in exponents for step in (1, 2, 5)]
    first = max(index for index, step in enumerate(steps) if step <= low * 1.0001)
    last = min(index for index, step in enumerate(steps) if step >= high * 0.9999)
    if last - first < 8:
        return tuple(steps[first : last + 1])
    decades = [10.0**exponent for exponent in exponents if steps[first] < 10.0**exponent < steps[last]]
    between = decades[:: math.ceil(len(decades) / 6)]
    return (steps[first], *(tick for tick in between if steps[first] * 3 < tick < steps[last] / 3), steps[last])


def tick_label(value: float) -> str:
    """A tick as short as it can be written."""
    mantissa, _, exponent = f"{value:.6g}".partition("e")
    return (f"{mantissa}e{int(exponent)}" if exponent else mantissa).replace("-", "−")
