"""What the machine can do well."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
CPU_FLAGS = Path("/proc/cpuinfo")
CPU_LIMIT, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
FEW_CORES, MOST_WORKERS = 2, 8


def choose_precision(wanted: str, accelerator: str, spatial_dims: int) -> str:
    """Choose the precision of a training.

    Mixed bfloat16 where the hardware multiplies it natively, else single precision.

    Args:
        wanted: "auto", or a precision of the trainer.
        accelerator: "auto", "cpu" or "gpu".
        spatial_dims: 2 or 3.

    Returns:
        A precision of the trainer, such as "32-true" or "bf16-mixed".

    Raises:
        ValueError: If the wanted precision is none of these.
    """
    if wanted not in PRECISIONS:
        raise ValueError(f"hardware.precision is one of {', '.join(PRECISIONS)}, got {wanted}; set hardware.precision=auto")
    return wanted if wanted != "auto" else _precision(accelerator, spatial_dims)[0]


def _precision(accelerator: str, spatial_dims: int) -> tuple[str, str]:
    """Give the best precision, and why."""
    if uses_gpu(accelerator):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("bf16-mixed", "this GPU multiplies bfloat16") if fast else ("32-true", "this GPU does not multiply bfloat16")
    if spatial_dims == 3:
        return "32-true", "3D on a CPU is wrong in bfloat16"
    return ("bf16-mixed", "this CPU multiplies bfloat16") if multiplies_bfloat16() else ("32-true", "this CPU does not multiply bfloat16")


def why(accelerator: str, precision: str, device: torch.device, spatial_dims: int) -> list[str]:
    """Say why device and precision are what they are, where they were left to be chosen.

    Args:
        accelerator: Of the configuration, "auto", "cpu" or "gpu".
        precision: Of the configuration, "auto" or one of the trainer.
        device: That was chosen.
        spatial_dims: 2 or 3.
    """
    names = {"cpu": "no GPU", "cuda": torch.cuda.get_device_name(device) if device.type == "cuda" else ""}
    chosen = [names.get(device.type, f"a GPU of kind {device.type}")] if accelerator == "auto" else []
    return chosen + ([_precision(accelerator, spatial_dims)[1]] if precision == "auto" else [])


def check_workers(workers: int | str) -> None:
    """Raise ValueError unless it is a number of processes, or left to be chosen."""
    if workers != "auto" and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 0):
        raise ValueError(f"hardware.workers is a number of processes or auto, got {workers}; set hardware.workers=auto")


def choose_workers(wanted: int | str, in_memory: bool, cores: int) -> tuple[int, str]:
    """Choose how many processes prepare patches, and say why.

    Cutting a patch out of an image in memory takes little: on few cores further processes only get into the way of the training.

    Args:
        wanted: A number, or "auto".
        in_memory: Whether the images are.
        cores: That this process may use.
    """
    if wanted != "auto":
        return int(wanted), "as given"
    if in_memory and cores <= FEW_CORES:
        return 0, f"images are in memory, {cores} core{'s' * (cores > 1)}"
    count = min(max(cores - 1, 0), MOST_WORKERS)
    return count, f"{'images are in memory' if in_memory else 'patches are read from disk'}, {cores} core{'s' * (cores != 1)}"


def usable_cores() -> int:
    """Count the cores that this process may use: those that it may run on, or fewer where its control group may use less time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(math.floor, _limits())]))


def _limits() -> Iterator[float]:
    """Give the cores' worth of time that each control group of this process may use, where there is a limit."""
    lines = OWN_GROUPS.read_text().splitlines() if OWN_GROUPS.is_file() else ["0::/"]
    own = next((line.split(":", 2)[2] for line in lines if line.startswith("0::")), "/")
    folder = CPU_LIMIT / own.strip("/")
    for group in (folder, *folder.parents):
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text().split()
            if quota != "max":
                yield int(quota) / int(period)


def count_devices(devices: int | str | Sequence[int], accelerator: str) -> int:
    """Count the processes of a training on one machine: one on each GPU, or as many as wanted on a CPU.

    Args:
        devices: A number, the numbers of GPUs, or "auto" for every GPU.
        accelerator: "auto", "cpu" or "gpu".

    Raises:
        ValueError: If it is none of these, or more than there are.
    """
    gpus = torch.cuda.device_count() if accelerator != "cpu" else 0
    if accelerator == "gpu" and not gpus and not torch.backends.mps.is_available():
        raise ValueError("this machine has no GPU that torch can use, got hardware.accelerator=gpu; set hardware=auto or hardware=cpu")
    listed = isinstance(devices, Sequence) and not isinstance(devices, str)
    count = len(devices) if listed else (gpus or 1) if devices in {"auto", -1} else devices  # type: ignore[arg-type]
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"hardware.devices is a number, a list of GPUs or auto, got {devices}; set hardware.devices=1 or more")
    if not gpus and (listed or devices == -1):
        raise ValueError(f"a CPU takes a number of processes, got hardware.devices={devices}; set hardware.devices=1 or more")
    if 0 < gpus < count:
        raise ValueError(f"this machine has {gpus} GPU{'s' * (gpus > 1)}, got hardware.devices={devices}; set hardware.devices={gpus}")
    return count


def refuse_wrong_gradients(precision: str, device: str, spatial_dims: int) -> None:
    """Raise ValueError where torch trains wrongly: mixed bfloat16 through 3D convolutions on a CPU."""
    if "bf16" in precision and spatial_dims == 3 and device == "cpu":
        raise ValueError(f"3D training on a CPU is wrong in bfloat16, got hardware.precision={precision}; set hardware.precision=32-true")


def uses_gpu(accelerator: str) -> bool:
    """Tell whether a trainer with this accelerator ("auto", "cpu" or "gpu") runs on a GPU."""
    return accelerator != "cpu" and torch.cuda.is_available()


def multiplies_bfloat16() -> bool:
    """Tell whether the CPU has instructions for bfloat16; False where that cannot be told."""
    return CPU_FLAGS.is_file() and "avx512_bf16" in CPU_FLAGS.read_text()
