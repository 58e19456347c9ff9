"""Networks as trained ones behave, without a training."""

import torch
from monai.networks.nets import UNet
from torch import nn

from im2im.networks.fnet import FNet


def fnet(spatial_dims: int, channels: int) -> FNet:
    """Give an fnet whose batch norms know their maps: else these shrink from layer to layer to numbers that CPUs are slow with."""
    torch.manual_seed(0)
    network = FNet(spatial_dims=spatial_dims, in_channels=1, out_channels=1, channels=channels)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(2, 1, *[32] * spatial_dims))
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()


def unet(spatial_dims: int) -> UNet:
    """Give MONAI's U-Net as ``network=unet`` names it."""
    torch.manual_seed(0)
    network = UNet(spatial_dims, 1, 1, channels=[32, 64, 128, 256], strides=[2, 2, 2], num_res_units=2, norm="instance")
    return network.eval()
