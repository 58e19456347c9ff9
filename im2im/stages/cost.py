"""What one training step costs."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from im2im.frameworks.base import Framework
from im2im.tasks.base import Batch

STATES = 4  # copies of each parameter: value, gradient and Adam's two moments


@dataclass(frozen=True)
class Cost:
    """Loss, seconds and bytes of a step."""

    loss: float
    seconds: float
    bytes: int


def step_cost(framework: Framework, batch: Batch) -> Cost:
    """Run one forward and backward pass and count what it keeps.

    Args:
        framework: On the device of the batch's run; its gradients are cleared afterwards.
        batch: As in training.

    Returns:
        Memory is parameters with gradients and optimizer states plus every activation kept for the backward pass.
    """
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    batch = {key: value.to(framework.device) if isinstance(value, Tensor) else value for key, value in batch.items()}
    framework.train()
    with torch.no_grad():
        framework(batch["source"])  # what only the first call costs is not counted
    start = time.perf_counter()
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        prediction = framework(batch["source"])
        terms = [framework.loss(prediction, batch), *framework.validation_terms(batch, prediction).values()]
        loss = torch.stack(terms).sum()
    loss.backward()
    value = float(loss.detach())
    seconds = time.perf_counter() - start
    framework.zero_grad(set_to_none=True)
    parameters = sum(parameter.numel() * parameter.element_size() for parameter in framework.parameters())
    own = {parameter.untyped_storage().data_ptr() for parameter in framework.parameters()}
    return Cost(value, seconds, STATES * parameters + sum(size for place, size in kept.items() if place not in own))
