"""Tasks whose target names the class of every pixel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from im2im.normalization import Affine, Identity, Normalization
from im2im.overlap import class_scores
from im2im.postprocess import Step, foreground, require_threshold
from im2im.tasks.base import Batch, require_output

Criterion = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Semantic:
    """Predict the class of every pixel; class 0 is background.

    With two classes everything above 0 in a target is foreground, so that masks of 0 and 255 and numbered objects serve as they are.
    A prediction is activated to twice the probabilities minus one: a mask between -1 and 1 for each class.

    Args:
        criterion: Called with (logits, class indices B1(Z)YX, cost_map or None); gives a scalar.
        classes: Names of the classes, background first.
        single: One output, the foreground's, instead of one for each of two classes.
        ignore_index: Pixels of this value take part in nothing.
        threshold: Of two classes: the probability above which a pixel is foreground, or "otsu".
        postprocess: Steps that change predicted classes (Z)YX, by name, in order.
        normalization: Of the target, which stays as it is.

    Raises:
        ValueError: If classes, single, threshold and criterion do not go together.
    """

    criterion: Criterion
    classes: Sequence[str] = ("background", "foreground")
    single: bool = False
    ignore_index: int | None = None
    threshold: float | str = 0.5
    postprocess: dict[str, Step] = field(default_factory=dict)
    normalization: Normalization = field(default_factory=Identity)

    objects = False
    outputs = ("labels", "probabilities")

    def __post_init__(self) -> None:
        """Refuse what cannot be decoded."""
        if not 2 <= len(self.classes) <= 256:
            raise ValueError(f"classes are background and 1 to 255 others, got {list(self.classes)}; set task.classes")
        if len(self.classes) > 2 and (self.single or self.threshold != 0.5):
            raise ValueError(
                f"one output and a threshold are for two classes, got {len(self.classes)}; set task.single=false task.threshold=0.5"
            )
        if getattr(self.criterion, "of_images", False):
            raise ValueError("this criterion compares intensities, not classes; set criterion=dice_cross_entropy or another one of classes")
        require_threshold(self.threshold)

    def out_channels(self, target_channels: int) -> int:
        """One output for each class."""
        if target_channels != 1:
            raise ValueError(f"a target of classes has one channel, got {target_channels}; choose one with data.target_channels")
        return 1 if self.single else len(self.classes)

    def truth(self, target: Any) -> Any:
        """Give class indices, 0 where they are ignored: of an array 1(Z)YX of integers, of a tensor B1(Z)YX."""
        if self.ignore_index is not None:
            target = target * (target != self.ignore_index)
        classes = target > 0 if len(self.classes) == 2 else target
        return classes.to(target.dtype) if isinstance(target, Tensor) else classes.astype(np.int32)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Apply the criterion; pixels whose cost map is 0, or whose class is ignored, take no part."""
        return self.criterion(self._logits(prediction), self.truth(batch["target"]), self.cost_map(batch))

    def _logits(self, prediction: Tensor) -> Tensor:
        """Require one output for each class, or the single one."""
        wanted = self.out_channels(1)
        if prediction.shape[1] != wanted:
            raise ValueError(
                f"{len(self.classes)} classes take {wanted} outputs, got {prediction.shape[1]}; leave out_channels to the task"
            )
        return prediction

    def cost_map(self, batch: Batch) -> Tensor | None:
        """Exclude ignored pixels as well as those that the batch excludes."""
        return self._included(batch["target"], batch.get("cost_map"))

    def activate(self, prediction: Tensor) -> Tensor:
        """Logits to twice the probabilities minus one, -1 to 1."""
        prediction = self._logits(prediction).float()
        probabilities = prediction.sigmoid() if prediction.shape[1] == 1 else prediction.softmax(dim=1)
        return 2 * probabilities - 1

    def present(self, target: Tensor) -> Tensor:
        """Masks of the classes, -1 and 1; one for each output."""
        truth = self.truth(target).long()
        if truth.min() < 0 or truth.max() >= len(self.classes):
            most = len(self.classes) - 1
            raise ValueError(f"a target pixel must be a class index from 0 to {most}, got {int(truth.max())}; change task.classes")
        if self.single:
            return 2.0 * truth - 1
        return 2.0 * one_hot(truth[:, 0], len(self.classes)).movedim(-1, 1) - 1

    def interpret(self, output: np.ndarray) -> np.ndarray:
        """Give the class of every pixel, 1(Z)YX uint8: the most probable one, of two by the threshold; then the steps."""
        labels = foreground((output[-1] + 1) / 2, self.threshold) if len(self.classes) == 2 else output.argmax(axis=0)
        labels = labels.astype(np.uint8)
        for step in self.postprocess.values():
            labels = step(labels)
        return labels[None]

    def score(self, found: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None = None) -> dict[str, float]:
        """Dice, IoU and F1: the mean over all classes but background, and each class by name."""
        return class_scores(found[0], self.truth(target)[0], self.classes, self._counted(target, cost_map))

    def parts(self, found: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None = None) -> list[dict[str, Any]]:
        """Give a row for each class but background."""
        scores = self.score(found, target, cost_map)
        return [{"class": name, **{key: scores[f"{key}/{name}"] for key in ("dice", "iou", "f1")}} for name in self.classes[1:]]

    def require_local(self) -> None:
        """Refuse a threshold that is found on a whole image."""
        if self.threshold == "otsu":
            raise ValueError("otsu looks at a whole image, which does not fit into memory, got task.threshold=otsu; set a probability")

    def decode(self, output: np.ndarray, scale: Affine, name: str = "labels") -> np.ndarray:
        """Give classes, 1(Z)YX uint8, or the probability of each output, float32."""
        require_output(name, self.outputs)
        return self.interpret(output) if name == "labels" else (output + 1) / 2

    def _included(self, target: Tensor, cost_map: Tensor | None) -> Tensor | None:
        """Exclude ignored pixels as well."""
        if self.ignore_index is None:
            return cost_map
        included = (target != self.ignore_index).float()
        return included if cost_map is None else included * cost_map

    def _counted(self, target: np.ndarray, cost_map: np.ndarray | None) -> np.ndarray | None:
        """Do the same for one image: (Z)YX."""
        included = self._included(torch.from_numpy(target), None if cost_map is None else torch.from_numpy(cost_map))
        return None if included is None else included[0].numpy()
