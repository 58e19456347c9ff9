"""Which sizes of image a network takes, measured on the network itself."""

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Size = tuple[int, ...]

# Multiples of many powers of 2, 3, 5 and 7. Tensors on the device "meta" have a shape and no values, so that size costs nothing there.
# On the CPU the network really computes, so that sizes are few and small there.
PROBES = {"meta": (64, 96, 128, 144, 160, 192, 224, 240, 288, 320, 448, 480, 720, 1024), "cpu": (32, 48, 64, 96)}
STACKS = (16, 32, 48, 64)  # planes, at most as many as lines; such stacks are for 3D networks that take one size only
LARGEST_ON_CPU = 1_000_000  # pixels
REFUSALS = (RuntimeError, ValueError, AssertionError, IndexError)


@dataclass(frozen=True)
class InputSize:
    """The sizes of image that a network takes, (Z)YX.

    Attributes:
        multiple: Pixels of which every size is a multiple.
        fixed: Whether ``multiple`` itself is the only size.
        smallest: What a size must be at least along each axis where that is more than ``multiple``; a norm may need a coarsest map of two
            pixels.
    """

    multiple: Size
    fixed: bool = False
    smallest: Size = ()

    def fitting(self, size: Sequence[int]) -> Size:
        """Give the next size, upwards, that the network takes."""
        rounded = tuple(math.ceil(pixels / step) * step for pixels, step in zip(size, self.multiple, strict=True))
        return tuple(map(max, rounded, self.smallest)) if self.smallest else rounded

    def require(self, size: Sequence[int]) -> None:
        """Raise ValueError, with a size that fits, unless the network takes ``size``."""
        if self.fixed and tuple(size) != self.multiple:
            raise ValueError(
                f"the network takes images of {self.multiple} pixels alone, got {tuple(size)}; set patch_size={list(self.multiple)}"
            )
        require_multiple(size, self.multiple)


def input_size(network: nn.Module, in_channels: int, spatial_dims: int, size: Sequence[int] | None = None) -> InputSize:
    """Measure which sizes of image a network takes.

    The network is run at two sizes, P and 2P, without arithmetic where its layers allow. A feature map that grows by G pixels between the
    two holds one pixel for each P / G of the input; the coarsest one gives the stride. What does not grow is no map of the image (global
    pooling, the channels of a token). A third run, at one stride above P, confirms it, or a multiple of it; further ones, from one stride
    on, give the smallest size. A network that takes P but not 2P, as a UNETR for its position embedding, is taken to know that one size
    only.

    Args:
        network: Any network that returns an image of the size of its input. It is copied, never changed.
        in_channels: Channels of its input.
        spatial_dims: 2 or 3.
        size: (Z)YX, such as patch_size, for networks that take one uncommon size only. Tried after the common ones; left out where it
            would take long.

    Raises:
        ValueError: If no size passes through the network, or none keeps its size.
    """
    reason = ""
    for device, edges in PROBES.items():
        probe = _Probe(network, in_channels, device)
        for start in _sizes(edges, spatial_dims, size, device):
            if maps := probe(start):
                return _confirmed(probe, start, maps)
        reason = probe.refusal
    patch = "" if size is None else f", patch_size (now {list(size)})"
    raise ValueError(
        f"{type(network).__name__} returns no image of the size of its input at any size tried, got: {reason}; "
        f"change network{patch}, in_channels (now {in_channels}) or spatial_dims (now {spatial_dims})"
    )


def total_stride(network: nn.Module, in_channels: int, spatial_dims: int, size: Sequence[int] | None = None) -> Size:
    """Measure of how many pixels along (Z)YX an input must be a multiple, see :func:`input_size`."""
    return input_size(network, in_channels, spatial_dims, size).multiple


