"""The task whose target numbers objects."""

from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from torch import Tensor

from im2im.io.labels import as_labels
from im2im.normalization import Affine, Identity, Normalization
from im2im.overlap import object_scores, objects_table
from im2im.tasks.base import Batch, require_output


@dataclass(frozen=True)
class Instance:
    """Find objects: the target holds a number for each object, 0 is background.

    Numbers cannot be predicted pixel by pixel, so that a framework of its own (embedseg) learns something that can be, and turns it back
    into objects; the task says how good these are.

    Args:
        normalization: Of the target, which stays as it is.
    """

    normalization: Normalization = field(default_factory=Identity)

    objects = True
    outputs = ("labels",)

    def out_channels(self, target_channels: int) -> int:
        """Refuse: it is the framework that says how many."""
        _refuse()

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Refuse: only a framework for objects has one."""
        _refuse()

    def cost_map(self, batch: Batch) -> Tensor | None:
        """Give the batch's own."""
        return batch.get("cost_map")

    def activate(self, prediction: Tensor) -> Tensor:
        """Refuse, likewise."""
        _refuse()

    def present(self, target: Tensor) -> Tensor:
        """Refuse, likewise."""
        _refuse()

    def interpret(self, output: np.ndarray) -> np.ndarray:
        """Take objects as the framework found them, 1(Z)YX."""
        return output

    def truth(self, target: np.ndarray) -> np.ndarray:
        """Give object numbers, 1(Z)YX int32."""
        return target.astype(np.int32)

    def score(self, found: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None = None) -> dict[str, float]:
        """Compute every metric from one table of overlaps; a missed object counts."""
        return object_scores(found[0], self.truth(target)[0], None if cost_map is None else cost_map[0])

    def parts(self, found: np.ndarray, target: np.ndarray, cost_map: np.ndarray | None = None) -> list[dict[str, Any]]:
        """Give a row for each object of the target: its best overlap, and whether it was found."""
        return objects_table(found[0], self.truth(target)[0], None if cost_map is None else cost_map[0])

    def require_local(self) -> None:
        """Objects of neighbouring parts can be joined."""

    def decode(self, output: np.ndarray, scale: Affine, name: str = "labels") -> np.ndarray:
        """Give object numbers in the smallest type of 16 bits at least that holds them."""
        require_output(name, self.outputs)
        return as_labels(output)


def _refuse() -> NoReturn:
    raise ValueError("task=instance needs a framework that tells objects apart, got one that does not; set framework=embedseg")
