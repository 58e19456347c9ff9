"""How long a network takes on this machine, measured."""

import time

import torch
from torch import nn

PASSES = 3  # the first one is not timed
PART = 4  # of a batch that is measured


def pass_seconds(network: nn.Module, shape: tuple[int, ...], device: torch.device, precision: str) -> float:
    """Measure the forward and backward pass of a quarter of a batch, and give the seconds of the whole.

    Args:
        network: Its weights stay as they are; their gradients are removed afterwards.
        shape: Of a batch of sources, BC(Z)YX.
        device: Where it is measured.
        precision: As Lightning writes it, such as "bf16-mixed".
    """
    size = max(1, shape[0] // PART)
    network = network.to(device).train()
    batch = torch.rand(size, *shape[1:], device=device)
    kind = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    seconds = []
    for _ in range(PASSES):
        start = time.perf_counter()
        with torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None):
            prediction = network(batch)
        prediction.float().square().mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    network.zero_grad(set_to_none=True)
    return min(seconds[1:]) * shape[0] / size
