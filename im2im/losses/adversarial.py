"""Losses of a generator and a discriminator, from the scores of the latter.

Every criterion takes one tensor of scores for each scale of the discriminator, B1(Z)YX and higher for more real. It averages over all
samples and all patches of a scale, then over the scales, so that its weight means the same for one scale and for three.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus


class Adversarial(Protocol):
    """What a framework asks of an adversarial criterion."""

    def discriminator(self, real_scores: Sequence[Tensor], fake_scores: Sequence[Tensor]) -> Tensor:
        """Return the loss of the discriminator."""

    def generator(self, fake_scores: Sequence[Tensor]) -> Tensor:
        """Return the loss of the generator."""


@dataclass(frozen=True)
class CrossEntropy:
    """Binary cross-entropy of logits, with the generator's loss that does not saturate (Goodfellow et al., 2014; pix2pix)."""

    def discriminator(self, real_scores: Sequence[Tensor], fake_scores: Sequence[Tensor]) -> Tensor:
        """Return half of the cross-entropy of real (1) plus fake (0), halved to slow the discriminator as in pix2pix."""
        return (_mean(lambda score: softplus(-score), real_scores) + _mean(softplus, fake_scores)) / 2

    def generator(self, fake_scores: Sequence[Tensor]) -> Tensor:
        """Return the cross-entropy of fake with the label of real."""
        return _mean(lambda score: softplus(-score), fake_scores)


@dataclass(frozen=True)
class LeastSquares:
    """Squared distance to 1 for real and 0 for fake (Mao et al., 2017; CycleGAN)."""

    def discriminator(self, real_scores: Sequence[Tensor], fake_scores: Sequence[Tensor]) -> Tensor:
        """Return half of the squared distance of real to 1 plus that of fake to 0."""
        return (_mean(lambda score: (score - 1) ** 2, real_scores) + _mean(lambda score: score**2, fake_scores)) / 2

    def generator(self, fake_scores: Sequence[Tensor]) -> Tensor:
        """Return the squared distance of fake to 1."""
        return _mean(lambda score: (score - 1) ** 2, fake_scores)


@dataclass(frozen=True)
class Hinge:
    """Real above 1, fake below -1, and the generator without a bound (Lim and Ye, 2017; Miyato et al., 2018)."""

    def discriminator(self, real_scores: Sequence[Tensor], fake_scores: Sequence[Tensor]) -> Tensor:
        """Return by how much real lies below 1 plus by how much fake lies above -1."""
        return _mean(lambda score: relu(1 - score), real_scores) + _mean(lambda score: relu(1 + score), fake_scores)

    def generator(self, fake_scores: Sequence[Tensor]) -> Tensor:
        """Return minus the score of fake."""
        return _mean(torch.neg, fake_scores)


def _mean(loss: Callable[[Tensor], Tensor], scores: Sequence[Tensor]) -> Tensor:
    """Average a loss over the scores of a scale, then over scales; in float32, where no square overflows."""
    return torch.stack([loss(score.float()).mean() for score in scores]).mean()
