"""The part of the page that says where the run comes from: configuration, data, and the machine and packages."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from im2im.report.markup import facts, folded, section
from im2im.report.notation import duration
from im2im.report.record import Record

PACKAGES = {"im2im": "microscopy-im2im", "torch": "torch", "lightning": "pytorch-lightning", "monai": "monai", "numpy": "numpy"}
GROUPS = ("task", "network", "framework", "normalization", "augmentation", "data")
KEYS = (
    "spatial_dims",
    "in_channels",
    "out_channels",
    "patch_size",
    "batch_size",
    "max_epochs",
    "max_time",
    "learning_rate",
    "seed",
    "init",
)
STAGES = ("train", "val", "test")


def configuration(record: Record) -> str:
    """The main choices, and the whole configuration folded away."""
    choices = {group: record.choice(group) for group in GROUPS}
    settings = {key.replace("_", " "): _plain(record.config.get(key)) for key in KEYS}
    return section("Configuration", facts(choices | settings), folded("config.yaml, complete", record.config_text))


def data(record: Record) -> str:
    """How many files served which stage, and which part of one that was divided."""
    column = next((name for name in ("stage", "split") if name in record.splits), None)
    if column is None:
        return ""
    counts = {str(stage): int(count) for stage, count in record.splits[column].value_counts().items()}
    stages = [stage for stage in STAGES if stage in counts] + sorted(set(counts) - set(STAGES))
    said = {stage: f"{counts[stage]} {'file' if counts[stage] == 1 else 'files'}" for stage in stages}
    if "part" in record.splits:
        parts = record.splits.dropna(subset="part").groupby(column)["part"].first()
        said |= {str(stage): f"{said[str(stage)]}: {part}" for stage, part in parts.items()}
    return section("Data", facts(said))


def environment(record: Record) -> str:
    """Versions, machine, seed and duration; the versions are those of the installation that writes the page."""
    train = record.section("train")
    seconds = train.get("seconds")
    found = {name: _version(package) for name, package in PACKAGES.items()}
    machine = {
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "CPU": f"{_processor()} · {_cores()}".strip(" ·"),
        "GPU": _graphics(),
        "device": _plain(train.get("device")),
        "seed": _plain(record.config.get("seed")),
        "epochs": _plain(train.get("epochs")),
        "training time": duration(float(seconds)) if isinstance(seconds, int | float) else "",
    }
    return section("Environment", facts(found | machine))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " × ".join(str(part) for part in value)
    return "" if value is None else str(value)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor(path: Path = Path("/proc/cpuinfo")) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _cores() -> str:
    threads = os.environ.get("OMP_NUM_THREADS")
    return f"{os.cpu_count()} cores" + (f", {threads} thread{'s' if threads != '1' else ''} per process" if threads else "")


def _graphics(folder: Path = Path("/proc/driver/nvidia/gpus")) -> str:
    """Names of the NVIDIA GPUs as their driver gives them on Linux: no library is needed for that."""
    files = sorted(folder.glob("*/information")) if folder.is_dir() else []
    lines = [line for path in files for line in path.read_text(errors="replace").splitlines() if line.startswith("Model:")]
    return ", ".join(line.partition(":")[2].strip() for line in lines)
