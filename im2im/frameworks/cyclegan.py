"""Training from images that are no pairs."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from im2im.affine import Affine
from im2im.frameworks.base import Framework, Inference, Network, Terms
from im2im.frameworks.judge import Judge
from im2im.frameworks.optimization import Optimization
from im2im.losses.reconstruction import weighted_mean
from im2im.networks.layers import fast_layout
from im2im.parallel import gather, own
from im2im.tasks.base import Batch, Task

log = logging.getLogger(__name__)

DIRECTIONS = {"forward": "source", "backward": "target"}  # the side that prediction starts from


@dataclass(frozen=True)
class Weights:
    """How much each term of the networks' loss counts.

    Args:
        adversarial: Of deceiving either judge.
        cycle: Of coming back to the image itself.
        identity: Of leaving an image of the other side as it is; 0 leaves the term out.
    """

    adversarial: float = 1.0
    cycle: float = 10.0
    identity: float = 2.0


class CycleGAN(Framework):
    """Two networks there and back again, each judged by how real its images look (Zhu et al., 2017).

    ::

        source ─ network ── prediction ─ backward ── source again      (target judge sees target and prediction)
        target ─ backward ─ drawn back ─ network ─── target again      (source judge sees source and what was drawn back)

    A target is shown as the task presents it: a mask between -1 and 1 for classes, so that this segments without supervision.

    Args:
        network: Source → target, BC(Z)YX → BC'(Z)YX.
        task: Gives the target side its meaning.
        inference: Runs a network over an image of any size.
        optimization: Of the networks and of the judges.
        backward: Target → source.
        judges: Of "source" and of "target" images.
        weights: Of the networks' terms.
        direction: Of prediction: "forward" (source → target) or "backward".

    Raises:
        ValueError: If the direction is neither.
    """

    unpaired = True
    contested = ("deceive_target", "deceive_source")

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        inference: Inference,
        optimization: Optimization,
        backward: nn.Module,
        judges: Mapping[str, Judge],
        weights: Weights,
        direction: str = "forward",
    ) -> None:
        if direction not in DIRECTIONS:
            raise ValueError(f"a direction is one of {', '.join(DIRECTIONS)}, got {direction}; change framework.direction")
        super().__init__(network, task, inference, optimization)
        self.backward_network, self.weights = fast_layout(backward), weights
        self.judges = dict(judges)
        self.judging = nn.ModuleDict(self.judges)  # where the trainer finds their weights
        self.reads = DIRECTIONS[direction]
        self._told = False  # that identity is left out

    def parameters_by_optimizer(self) -> list[Any]:
        """Both networks first, then both judges."""
        return [[*self.network.parameters(), *self.backward_network.parameters()], self.judging.parameters()]

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the networks, then the judges, from the same predictions."""
        of_networks, of_judges = self.optimizer_list()
        fakes: dict[str, Tensor] = {}
        self.update(of_networks, batch, batch_idx, lambda: self._generate(batch, fakes))
        pooled = {side: self.judges[side].pool.exchange(fake) for side, fake in fakes.items()}
        self.update(of_judges, batch, batch_idx, lambda: self._judge(batch, pooled))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """As in every framework where data are pairs. Of unpaired data ``val/loss`` is what cycle and identity cost, which takes no label.

        Metrics are those of the validation images that match.
        """
        if "matched" not in batch:
            super().validation_step(batch, batch_idx)
            return
        terms = self.validation_terms(batch, torch.empty(0))
        own = [value for name, value in terms.items() if name.startswith(("cycle", "identity"))]
        self.log_terms("val", {**terms, "loss": torch.stack(own).sum()}, len(batch["source"]))
        matched = torch.as_tensor(batch["matched"]).nonzero().flatten()
        if len(matched):
            part: Batch = {role: batch[role][matched] for role in ("source", "target", "cost_map") if role in batch}
            self.log_scores(part, self(part["source"]))

    def validation_terms(self, batch: Batch, prediction: Tensor) -> Terms:
        """Give the terms of either side."""
        fakes: dict[str, Tensor] = {}
        return {**self._generate(batch, fakes), **self._judge(batch, fakes)}

    def _generate(self, batch: Batch, fakes: dict[str, Tensor]) -> Terms:
        """Weighted terms of the networks; the predictions are left in ``fakes``, by the side that they imitate."""
        source, (target, cost_map) = batch["source"], self._target(batch)
        there, back, weights = self._there(source), self._back(target), self.weights
        fakes["target"], fakes["source"] = _shown(there, cost_map), back
        terms = {
            "deceive_target": weights.adversarial * self.judges["target"].deceived(fakes["target"]),
            "deceive_source": weights.adversarial * self.judges["source"].deceived(fakes["source"]),
            "cycle_source": weights.cycle * _distance(self._back(there), source),
            "cycle_target": weights.cycle * _distance(self._there(back), target, cost_map),
        }
        if weights.identity and self._same_channels(source, target):
            terms["identity_target"] = weights.identity * _distance(self._there(target), target, cost_map)
            terms["identity_source"] = weights.identity * _distance(self._back(source), source)
        return terms

    def _judge(self, batch: Batch, fakes: Mapping[str, Tensor]) -> Terms:
        """Losses of the judges."""
        real = {"source": batch["source"], "target": self._target(batch)[0]}
        return {f"judge_{side}": self.judges[side].loss(real[side], fakes[side]) for side in real}

    def _target(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Give the targets as images, 0 where a cost map excludes pixels, and the cost map."""
        cost_map = self.task.cost_map(batch)
        return _shown(self.task.present(batch["target"]), cost_map), cost_map

    def _there(self, source: Tensor) -> Tensor:
        return self.activate(self(source))

    def _back(self, target: Tensor, by: Network | None = None) -> Tensor:
        return self.through(self.backward_network, target, by)

    def _same_channels(self, source: Tensor, target: Tensor) -> bool:
        """Tell whether an image of one side can go into the network for the other; say so once where it cannot."""
        same = source.shape[1] == target.shape[1]
        if not (same or self._told):
            self._told = True
            log.warning(
                "source and target have %d and %d channels: framework.weights.identity is left out", source.shape[1], target.shape[1]
            )
        return same

    # --- prediction -----------------------------------------------------------------------------------------------

    def output(self, image: Tensor, by: Network | None = None) -> Tensor:
        """Predict in the chosen direction, BC(Z)YX → BC'(Z)YX; images of the target side as the task presents them."""
        return super().output(image, by) if self.reads == "source" else self._back(self.task.present(image), by)

    @property
    def predicting(self) -> nn.Module:
        """The network of the chosen direction."""
        return self.network if self.reads == "source" else self.backward_network

    @property
    def outputs(self) -> tuple[str, ...]:
        """Those of the task, or intensities of the source side."""
        return super().outputs if self.reads == "source" else ("intensities",)

    def decode(self, output: np.ndarray, name: str | None = None) -> np.ndarray:
        """Decode as the task does, or undo the normalization with the training sources' typical scale."""
        if self.reads == "source":
            return super().decode(output, name)
        if self.record.get("source_scale") is None:
            raise ValueError("this run's normalization of the source cannot be undone; set framework.direction=forward")
        return Affine.from_dict(self.record["source_scale"]).invert(output)

    # --- what a checkpoint carries --------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the pools of earlier predictions of each process."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["pools"] = gather({side: [image.cpu() for image in judge.pool.images] for side, judge in self.judges.items()})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them up."""
        super().on_load_checkpoint(checkpoint)
        for side, images in own(checkpoint["pools"]).items():
            self.judges[side].pool.images = list(images)


def _shown(image: Tensor, cost_map: Tensor | None) -> Tensor:
    """Give what a judge sees of the target side, real or predicted: 0 where pixels are excluded."""
    return image if cost_map is None else image.masked_fill(cost_map <= 0, 0)


def _distance(image: Tensor, wanted: Tensor, cost_map: Tensor | None = None) -> Tensor:
    """Mean absolute difference in single precision."""
    return weighted_mean((image.float() - wanted.float()).abs(), cost_map)
