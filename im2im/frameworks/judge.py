"""A discriminator of single images, and the pool of earlier predictions that it is shown as well."""

import torch
from torch import Tensor, nn

from im2im.losses.adversarial import Adversarial


class ImagePool:
    """Earlier predictions (Shrivastava et al., 2017): a discriminator forgets less when it is shown old ones too.

    Args:
        size: How many are kept; 0 keeps none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []  # C(Z)YX

    def exchange(self, images: Tensor) -> Tensor:
        """Give images BC(Z)YX of which each is, with a chance of one half, swapped for an earlier one; until the pool is full none is."""
        return torch.stack([self._exchange_one(image) for image in images.detach()])

    def _exchange_one(self, image: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if self.size == 0 or torch.rand(()) < 0.5:
            return image
        place = int(torch.randint(self.size, ()))
        earlier, self.images[place] = self.images[place], image.clone()
        return earlier.to(image) if earlier.shape == image.shape else image  # a resumed training may have other patches


class Judge(nn.Module):
    """Tells real images of one side from predicted ones.

    Args:
        discriminator: BC(Z)YX → (score, features) for each of its scales, higher is more real.
        adversarial: Turns scores into the losses of either side.
        pool_size: Earlier predictions that are kept to be shown again.
    """

    def __init__(self, discriminator: nn.Module, adversarial: Adversarial, pool_size: int = 50) -> None:
        super().__init__()
        if pool_size < 0:
            raise ValueError(f"a pool holds 0 images or more, got {pool_size}; change framework.judges.target.pool_size")
        self.discriminator, self.adversarial, self.pool = discriminator, adversarial, ImagePool(pool_size)

    def loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Loss of the discriminator on real images and on predicted ones, both BC(Z)YX, in one forward."""
        scores = self._scores(torch.cat([real, fake.detach()]))
        return self.adversarial.discriminator([score[: len(real)] for score in scores], [score[len(real) :] for score in scores])

    def deceived(self, fake: Tensor) -> Tensor:
        """Loss of the network whose prediction BC(Z)YX should look real."""
        return self.adversarial.generator(self._scores(fake))

    def _scores(self, images: Tensor) -> list[Tensor]:
        return [score for score, _ in self.discriminator(images)]
