"""Supervised training against a conditional discriminator: pix2pix and pix2pixHD."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from im2im.frameworks.base import Framework, Inference, Terms
from im2im.frameworks.optimization import Optimization
from im2im.losses.adversarial import Adversarial
from im2im.losses.feature_matching import feature_matching
from im2im.tasks.base import Batch, Task


@dataclass(frozen=True)
class Weights:
    """How much each term of the generator's loss counts.

    Args:
        adversarial: Of deceiving the discriminator.
        reconstruction: Of the task's own loss.
        feature_matching: Of the discriminator's intermediate features; 0 leaves the term out.
    """

    adversarial: float = 1.0
    reconstruction: float = 100.0
    feature_matching: float = 0.0


class Pix2Pix(Framework):
    """Training against a discriminator that sees source and image together (Isola et al., 2017; Wang et al., 2018).

    One forward of the network serves both updates.

    Args:
        network: The generator, BC(Z)YX → BC'(Z)YX.
        task: Its loss is the reconstruction term.
        inference: Runs the network over an image of any size.
        optimization: Of either side.
        discriminator: Judges ``cat(source, image)``; gives (score, features) for each of its scales, higher is more real.
        adversarial: Turns scores into the losses of either side.
        weights: Of the generator's terms.
    """

    contested = ("adversarial", "feature_matching")

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        inference: Inference,
        optimization: Optimization,
        discriminator: nn.Module,
        adversarial: Adversarial,
        weights: Weights,
    ) -> None:
        super().__init__(network, task, inference, optimization)
        self.discriminator, self.adversarial, self.weights = discriminator, adversarial, weights

    def parameters_by_optimizer(self) -> list[Any]:
        """Network first, then discriminator."""
        return [self.network.parameters(), self.discriminator.parameters()]

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the discriminator, then the network, from one prediction."""
        of_network, of_discriminator = self.optimizer_list()
        prediction = self(batch["source"])
        self.update(of_discriminator, batch, batch_idx, lambda: self._judge(batch, prediction.detach()))
        self.update(of_network, batch, batch_idx, lambda: self._generate(batch, prediction))

    def validation_terms(self, batch: Batch, prediction: Tensor) -> Terms:
        """Give the terms of either side."""
        return {**self._judge(batch, prediction), **self._generate(batch, prediction)}

    def _judge(self, batch: Batch, prediction: Tensor) -> Terms:
        """Loss of the discriminator; real and predicted images share one forward."""
        real, fake = self._scales(batch, prediction)
        return {"discriminator": self.adversarial.discriminator([score for score, _ in real], [score for score, _ in fake])}

    def _generate(self, batch: Batch, prediction: Tensor) -> Terms:
        """Weighted terms of the generator."""
        terms = {"reconstruction": self.weights.reconstruction * self.loss(prediction, batch)}
        if self.weights.feature_matching:
            real, fake = self._scales(batch, prediction)
            matching = feature_matching([features for _, features in real], [features for _, features in fake])
            terms["feature_matching"] = self.weights.feature_matching * matching
        else:
            fake = self.discriminator(self._conditioned(batch, self.activate(prediction)))
        terms["adversarial"] = self.weights.adversarial * self.adversarial.generator([score for score, _ in fake])
        return terms

    def _scales(self, batch: Batch, prediction: Tensor) -> tuple[list[Any], list[Any]]:
        """Show real and predicted images to the discriminator at once; (score, features) per scale for either."""
        images = self.task.present(batch["target"]), self.activate(prediction)
        pairs = torch.cat([self._conditioned(batch, image) for image in images])
        half = len(prediction)
        scales = self.discriminator(pairs)
        real = [(score[:half], [feature[:half] for feature in features]) for score, features in scales]
        fake = [(score[half:], [feature[half:] for feature in features]) for score, features in scales]
        return real, fake

    def _conditioned(self, batch: Batch, image: Tensor) -> Tensor:
        """Give ``cat(source, image)``, what the discriminator sees; the image is 0 where pixels are excluded, real or predicted."""
        if (cost_map := self.task.cost_map(batch)) is not None:
            image = image.masked_fill(cost_map <= 0, 0)
        return torch.cat([batch["source"], image], dim=1)
