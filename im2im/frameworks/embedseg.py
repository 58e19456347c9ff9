"""Instance segmentation by spatial embedding."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from im2im.embedding import activate
from im2im.frameworks.base import Inference, Network
from im2im.frameworks.fcn import FCN
from im2im.frameworks.optimization import Optimization
from im2im.losses.embedding import EmbeddingLoss
from im2im.tasks.base import Batch, Task


class EmbedSeg(FCN):
    """Every pixel of an object points to the object's centre (Lalit et al., 2021 and 2022; Neven et al., 2019).

    The network puts out an offset and a sigma for each axis, and a seed that says how well a pixel points. Objects are found by
    clustering the whole image, whatever the tiles it was predicted in.

    Args:
        network: BC(Z)YX → B(2N+1)(Z)YX for N axes.
        task: Instance segmentation.
        inference: Runs the network over an image of any size.
        optimization: Optimizer, schedule, clipping and accumulation.
        criterion: Compares an embedding with object numbers.
        clustering: Turns an activated prediction (2N+1)(Z)YX into object numbers (Z)YX.
        start_sigma: Of every pixel before training: how far an object reaches at first. In pixels, memberships are one half at a distance
            of ``extent * sqrt(log(2) / exp(10 * start_sigma))``: 5.7 with the default and the extent of 1024.

    Raises:
        ValueError: If the task has no objects.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        inference: Inference,
        optimization: Optimization,
        criterion: EmbeddingLoss,
        clustering: Callable[[np.ndarray], np.ndarray],
        start_sigma: float = 1.0,
    ) -> None:
        if not task.objects:
            raise ValueError(f"framework=embedseg finds objects, got a {type(task).__name__} task; set task=instance or framework=fcn")
        super().__init__(network, task, inference, optimization)
        self.criterion, self.clustering = criterion, clustering
        axes, start = len(criterion.voxel_size), getattr(network, "start_embedding", None)
        shift = torch.zeros(2 * axes + 1, *[1] * axes)
        if start is None:
            shift[axes:-1] = start_sigma
        else:
            start(axes, start_sigma)
        self.shift: Tensor
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, source: Tensor, by: Network | None = None) -> Tensor:
        """Run the network on BC(Z)YX; one that does not start with these sigmas by itself is shifted there."""
        prediction = super().forward(source, by)
        if prediction.shape[1] != len(self.shift):
            raise ValueError(
                f"an embedding has {len(self.shift)} channels, got {prediction.shape[1]}; leave out_channels to framework=embedseg"
            )
        return prediction + self.shift

    @property
    def outputs(self) -> tuple[str, ...]:
        """Object numbers; how sure each pixel is; the whole embedding."""
        return ("labels", "seed", "embedding")

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Apply the criterion to the embedding; excluded pixels take part in no term."""
        return self.criterion(prediction, batch["target"], batch.get("cost_map"))

    def activate(self, prediction: Tensor) -> Tensor:
        """Bound offsets and seed; averages of tiles, views and runs make sense then."""
        return activate(prediction)

    def unmirror(self, output: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Turn a mirrored output back: offsets along mirrored axes point the other way."""
        turned, spatial_dims = torch.flip(output, axes), output.ndim - 1
        for axis in axes:
            turned[spatial_dims + axis] *= -1
        return turned

    def interpret(self, output: np.ndarray) -> np.ndarray:
        """Cluster: object numbers, 1(Z)YX int32."""
        return self.clustering(output)[None]

    def decode(self, output: np.ndarray, name: str | None = None) -> np.ndarray:
        """Give object numbers, the seed, or the embedding as it is."""
        others: dict[str | None, Any] = {"seed": output[-1:], "embedding": output}
        if name in others:
            return others[name]
        return self.task.decode(self.interpret(output), self.target_scale, name or "labels")
