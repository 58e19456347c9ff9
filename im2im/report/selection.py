"""The part of the page that says what was chosen after training, and what it gained."""

from __future__ import annotations

from typing import Any

from im2im.report.markup import block, section, table
from im2im.report.notation import MISSING, metric_label, number, setting_label
from im2im.report.record import Record


def selection(record: Record) -> str:
    """A table of all that was chosen on validation images; empty where nothing was."""
    found, label = record.selection, metric_label(str(record.selection.get("metric", "")))
    rows = [_row(one) for one in found.get("choices", [])]
    count = found.get("images", 0)
    note = f"By {label} of {count} whole validation image{'s' * (count != 1)}; a value that gains too little leaves the setting as it was."
    return section("Chosen after training", block("", table(["Setting", "Before", "Chosen", "Gain", "Scores"], rows), note))


def _row(choice: dict[str, Any]) -> list[str]:
    key = choice["key"]
    name, before = setting_label(key, choice["before"])
    gain = f"+{number(choice['gain'])}" if choice["chosen"] != choice["before"] else MISSING
    scores = [(setting_label(key, value)[1], MISSING if score is None else number(score)) for value, score in choice["tried"]]
    return [name, before, setting_label(key, choice["chosen"])[1], gain, ", ".join(f"{value}: {score}" for value, score in scores)]
