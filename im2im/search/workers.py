"""Which processes take part in a search, and whether they are still alive."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SILENT = 600.0  # seconds after which a worker on another machine is taken for dead
NAMELESS = 60.0  # seconds in which a worker says who it is
ENDED = {"Z", "X"}  # states of a process


def identity() -> dict[str, Any]:
    """Name this process so that it is known from every machine, and from processes of the same number before and after it."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "begun": _begun(os.getpid())}


def alive(worker: Mapping[str, Any], seen: float, now: float) -> bool:
    """Tell whether a worker is alive: on this machine by looking, on others by when it was last seen.

    Args:
        worker: Its :func:`identity`; empty before it had time to say who it is.
        seen: When it was last seen, in seconds.
        now: The time.
    """
    if worker.get("host") != socket.gethostname():
        return now - seen < (SILENT if worker else NAMELESS)
    return worker.get("begun") is not None and _begun(worker["pid"]) == worker["begun"]


def _begun(pid: int) -> str | None:
    """Give when a process began, in ticks since the machine did; None where there is none, or only what its parent did not clear away."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if facts[0] in ENDED else facts[19]
    except OSError:
        return _without_proc(pid)


def _without_proc(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return "unknown"
