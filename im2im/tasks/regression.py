"""Tasks whose target is an image of intensities: label-free prediction and its kin."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from im2im.normalization import Affine, Normalization
from im2im.tasks.base import Batch

Metric = Callable[..., float]
Criterion = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Regression:
    """Predict the normalized intensities of the target.

    Args:
        criterion: Called with (prediction, target, cost_map or None); gives a scalar.
        normalization: Of the target.
        metrics: Name to function of (prediction, target, cost_map=...) for one image; the first one ranks images.
    """

    criterion: Criterion
    normalization: Normalization
    metrics: dict[str, Metric]

    def out_channels(self, target_channels: int) -> int:
        """One output channel for each channel of the target."""
        return target_channels

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Apply the criterion; pixels whose cost map is 0 take no part."""
        return self.criterion(prediction, batch["target"], batch.get("cost_map"))

    def score(self, prediction: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None = None) -> dict[str, float]:
        """Compute every metric of one image C(Z)YX in normalized units; excluded pixels are 0 in both, for windows beside them."""
        if cost_map is not None:
            prediction, target = (np.where(cost_map > 0, image, 0) for image in (prediction, target))
        return {name: metric(prediction, target, cost_map=cost_map) for name, metric in self.metrics.items()}

    def decode(self, prediction: np.ndarray, scale: Affine) -> np.ndarray:
        """Undo the normalization with the training targets' typical scale: intensities as the target's camera would give, float32."""
        return scale.invert(prediction)
