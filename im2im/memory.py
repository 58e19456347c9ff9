"""How much memory there is to work in."""

import resource
from pathlib import Path

import torch

MEMINFO = Path("/proc/meminfo")
STATM = Path("/proc/self/statm")
CONTROL_GROUP = Path("/sys/fs/cgroup")
UNKNOWN = 4 << 30  # bytes that are assumed where the system does not say


def free_memory(device: torch.device | str = "cpu") -> int:
    """Tell how many bytes can still be taken on a device.

    On a CPU it is what the system calls available, or less where a container, a batch system or ``ulimit -v`` allows less; on a GPU what no
    process uses, and what this one holds without using it.
    """
    device = torch.device(device)
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return max(0, min([left for left in (_available(), _left_in_group(), _left_of_address_space()) if left is not None], default=UNKNOWN))


def _available() -> int | None:
    if not MEMINFO.is_file():
        return None
    lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
    return int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else None


def _left_in_group() -> int | None:
    """Tell what a control group (version 2) leaves; files that the system keeps in memory can be given up."""
    limit, used, statistics = (CONTROL_GROUP / f"memory.{name}" for name in ("max", "current", "stat"))
    if not limit.is_file() or limit.read_text().strip() == "max":
        return None
    counted = dict(line.split() for line in statistics.read_text().splitlines())
    return int(limit.read_text()) - int(used.read_text()) + int(counted.get("inactive_file", 0))


def _left_of_address_space() -> int | None:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or not STATM.is_file():
        return None
    return limit - int(STATM.read_text().split()[0]) * resource.getpagesize()
