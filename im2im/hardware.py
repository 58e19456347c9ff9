"""What the machine can do well."""

from pathlib import Path

import torch

CPU_FLAGS = Path("/proc/cpuinfo")


def choose_precision(wanted: str, accelerator: str, spatial_dims: int) -> str:
    """Choose the precision of a training.

    Mixed bfloat16 where the hardware multiplies it natively, else single precision. Mixed bfloat16 training of 3D convolutions on a CPU
    gives wrong gradients in torch and is refused.

    Args:
        wanted: "auto", or a precision of the trainer.
        accelerator: "auto", "cpu" or "gpu".
        spatial_dims: 2 or 3.

    Returns:
        A precision of the trainer, such as "32-true" or "bf16-mixed".

    Raises:
        ValueError: If the wanted precision is known to train wrongly.
    """
    on_gpu = accelerator != "cpu" and torch.cuda.is_available()
    if wanted != "auto":
        if "bf16" in wanted and spatial_dims == 3 and not on_gpu:
            raise ValueError(f"3D training on a CPU is wrong in bfloat16, got hardware.precision={wanted}; set hardware.precision=32-true")
        return wanted
    if on_gpu:
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if spatial_dims == 2 and multiplies_bfloat16() else "32-true"


def multiplies_bfloat16() -> bool:
    """Tell whether the CPU has instructions for bfloat16; False where that cannot be told."""
    return CPU_FLAGS.is_file() and "avx512_bf16" in CPU_FLAGS.read_text()
