"""The layer of either dimension: the only place where 2D or 3D is decided."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from im2im.networks.convolution import fast_for_one

Layer = Callable[..., nn.Module]
NormLayer = Callable[[int], nn.Module]

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)


def convolution(spatial_dims: int) -> Layer:
    """Return the convolution over ``spatial_dims`` axes; ValueError unless these are 2 or 3, as everywhere in this file."""
    return _choose(spatial_dims, nn.Conv2d, nn.Conv3d)


def transposed_convolution(spatial_dims: int) -> Layer:
    """Return the transposed convolution over ``spatial_dims`` axes."""
    return _choose(spatial_dims, nn.ConvTranspose2d, nn.ConvTranspose3d)


def batch_norm(spatial_dims: int) -> Layer:
    """Return the batch normalization of images with ``spatial_dims`` axes."""
    return _choose(spatial_dims, nn.BatchNorm2d, nn.BatchNorm3d)


def instance_norm(spatial_dims: int) -> NormLayer:
    """Return the instance normalization of images with ``spatial_dims`` axes."""
    return _choose(spatial_dims, nn.InstanceNorm2d, nn.InstanceNorm3d)


def average_pool(spatial_dims: int) -> Layer:
    """Return the average pooling over ``spatial_dims`` axes."""
    return _choose(spatial_dims, nn.AvgPool2d, nn.AvgPool3d)


def max_pool(spatial_dims: int) -> Layer:
    """Return the maximum pooling over ``spatial_dims`` axes."""
    return _choose(spatial_dims, nn.MaxPool2d, nn.MaxPool3d)


def channel_dropout(spatial_dims: int) -> Layer:
    """Return the dropout of whole channels of images with ``spatial_dims`` axes."""
    return _choose(spatial_dims, nn.Dropout2d, nn.Dropout3d)


def interpolation(spatial_dims: int, step: Sequence[int]) -> nn.Module:
    """Return the linear interpolation to ``step`` times as many pixels along (Z)YX."""
    mode = {2: "bilinear", 3: "trilinear"}[spatial_dims]
    return nn.Upsample(scale_factor=tuple(map(float, step)), mode=mode)


def chosen_upsampling(name: str, layers: Mapping[str, Layer]) -> Layer:
    """Return the way of upsampling that ``network.upsampling`` names; ValueError if there is none of that name."""
    if name not in layers:
        raise ValueError(f"a network enlarges images in one of the ways {', '.join(layers)}, got {name!r}; change network.upsampling")
    return layers[name]


def _choose(spatial_dims: int, of_planes: Layer, of_stacks: Layer) -> Layer:
    if spatial_dims not in (2, 3):
        raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims!r}; set spatial_dims=2 or spatial_dims=3")
    return of_planes if spatial_dims == 2 else of_stacks


def fast_layout(network: nn.Module) -> nn.Module:
    """Store weights channels-last where batch normalization follows, which is faster everywhere, and let single stacks be fast on CPUs."""
    fast_for_one(network)
    for norm, layout in ((nn.BatchNorm2d, torch.channels_last), (nn.BatchNorm3d, torch.channels_last_3d)):
        if any(isinstance(module, norm) for module in network.modules()):
            network.to(memory_format=layout)  # type: ignore[call-overload]
    return network
