"""What every way of training shares: updates, validation, prediction and what a checkpoint carries."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from im2im.frameworks.optimization import Optimization
from im2im.frameworks.predictor import Inference, Network, Predictor
from im2im.networks.layers import fast_layout
from im2im.networks.padding import pad_to
from im2im.networks.stride import InputSize, input_size
from im2im.normalization import Affine
from im2im.parallel import Means, agree, average_gradients, gather, own, rank, share_rates
from im2im.randomness import random_state, restore_random_state
from im2im.tasks.base import Batch, Task

Terms = dict[str, Tensor]


class Framework(pl.LightningModule):
    """A network, a task and a way to train the one for the other.

    Optimization is manual, so that one step, two optimizers, gradient clipping and accumulation are one mechanism.

    Args:
        network: BC(Z)YX → BC'(Z)YX, of any size that is a multiple of its total stride.
        task: Loss, metrics and meaning of the prediction.
        inference: Runs the network over an image of any size.
        optimization: Optimizer, schedule, clipping and accumulation.
    """

    unpaired = False  # whether it learns from images that are no pairs
    contested: tuple[str, ...] = ()  # terms of the network's loss that rise again as its opponent learns
    reads = "source"  # the side of the data that prediction starts from

    def __init__(self, network: nn.Module, task: Task, inference: Inference, optimization: Optimization) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.task, self.inference, self.optimization = fast_layout(network), task, inference, optimization
        self.record: dict[str, Any] = {}  # what a checkpoint says of the run beside its weights; plain containers only
        self.others: list[Framework] = []  # further trained runs, whose outputs are averaged with this one's
        self.means = {"train": Means(), "val": Means()}
        self.lowered: dict[int, Terms] = {}  # the terms that each optimizer has lowered last, by its number
        self._random_states: list[dict[str, Any]] = []  # of each process of an interrupted training
        self._sizes: dict[int, InputSize] = {}  # by the identity of a network
        self._predictor: Predictor | None = None
        self._earlier_seconds, self._started = 0.0, math.inf  # of training: earlier parts, and when this one started

    # --- the network -----------------------------------------------------------------------------------------------

    @property
    def predicting(self) -> nn.Module:
        """The network that predicts."""
        return self.network

    def size(self, image: Tensor, network: nn.Module | None = None) -> InputSize:
        """Tell which sizes a network takes, for images like C(Z)YX; measured once."""
        network = network or self.predicting
        if id(network) not in self._sizes:
            trained = self.record.get("patch_size", image.shape[1:])  # a network of one uncommon size would not be found to take any
            self._sizes[id(network)] = input_size(network, image.shape[0], image.ndim - 1, trained)
        return self._sizes[id(network)]

    def through(self, network: nn.Module, image: Tensor, by: Network | None = None) -> Tensor:
        """Run a network, or ``by`` in its place, on BC(Z)YX of any size: mirrored up to a size that it takes, cropped back."""
        size = self.size(image[0], network)
        padded, crop = pad_to(image, size.fitting(image.shape[2:]))
        size.require(padded.shape[2:])
        try:
            return (network if by is None else by)(padded)[crop]
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            shape = tuple(padded.shape)
            raise ValueError(f"a norm of the network sees one pixel, got a batch of {shape}; raise batch_size or patch_size") from error

    def forward(self, source: Tensor, by: Network | None = None) -> Tensor:
        """Run the network on BC(Z)YX of any size; ``by``: what computes it in its place."""
        return self.through(self.network, source, by)

    def output(self, image: Tensor, by: Network | None = None) -> Tensor:
        """Run the network that predicts, or what computes it in its place, and activate: what prediction is made of."""
        return self.activate(self(image, by))

    def predict(self, image: Tensor) -> Tensor:
        """Predict one normalized image C(Z)YX of any size, in single precision; activated, C'(Z)YX on the CPU; the mean of all runs."""
        predictor = self.predictor()
        return self.inference(predictor, image, predictor.demand(image.shape[0], image.shape[1:]))

    def predictor(self) -> Predictor:
        """Give this run, and the others of its ensemble, as one function over tiles; the same one as long as these are the same."""
        runs = [self, *self.others]
        if self._predictor is None or self._predictor.runs != runs:
            self._predictor = Predictor(runs)
        return self._predictor.ready()

    # --- what a prediction means: the task's to say, unless a framework knows more ------------------------------------

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what can be written; the first one unless others are asked for."""
        return self.task.outputs

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Compare a prediction BC(Z)YX with the batch's target."""
        return self.task.loss(prediction, batch)

    def activate(self, prediction: Tensor) -> Tensor:
        """Bring a prediction BC(Z)YX into its range."""
        return self.task.activate(prediction)

    def unmirror(self, output: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Turn the activated output of an image that was mirrored along some axes (counted from the end) back."""
        return torch.flip(output, axes)

    def interpret(self, output: np.ndarray) -> np.ndarray:
        """Turn an activated output C(Z)YX into what is compared with the target."""
        return self.task.interpret(output)

    def decode(self, output: np.ndarray, name: str | None = None) -> np.ndarray:
        """Turn an activated output C(Z)YX into one of the ``outputs``."""
        return self.task.decode(output, self.target_scale, name or self.outputs[0])

    # --- training --------------------------------------------------------------------------------------------------

    def update(self, optimizer: LightningOptimizer, batch: Batch, batch_idx: int, terms: Callable[[], Terms]) -> None:
        """Lower the sum of the terms by one step of one optimizer.

        Args:
            optimizer: Whose parameters move; all others stand still and gather no gradient.
            batch: Whose size weighs what is logged.
            batch_idx: Of the batch, for accumulation.
            terms: Makes the weighted terms of the loss; each is logged under its name.
        """
        with self.toggled_optimizer(optimizer):
            losses = terms()
            self.manual_backward(torch.stack(list(losses.values())).sum() / self.optimization.accumulate)
            self.lowered[self.optimizer_list().index(optimizer)] = {name: value.detach() for name, value in losses.items()}
            self.log_terms("train", losses, len(batch["source"]))
        if (batch_idx + 1) % self.optimization.accumulate == 0 or self.trainer.is_last_batch:
            average_gradients((parameter for group in optimizer.param_groups for parameter in group["params"]), self)
            optimizer.step()
            optimizer.zero_grad()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradients, already unscaled under mixed precision."""
        if self.optimization.gradient_clip is not None:
            self.clip_gradients(optimizer, gradient_clip_val=self.optimization.gradient_clip, gradient_clip_algorithm="norm")

    def optimizer_list(self) -> list[LightningOptimizer]:
        """Give the trainer's optimizers in the order of ``parameters_by_optimizer``."""
        optimizers = self.optimizers()
        return optimizers if isinstance(optimizers, list) else [optimizers]

    def parameters_by_optimizer(self) -> list[Any]:
        """Give the parameters of each optimizer, in the order in which training takes them."""
        return [self.network.parameters()]

    def configure_optimizers(self) -> Any:
        """Make one optimizer, and one schedule, for each set of parameters."""
        optimizers = [self.optimization.optimizer(parameters) for parameters in self.parameters_by_optimizer()]
        scheduler = self.optimization.scheduler
        schedulers = [scheduler(optimizer) for optimizer in optimizers] if scheduler else []
        return optimizers, schedulers

    def on_train_epoch_end(self) -> None:
        """Log the losses and the learning rate of the network, then step the schedules."""
        self.log_dict(self.means["train"].take())
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        for config in self.trainer.lr_scheduler_configs:
            config.scheduler.step()  # type: ignore[call-arg]
        share_rates(self.trainer.optimizers)

    # --- validation ------------------------------------------------------------------------------------------------

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add up the training's own losses, the loss as ``val/loss`` and the task's metrics, on the same patches each time."""
        prediction = self(batch["source"])
        terms = {**self.validation_terms(batch, prediction), "loss": self.loss(prediction, batch)}
        self.log_terms("val", terms, len(batch["source"]))
        self.log_scores(batch, prediction)

    def log_scores(self, batch: Batch, prediction: Tensor) -> None:
        """Add up the task's metrics of each sample; what is not finite, such as the score of a class that is not there, counts nowhere."""
        for scores in self.scores(batch, prediction):
            self.means["val"].add({f"val/{name}": value for name, value in scores.items() if math.isfinite(value)}, weight=1)

    def on_validation_epoch_end(self) -> None:
        """Log the means over all samples, wherever they were looked at."""
        self.log_dict(self.means["val"].take())

    def scores(self, batch: Batch, prediction: Tensor) -> list[dict[str, float]]:
        """Compute the task's metrics for every sample of a batch."""
        outputs, targets = self.activate(prediction).float().cpu().numpy(), batch["target"].float().cpu().numpy()
        cost_maps = batch["cost_map"].cpu().numpy() if "cost_map" in batch else [None] * len(targets)
        found = [self.interpret(output) for output in outputs]
        return [self.task.score(*sample) for sample in zip(found, targets, cost_maps, strict=True)]

    def validation_terms(self, batch: Batch, prediction: Tensor) -> Terms:
        """Give the terms that training minimizes beside the task's loss."""
        return {}

    def log_terms(self, stage: str, terms: Terms, batch_size: int) -> None:
        """Add up each term, whose mean over the epoch is logged as ``stage/name``."""
        self.means[stage].add({f"{stage}/{name}": value.detach().float() for name, value in terms.items()}, batch_size)

    # --- what a checkpoint carries ----------------------------------------------------------------------------------

    @property
    def target_scale(self) -> Affine:
        """The typical normalization of the training targets; predictions are returned in it."""
        return Affine.from_dict(self.record["target_scale"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the run's record and the state of every random generator of each process."""
        checkpoint["im2im"] = {**self.record, "seconds": self.trained_seconds(), "random": gather(random_state())}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the record; the random state waits for the training to start."""
        self.record["target_scale"] = checkpoint["im2im"]["target_scale"]
        self._random_states = checkpoint["im2im"]["random"]
        self._earlier_seconds = checkpoint["im2im"].get("seconds", 0.0)

    def trained_seconds(self) -> float:
        """Tell how long it was trained up to now, all parts of an interrupted training together."""
        return self._earlier_seconds + max(time.monotonic() - self._started, 0.0)

    def on_train_end(self) -> None:
        """Stop the clock."""
        self._earlier_seconds, self._started = self.trained_seconds(), math.inf

    def on_train_start(self) -> None:
        """Start as the first process does, with random numbers of its own, or with those of the interrupted training."""
        self._started = time.monotonic()
        agree(self, self.trainer.optimizers)
        if self._random_states:
            restore_random_state(own(self._random_states))
        if rank() >= len(self._random_states):
            torch.manual_seed(torch.initial_seed() + rank())
        self._random_states = []
