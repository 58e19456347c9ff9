"""How long a network takes on this machine, measured."""

import time
from functools import cache

import torch
import yaml

from im2im.building import build
from im2im.networks.layers import fast_layout
from im2im.networks.padding import pad_to
from im2im.networks.stride import input_size

PART, FEWEST = 4, 2  # a quarter of a batch is measured, but at least so many patches
LONG = 0.5  # seconds of a pass that is measured once


@cache
def pass_seconds(network: str, channels: int | tuple[int, ...], shape: tuple[int, ...], device: torch.device, precision: str) -> float:
    """Measure the forward and backward pass of a part of a batch, scaled to the whole batch; equal arguments give equal seconds.

    Args:
        network: Its configuration as YAML.
        channels: Of the network, or of each of its levels.
        shape: Of a batch of sources, BC(Z)YX.
        device: Where it is measured.
        precision: As Lightning writes it, such as "bf16-mixed".
    """
    size = min(shape[0], max(FEWEST, shape[0] // PART))
    built = fast_layout(build(yaml.safe_load(network), channels=channels)).to(device).train()
    fitting = input_size(built, shape[1], len(shape) - 2, shape[2:]).fitting(shape[2:])
    batch, _ = pad_to(torch.rand(size, *shape[1:], device=device), fitting)  # as a training does
    kind = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    seconds: list[float] = []
    while len(seconds) < 2 or (len(seconds) < 3 and seconds[-1] < LONG):  # the first pass also makes what later ones reuse
        start = time.perf_counter()
        with torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None):
            prediction = built(batch)
        prediction.float().square().mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:]) * shape[0] / size
