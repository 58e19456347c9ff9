"""All that a run folder says about its run, read once; what is missing is empty, what cannot be read is named."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from im2im.report.history import UNREADABLE, History, read_history


@dataclass(frozen=True)
class Record:
    """What :func:`read_record` found.

    Args:
        run: The folder.
        metrics: ``metrics.json``.
        images: ``metrics.csv``, one row per image.
        splits: ``splits.csv``, one row per file.
        config: ``config.yaml``.
        config_text: The same, as it was written.
        choices: Which option of each configuration group was taken, from ``.hydra/hydra.yaml``.
        history: What was logged during the training.
        unreadable: Names of files that are there but could not be read.
        selection: ``selection.json``, what was chosen after training.
    """

    run: Path
    metrics: dict[str, Any]
    images: pd.DataFrame
    splits: pd.DataFrame
    config: dict[str, Any]
    config_text: str
    choices: dict[str, str]
    history: History
    unreadable: tuple[str, ...]
    selection: dict[str, Any] = field(default_factory=dict)

    def choice(self, group: str) -> str:
        """The option taken of a group: its name, else the class that it builds, else nothing."""
        node = self.config.get(group)
        if group in self.choices:
            return str(self.choices[group])
        if isinstance(node, dict):
            return str(node.get("_target_", "")).rpartition(".")[2]
        return str(node or "")

    def section(self, name: str) -> dict[str, Any]:
        """One section of the metrics, such as ``test`` or ``train``; empty where it is missing."""
        found = self.metrics.get(name)
        return found if isinstance(found, dict) else {}

    def started(self) -> str:
        """When the run started: by its folder ``<date>/<time>``, else by its configuration file, else empty."""
        match = re.search(r"(\d{4}-\d\d-\d\d)[/\\](\d\d)-(\d\d)-\d\d", str(self.run.absolute()))
        if match:
            return f"{match[1]} {match[2]}:{match[3]}"
        path = self.run / "config.yaml"
        return datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M") if path.is_file() else ""


def read_record(run: Path) -> Record:
    """Read a run folder, of which any file may be missing or broken."""
    broken: list[str] = []
    config, selection = _read_yaml(run / "config.yaml", broken), _read_json(run / "selection.json", broken)
    return Record(
        run=run,
        metrics=_read_json(run / "metrics.json", broken),
        images=_read_table(run / "metrics.csv", broken),
        splits=_read_table(run / "splits.csv", broken),
        config=config,
        config_text=_read_text(run / "config.yaml"),
        choices=_choices(_read_yaml(run / ".hydra" / "hydra.yaml", broken)),
        history=read_history(run),
        unreadable=tuple(broken),
        selection=selection,
    )


def _choices(hydra: dict[str, Any]) -> dict[str, Any]:
    for key in ("hydra", "runtime", "choices"):
        inner = hydra.get(key)
        hydra = inner if isinstance(inner, dict) else {}
    return hydra


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _read_yaml(path: Path, broken: list[str]) -> dict[str, Any]:
    try:
        content = yaml.safe_load(_read_text(path))
    except yaml.YAMLError:
        broken.append(path.name)
        return {}
    return content if isinstance(content, dict) else {}


def _read_json(path: Path, broken: list[str]) -> dict[str, Any]:
    try:
        content = json.loads(_read_text(path) or "{}")
    except json.JSONDecodeError:
        broken.append(path.name)
        return {}
    return content if isinstance(content, dict) else {}


def _read_table(path: Path, broken: list[str]) -> pd.DataFrame:
    if not path.is_file() or path.stat().st_size == 0:
        return pd.DataFrame()
    try:
        return pd.read_csv(path, dtype={"image": str, "name": str}, keep_default_na=False, na_values=[""])
    except UNREADABLE:
        broken.append(path.name)
        return pd.DataFrame()
