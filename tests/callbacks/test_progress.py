import io
import math
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Timer
from rich.console import Console

from im2im.callbacks import progress
from im2im.callbacks.progress import RunProgressBar, TrainingTimeLeft, counted


class Tiny(pl.LightningModule):
    """Lowers a loss of 0.5, and scores 0.25 in every validation."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.lowered = torch.nn.Parameter(torch.ones(1)), {}

    def training_step(self, batch, _):
        self.lowered = {0: {"one": torch.tensor(0.2), "other": torch.tensor(0.3)}}
        return (self.weight * batch).mean()

    def validation_step(self, batch, _):
        self.log("val/pearson", 0.25)
        self.log("val/shown", 1.0, prog_bar=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0)


class OnATerminal(RunProgressBar):
    """Keeps what a terminal of 80 columns would show in a long training with a small loss."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self._looked, pl_module.lowered = -math.inf, {0: {"one": torch.tensor(2.5e-5)}}
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self.progress.update(self.train_progress_bar_id, description="epoch 100 of 100", completed=1)
        console = Console(width=80, file=io.StringIO())
        console.print(self.progress.get_renderable())
        self.text = console.file.getvalue()


class Seen(RunProgressBar):
    """Notes what it shows after each batch, whatever the terminal."""

    def __init__(self) -> None:
        super().__init__("val/pearson")
        self.seen = []

    def on_train_batch_end(self, trainer, pl_module, *others):
        self._looked = -math.inf
        self.seen.append((self._get_train_description(trainer.current_epoch), self.get_metrics(trainer, pl_module)))


def fit(folder, callback, epochs=2):
    images = torch.utils.data.DataLoader(torch.ones(1, 1))
    quiet = {"enable_checkpointing": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    trainer = pl.Trainer(max_epochs=epochs, accelerator="cpu", default_root_dir=folder, callbacks=[callback], **quiet)
    trainer.fit(Tiny(), images, images)


def test_the_bar_counts_epochs_from_1_and_shows_the_loss_and_the_metric_alone(tmp_path):
    bar = Seen()
    fit(tmp_path, bar)
    (first, before), (second, after) = bar.seen
    assert (first, second) == ("epoch 1 of 2", "epoch 2 of 2")
    assert before == {"loss": pytest.approx(0.5)}  # no validation yet, and no v_num of the logger
    assert after == {"loss": pytest.approx(0.5), "val/pearson": 0.25}


def test_the_bar_fits_on_one_line_and_shows_small_losses(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "Console", lambda stderr: SimpleNamespace(is_terminal=True))
    bar = OnATerminal("val/pearson")
    fit(tmp_path, bar)
    (line,) = [line for line in bar.text.splitlines() if line.strip()]
    assert line.startswith("epoch 100 of 100 ")
    assert line.rstrip().endswith("left loss: 2.5e-05 val/pearson: 0.25")


def test_there_is_no_bar_where_stderr_is_no_terminal(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "Console", lambda stderr: SimpleNamespace(is_terminal=False))
    bar = Seen()
    fit(tmp_path, bar)
    assert bar.is_disabled


def trainer_of(max_epochs, seconds_allowed=None):
    timer = Timer()
    timer.time_remaining = lambda: seconds_allowed
    return SimpleNamespace(max_epochs=max_epochs, callbacks=[timer])


@pytest.mark.parametrize(("epochs", "text"), [(20, "epoch 3 of 20"), (-1, "epoch 3"), (None, "epoch 3")])
def test_epochs_are_counted_with_their_limit(epochs, text):
    assert counted(3, trainer_of(epochs)) == text


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.seconds)
    return now


def test_the_time_left_follows_from_the_steps_of_the_first_epoch_then_from_epochs(clock):
    left = TrainingTimeLeft()
    left.start()
    assert left.seconds(trainer_of(5), 0) is None
    clock.seconds += 2
    assert left.seconds(trainer_of(5), 0, share=0.25) == pytest.approx(38)  # 5 epochs of 8 s, 2 s of them over
    clock.seconds += 8
    left.end_epoch()
    assert left.seconds(trainer_of(5), 1) == pytest.approx(40)
    clock.seconds += 3
    assert left.seconds(trainer_of(5), 1, share=0.5) == pytest.approx(37)


def test_the_first_limit_to_be_reached_counts(clock):
    left = TrainingTimeLeft()
    left.start()
    clock.seconds += 10
    left.end_epoch()
    assert left.seconds(trainer_of(5, seconds_allowed=25.0), 1) == 25
    assert left.seconds(trainer_of(5, seconds_allowed=60.0), 1) == pytest.approx(40)
    assert left.seconds(trainer_of(-1, seconds_allowed=60.0), 1) == 60
    assert left.seconds(trainer_of(-1), 1) is None
