"""How much memory there is to work in."""

import re
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

MEMINFO = Path("/proc/meminfo")
STATM = Path("/proc/self/statm")
CONTROL_GROUP, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
SAID_WITHOUT_MEMORY = ("can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")
UNKNOWN = 4 << 30  # bytes that are assumed where the system does not say
ASKED = re.compile(r"allocate ([\d.]+ ?\w+)")  # in what torch and NumPy say
GIGABYTE = 2**30


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
    """Tell what the control group of this process leaves, and those above it; files that the system keeps in memory can be given up."""
    left = [free for root, names in _groups() for folder in (root, *root.parents) if (free := _left_in(folder, *names)) is not None]
    return min(left, default=None)


def _groups() -> list[tuple[Path, tuple[str, str, str]]]:
    """Give the folders of the groups that this process is in, and what they call limit, use and files, of version 2 or 1."""
    lines = [line.split(":", 2) for line in OWN_GROUPS.read_text().splitlines()] if OWN_GROUPS.is_file() else [["0", "", "/"]]
    found = []
    for _, controllers, path in lines:
        if not controllers:
            found.append((CONTROL_GROUP / path.strip("/"), ("memory.max", "memory.current", "inactive_file")))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            found.append((CONTROL_GROUP / "memory" / path.strip("/"), names))
    return found


def _left_in(folder: Path, limit: str, used: str, files: str) -> int | None:
    if not (folder / limit).is_file() or (bound := (folder / limit).read_text().strip()) == "max":
        return None
    counted = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return int(bound) - int((folder / used).read_text()) + int(counted.get(files, 0))


def _left_of_address_space() -> int | None:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or not STATM.is_file():
        return None
    return limit - int(STATM.read_text().split()[0]) * resource.getpagesize()


@contextmanager
def explained(shape: Sequence[int], device: torch.device | str) -> Iterator[None]:
    """Say in one line what did not fit into memory inside, and which keys to lower.

    Args:
        shape: Of a batch, BC(Z)YX.
        device: That computes.

    Raises:
        ValueError: Instead of the errors that torch and NumPy raise.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        free = f"{free_memory(device) / GIGABYTE:.3g} GB are free on {torch.device(device)}"
        raise ValueError(
            f"out of memory with batches of {tuple(shape)} (batch_size={shape[0]}, patch_size={list(shape[2:])}){_asked(error)}, {free}; "
            "lower batch_size or patch_size"
        ) from error


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that there is no more memory, on whatever device."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(said in str(error) for said in SAID_WITHOUT_MEMORY)


def _asked(error: BaseException) -> str:
    """Say how much was asked for at last, where the error tells."""
    if (found := ASKED.search(str(error))) is None:
        return ""
    number, unit = re.fullmatch(r"([\d.]+) ?(\w+)", found.group(1)).groups()  # type: ignore[union-attr]
    return f": {int(number) / GIGABYTE:.3g} GB more were asked for" if unit == "bytes" else f": {number} {unit} more were asked for"
