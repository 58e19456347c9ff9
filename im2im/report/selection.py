"""The part of the page that says what was chosen after training, and what it gained."""

from __future__ import annotations

from typing import Any

from im2im.report.markup import block, section, table
from im2im.report.notation import MISSING, metric_label, number
from im2im.report.record import Record


def selection(record: Record) -> str:
    """A table of all that was chosen on validation images; empty where nothing was."""
    found, label = record.selection, metric_label(str(record.selection.get("metric", "")))
    rows = [[one["key"], _value(one["before"]), _value(one["chosen"]), _gain(one), _tried(one)] for one in found.get("choices", [])]
    count = found.get("images", 0)
    note = f"By {label} of {count} whole validation image{'s' * (count != 1)}; a value that gains too little leaves the setting as it was."
    return section("Chosen after training", block("", table(["Setting", "Before", "Chosen", "Gain", "Scores"], rows), note))


def _value(value: Any) -> str:
    return ("none" if value == [] else str(value)).replace("null", "none")


def _gain(choice: dict[str, Any]) -> str:
    return f"+{number(choice['gain'])}" if choice["chosen"] != choice["before"] else MISSING


def _tried(choice: dict[str, Any]) -> str:
    return ", ".join(f"{_value(value)}: {MISSING if score is None else number(score)}" for value, score in choice["tried"])
