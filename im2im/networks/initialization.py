"""Start weights of the networks that are written here."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from im2im.networks.layers import CONVOLUTIONS, NORMS


def initialize(network: nn.Module, std: float = 0.02) -> None:
    """Draw the weights of a network anew: convolutions from N(0, std), norms from N(1, std), every bias 0.

    A network calls this at the end of its constructor and nobody calls it later, so weights that are loaded afterwards stay.
    The values are those of pix2pix (Isola et al., 2017) and of label-free prediction (Ounkomol et al., 2018).

    Args:
        network: Changed in place, with everything inside it. Layers of other kinds keep their weights.
        std: Standard deviation of the normal distribution.
    """
    for layer in network.modules():
        if not isinstance(layer, (*CONVOLUTIONS, *NORMS)):
            continue
        if layer.weight is not None:  # None in a norm without learnt scale
            nn.init.normal_(layer.weight, float(isinstance(layer, NORMS)), std)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def initialize_without_norm(network: nn.Module) -> None:
    """Draw the weights of convolutions anew so that activations keep their variance through ReLU (He et al., ICCV 2015), every bias 0.

    For networks without norms, whose activations would vanish from layer to layer with the weights of :func:`initialize`.

    Args:
        network: Changed in place, with everything inside it. Layers of other kinds keep their weights.
    """
    for layer in network.modules():
        if isinstance(layer, CONVOLUTIONS):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def start_residual(head: Any, in_channels: int) -> None:
    """Let a network whose output is added to its source change nothing at first.

    Args:
        head: Output layer, a convolution with bias, whose weights become 0.
        in_channels: Channels of the source.

    Raises:
        ValueError: The prediction has more or fewer channels than the source.
    """
    if head.out_channels != in_channels:
        raise ValueError(
            f"a residual is added to a source of as many channels, got in_channels={in_channels} and out_channels={head.out_channels}; "
            "set network.residual=false"
        )
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)


def start_embedding(heads: Iterable[Any], spatial_dims: int, sigma: float = 1.0) -> None:
    """Let an instance network point nowhere at first, and believe every object to be of one size (Neven et al., CVPR 2019).

    Weights of the offsets' and sigmas' channels become 0, their biases 0 and ``sigma``. The seed's channel keeps its weights. Not for
    networks that have learnt already.

    Args:
        heads: Output layers, convolutions with bias, changed in place. Their channels are, one layer after the other, the offsets along
            (Z)YX, the sigmas and last the seed.
        spatial_dims: Number of offsets.
        sigma: What the sigma channels predict, whatever the image.

    Raises:
        ValueError: There are too few channels.
    """
    channels = [(head, channel) for head in heads for channel in range(head.out_channels)]
    if len(channels) < spatial_dims + 2:
        raise ValueError(
            f"an embedding needs {spatial_dims} offsets, a sigma and a seed at least, got {len(channels)} channels; "
            f"set out_channels={2 * spatial_dims + 1}"
        )
    with torch.no_grad():
        for place, (head, channel) in enumerate(channels[:-1]):
            head.weight.select(int(head.transposed), channel).zero_()  # the axis of the output channels
            head.bias[channel] = 0.0 if place < spatial_dims else sigma
