"""Which of the processes of one training this is, before they know of each other."""

import os

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def first_process() -> bool:
    """Tell whether this process writes and speaks: it is the only one, or the first of all machines, by whatever started them."""
    return all(os.environ.get(name, "0") in {"", "0"} for name in RANKS)


def started_together() -> bool:
    """Tell whether srun or torchrun started this process beside others."""
    return any(os.environ.get(name, "1") not in {"", "1"} for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"))
