"""Plain supervised training."""

from im2im.frameworks.base import Framework
from im2im.tasks.base import Batch


class FCN(Framework):
    """Lower the loss of the network's prediction (fully convolutional training; Long et al., 2015)."""

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Make one update of the network."""
        self.update(self.optimizer_list()[0], batch, batch_idx, lambda: {"loss": self.loss(self(batch["source"]), batch)})
