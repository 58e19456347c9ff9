"""What the processes of one training tell each other. Where there is only one, each function does nothing."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer


def processes() -> int:
    """Count the processes that train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Number this process among them, from 0."""
    return distributed.get_rank() if processes() > 1 else 0


def gather(value: Any) -> list[Any]:
    """Give the values of all processes, in their order; they may be anything that can be pickled."""
    if processes() == 1:
        return [value]
    values = [None] * processes()
    distributed.all_gather_object(values, value)
    return values


def own(values: Sequence[Any]) -> Any:
    """Pick what belongs to this process from what others gathered, of whatever number they were."""
    return values[rank() % len(values)]


def agree(module: nn.Module, optimizers: Iterable[Optimizer]) -> None:
    """Take the first process's weights, statistics and learning rates."""
    if processes() > 1:
        for tensor in module.state_dict().values():
            distributed.broadcast(tensor, src=0)
        share_rates(optimizers)


def share_rates(optimizers: Iterable[Optimizer]) -> None:
    """Take the first process's learning rates: schedules look at the clock."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    for group, rate in zip(groups, gather([group["lr"] for group in groups])[0], strict=True):
        group["lr"] = rate


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter], module: nn.Module) -> None:
    """Average the gradients of parameters, and the running statistics of a module, over all processes, by one message.

    A parameter without a gradient counts as 0, and stays without one where no process has any.
    """
    if processes() == 1:
        return
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
    have = torch.tensor([one.grad is not None for one in parameters], dtype=torch.float32, device=gradients[0].device)
    statistics = running_statistics(module)
    _average([*gradients, *statistics, have])
    for place, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
        if parameter.grad is None and have[place] > 0:
            parameter.grad = gradient


def running_statistics(module: nn.Module) -> list[Tensor]:
    """List the running means and variances of batch normalizations, which each process finds in its own batches."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    found = chain.from_iterable((norm.running_mean, norm.running_var) for norm in norms)
    return [tensor for tensor in found if tensor is not None]


def _average(tensors: Sequence[Tensor]) -> None:
    """Average tensors of any shape over all processes, in their place."""
    flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= processes()
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view(tensor.shape))


class Means:
    """Means of named figures over batches and processes, weighted; a process may lack a name that others have."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Any, float]] = {}

    def add(self, values: Mapping[str, Tensor | float], weight: float) -> None:
        """Take figures in, each worth ``weight``."""
        for name, value in values.items():
            total, count = self._sums.get(name, (0.0, 0.0))
            self._sums[name] = (total + value * weight, count + weight)

    def take(self) -> dict[str, float]:
        """Give the means over all processes, the same in each, and start again; all processes must call this."""
        here = {name: (float(total), count) for name, (total, count) in self._sums.items()}
        self._sums = {}
        sums: dict[str, list[tuple[float, float]]] = {}
        for name, pair in chain.from_iterable(there.items() for there in gather(here)):
            sums.setdefault(name, []).append(pair)
        return {name: sum(total for total, _ in pairs) / sum(count for _, count in pairs) for name, pairs in sums.items()}
