"""On what it was measured."""

import datetime
import os
import platform
from importlib.metadata import version

PACKAGES = ("torch", "monai", "pytorch-lightning", "numpy", "numba", "scikit-image", "tifffile", "zarr")


def describe() -> dict[str, str]:
    """Give processor, cores, memory, system, versions and date in words."""
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory():.0f} GB of memory, one thread",
        "versions": ", ".join([f"Python {platform.python_version()}", *(f"{package} {version(package)}" for package in PACKAGES)]),
        "date": datetime.date.today().isoformat(),
    }


def _processor() -> str:
    """Name the processor, by family and model too, as virtual machines give no more than the maker's name."""
    with open("/proc/cpuinfo") as lines:
        told = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in told.items()}
    widest = next((name for name in ("avx512f", "avx2") if name in facts.get("flags", "")), "no avx2")
    return f"{facts.get('model name', platform.processor())} (family {facts.get('cpu family')}, model {facts.get('model')}, {widest})"


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
