"""Patches as batches, prepared by this process or by others."""

import sys

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

FORBIDS_FORKS = "openvino"  # a process that has used it ends with a segmentation fault when a fork of it ends


def loader(patches: Dataset, sampler: Sampler | range, batch_size: int, workers: int, drop_last: bool = False) -> DataLoader:
    """Give batches of patches.

    Args:
        patches: Drawn by what the sampler gives.
        sampler: Of one epoch.
        batch_size: Patches.
        workers: Processes that prepare them; none for this one.
        drop_last: Leave out a last batch that is smaller than the others.
    """
    return DataLoader(
        patches,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        drop_last=drop_last,
        multiprocessing_context="forkserver" if workers and FORBIDS_FORKS in sys.modules else None,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(0),  # only of seeds that no patch uses; leaves the global random state alone
    )
