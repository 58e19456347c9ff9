"""Batch norms that a network no longer needs, because the convolution before each does their work."""

import copy
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from im2im.networks.convolution import Conv3d
from im2im.networks.stride import REFUSALS

TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, Conv3d, *TRANSPOSED)
NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def folded(network: nn.Module, shape: Sequence[int]) -> tuple[nn.Module, int, int]:
    """Fold batch norms into the convolutions before them.

    A norm is folded where it is certain that it is the only one to see what a convolution puts out, see :func:`pairs`.

    Args:
        network: BC(Z)YX → BC'(Z)YX. It is copied, never changed.
        shape: BC(Z)YX of an input.

    Returns:
        The copy, in evaluation mode; how many norms are folded, and of how many.

    Raises:
        ValueError: The network cannot be followed.
    """
    made = copy.deepcopy(network).eval()
    modules, found = dict(made.named_modules()), pairs(network, shape)
    for of_convolution, of_norm in found:
        _fold(modules[of_convolution], modules[of_norm])
    return made, len(found), sum(type(module) in NORMS for module in network.modules())


def pairs(network: nn.Module, shape: Sequence[int]) -> list[tuple[str, str]]:
    """Name each convolution whose output goes into one batch norm and nowhere else, and that norm.

    The network is run on tensors without values, and automatic differentiation tells what became of each of them: the order of modules
    in lists, or their names, say nothing. Modules that run several times, or with hooks, are left alone.
    """
    with torch.inference_mode(False):
        probe = copy.deepcopy(network).to("meta").eval().requires_grad_(True)
    nodes: dict[nn.Module, list[Any]] = defaultdict(list)  # of what a convolution puts out, and of what a norm is given
    for module in probe.modules():
        if _foldable(module) and type(module) in NORMS:
            module.register_forward_pre_hook(lambda module, inputs: nodes[module].append(inputs[0].grad_fn))
        elif _foldable(module):
            module.register_forward_hook(lambda module, inputs, output: nodes[module].append(output.grad_fn))
    try:
        with torch.inference_mode(False), torch.enable_grad():
            output = probe(torch.zeros(*shape, device="meta"))
    except REFUSALS as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{type(network).__name__} cannot be followed to fold it, got: {reason}; set inference.fold=false") from error
    uses, names = _uses(output), {module: name for name, module in probe.named_modules()}
    once = {module: seen[0] for module, seen in nodes.items() if len(seen) == 1 and seen[0] is not None}
    convolutions = {node: module for module, node in once.items() if type(module) in CONVOLUTIONS and uses[node] == 1}
    return [(names[convolutions[node]], names[norm]) for norm, node in once.items() if type(norm) in NORMS and node in convolutions]


def _foldable(module: nn.Module) -> bool:
    if module._forward_hooks or module._forward_pre_hooks or type(module) not in (*CONVOLUTIONS, *NORMS):
        return False
    if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
        return module.running_mean is not None
    return not isinstance(module, TRANSPOSED) or module.groups == 1


def _uses(output: Any) -> Counter[Any]:
    """Count how often each step towards the output is used; its result is used once as well."""
    waiting: list[Any] = [output.grad_fn] if isinstance(output, Tensor) and output.grad_fn is not None else []
    uses = Counter(waiting)
    while waiting:
        node = waiting.pop()
        for before in (function for function, _ in node.next_functions if function is not None):
            uses[before] += 1
            if uses[before] == 1:
                waiting.append(before)
    return uses


def _fold(convolution: Any, norm: Any) -> None:
    """Let a convolution do the work of the norm behind it, which then does nothing, by whatever name it is called."""
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias,
        transpose=type(convolution) in TRANSPOSED,
    )  # fmt: skip
    convolution.weight, convolution.bias = weight, bias
    norm.__class__ = nn.Identity
