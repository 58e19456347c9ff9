"""What the machine can do well."""

from collections.abc import Sequence
from pathlib import Path

import torch

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
CPU_FLAGS = Path("/proc/cpuinfo")


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
    if wanted != "auto":
        return wanted
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if spatial_dims == 2 and multiplies_bfloat16() else "32-true"


def count_devices(devices: int | str | Sequence[int], accelerator: str) -> int:
    """Count the processes of a training on one machine: one on each GPU, or as many as wanted on a CPU.

    Args:
        devices: A number, the numbers of GPUs, or "auto" for every GPU.
        accelerator: "auto", "cpu" or "gpu".

    Raises:
        ValueError: If it is none of these, or more than there are.
    """
    gpus = torch.cuda.device_count() if accelerator != "cpu" else 0
    listed = isinstance(devices, Sequence) and not isinstance(devices, str)
    count = len(devices) if listed else (gpus or 1) if devices in {"auto", -1} else devices  # type: ignore[arg-type]
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"hardware.devices is a number, a list of GPUs or auto, got {devices}; set hardware.devices=1 or more")
    if 0 < gpus < count:
        raise ValueError(f"this machine has {gpus} GPU{'s' * (gpus > 1)}, got hardware.devices={devices}; set hardware.devices={gpus}")
    return count


def refuse_wrong_gradients(precision: str, device: str, spatial_dims: int) -> None:
    """Raise ValueError where torch trains wrongly: mixed bfloat16 through 3D convolutions on a CPU."""
    if "bf16" in precision and spatial_dims == 3 and device == "cpu":
        raise ValueError(f"3D training on a CPU is wrong in bfloat16, got hardware.precision={precision}; set hardware.precision=32-true")


def multiplies_bfloat16() -> bool:
    """Tell whether the CPU has instructions for bfloat16; False where that cannot be told."""
    return CPU_FLAGS.is_file() and "avx512_bf16" in CPU_FLAGS.read_text()
