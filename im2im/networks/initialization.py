"""Start weights of the networks that are written here."""

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
