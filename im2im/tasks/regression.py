"""Tasks whose target is an image of intensities: label-free prediction, restoration, modality, staining, synthesis."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from im2im.normalization import Affine, Macenko, Mask, Normalization
from im2im.tasks.base import Batch, require_output

Metric = Callable[..., float]
Criterion = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Regression:
    """Predict the normalized intensities of the target, every channel of it.

    Args:
        criterion: Called with (prediction, target, cost_map or None); gives a scalar.
        normalization: Of the target.
        metrics: Name to function of (prediction, target, cost_map=...) for one image; the first one ranks images.

    Raises:
        ValueError: If the normalization cannot be undone.
    """

    criterion: Criterion
    normalization: Normalization
    metrics: dict[str, Metric]

    objects = False
    outputs = ("intensities", "normalized")

    def __post_init__(self) -> None:
        """Refuse what cannot be undone."""
        if isinstance(self.normalization, Macenko | Mask):
            raise ValueError(
                f"the target's normalization must be one that can be undone, got {type(self.normalization).__name__}; "
                "set task.normalization={_target_: im2im.normalization.Percentile}"
            )

    def out_channels(self, target_channels: int) -> int:
        """One output channel for each channel of the target."""
        return target_channels

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Apply the criterion; pixels whose cost map is 0 take no part."""
        return self.criterion(prediction, batch["target"], batch.get("cost_map"))

    def cost_map(self, batch: Batch) -> Tensor | None:
        """Give the batch's own."""
        return batch.get("cost_map")

    def activate(self, prediction: Tensor) -> Tensor:
        """Intensities are predicted as they are."""
        return prediction

    def present(self, target: Tensor) -> Tensor:
        """A target is what should be predicted."""
        return target

    def interpret(self, output: np.ndarray) -> np.ndarray:
        """Intensities are compared in normalized units."""
        return output

    def truth(self, target: np.ndarray) -> np.ndarray:
        """So are the target's."""
        return target

    def score(self, found: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None = None) -> dict[str, float]:
        """Compute every metric of one image C(Z)YX in normalized units; excluded pixels are 0 in both, for windows beside them."""
        if cost_map is not None:
            found, target = (np.where(cost_map > 0, image, 0) for image in (found, target))
        return {name: metric(found, target, cost_map=cost_map) for name, metric in self.metrics.items()}

    def parts(self, found: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None = None) -> list[dict[str, Any]]:
        """An image of intensities has no parts."""
        return []

    def require_local(self) -> None:
        """Every pixel is decoded on its own."""

    def decode(self, output: np.ndarray, scale: Affine, name: str = "intensities") -> np.ndarray:
        """Undo the normalization with the training targets' typical scale: intensities as the target's camera would give, float32."""
        require_output(name, self.outputs)
        return scale.invert(output) if name == "intensities" else output