def require_multiple(size: Sequence[int], stride: Sequence[int]) -> None:
    """Raise ValueError unless a size, (Z)YX, is a multiple of the stride along every axis."""
    if any(pixels % step for pixels, step in zip(size, stride, strict=True)):
        fitting = [math.ceil(pixels / step) * step for pixels, step in zip(size, stride, strict=True)]
        raise ValueError(
            f"the network takes multiples of {tuple(stride)} pixels, got {tuple(size)}; set patch_size={fitting} or another multiple"
        )


def _sizes(edges: Sequence[int], spatial_dims: int, size: Sequence[int] | None, device: str) -> Iterator[Size]:
    """Give the sizes to try, those first that suit most networks."""
    yield from ((edge,) * spatial_dims for edge in edges)
    if size is not None and (device == "meta" or math.prod(size) <= LARGEST_ON_CPU):
        yield tuple(size)
    if spatial_dims == 3 and device == "meta":
        yield from ((planes, edge, edge) for planes, edge in itertools.product(STACKS, (*STACKS, *edges)) if planes <= edge)


class _Probe:
    """A copy of a network that tells the sizes of all images inside it, instead of computing one."""

    def __init__(self, network: nn.Module, in_channels: int, device: str) -> None:
        self.network = copy.deepcopy(network).to(device).eval()
        self.in_channels, self.device, self.refusal = in_channels, device, ""
        self.sizes: list[Size] = []
        for module in self.network.modules():
            module.register_forward_hook(self._record)

    def __call__(self, size: Size) -> list[Size]:
        """Return the size of every feature map, in the order of computation; empty if the network does not take or keep ``size``."""
        self.sizes = []
        try:
            with torch.inference_mode():
                output = self.network(torch.zeros(1, self.in_channels, *size, device=self.device))
        except REFUSALS as error:
            self.refusal = str(error).partition("\n")[0]
            return []
        if isinstance(output, Tensor) and output.shape[2:] == size:
            return self.sizes
        self.refusal = (
            f"{tuple(output.shape[2:])} from {size}" if isinstance(output, Tensor) else f"a {type(output).__name__}, not a tensor"
        )
        return []

    def _record(self, module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        if isinstance(output, Tensor):
            self.sizes.append(tuple(output.shape[2:]))


def _confirmed(probe: _Probe, start: Size, maps: list[Size]) -> InputSize:
    """Turn the maps of one size into a stride that a second and a third run agree with."""
    larger_maps = probe(_add(start, start))
    if len(larger_maps) != len(maps):  # one size only, or another way through at another size: stay with a size that passes
        return InputSize(start, fixed=not larger_maps)
    strides = (_stride(start, small, large) for small, large in zip(maps, larger_maps, strict=True) if len(small) == len(start))
    coarsest = tuple(max(along) for along in zip(*strides, strict=True))
    multiples = (tuple(min(factor * step, edge) for step, edge in zip(coarsest, start, strict=True)) for factor in itertools.count(1))
    multiple = next(multiple for multiple in multiples if probe(_add(start, multiple)))  # ends at 2P, which passed above
    smallest = next(size for size in _smallest(multiple, start) if probe(size))
    return InputSize(multiple, smallest=smallest if smallest != multiple else ())


def _smallest(multiple: Size, passing: Size) -> Iterator[Size]:
    """Give sizes from one multiple on; two along the last axis are tried before two along each. Ends with one that passes."""
    yield from (multiple, (*multiple[:-1], 2 * multiple[-1]))
    for factor in itertools.count(2):
        size = tuple(factor * step for step in multiple)
        if any(pixels >= most for pixels, most in zip(size, passing, strict=True)):
            break
        yield size
    yield passing


def _stride(start: Size, small: Size, large: Size) -> Size:
    """Pixels of the input for each pixel of a map that is ``small`` at size ``start`` and ``large`` at twice that size."""
    growths = [b - a for a, b in zip(small, large, strict=True)]
    return tuple(max(1, round(edge / growth)) if growth > 0 else 1 for edge, growth in zip(start, growths, strict=True))


def _add(size: Size, step: Size) -> Size:
    return tuple(pixels + more for pixels, more in zip(size, step, strict=True))
