import logging
import re
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, Timer

from im2im.callbacks.early_stopping import EarlyStopping
from im2im.callbacks.training_log import TrainingLog, ended, speed


class Recorded(pl.LightningModule):
    """Logs the epoch's number, from 1, as its loss, and half of it as its score."""

    def __init__(self, interrupted: int | None = None) -> None:
        super().__init__()
        self.weight, self.interrupted = torch.nn.Parameter(torch.ones(1)), interrupted

    def training_step(self, batch, _):
        if self.current_epoch + 1 == self.interrupted:
            raise KeyboardInterrupt
        return (self.weight * batch).mean()

    def on_train_epoch_end(self):
        self.log("train/loss", float(self.current_epoch + 1))

    def validation_step(self, batch, _):
        self.log("val/score", (self.current_epoch + 1) / 2)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0)


def fit(folder, *callbacks, epochs=3, batches=4, resume=None, interrupted=None, network=None, **settings):
    images = torch.utils.data.DataLoader(torch.ones(batches, 1))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    kept = ModelCheckpoint(folder, save_last=True)
    log = TrainingLog("val/score")
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", default_root_dir=folder, callbacks=[log, kept, *callbacks], **quiet, **settings
    )
    trainer.fit(network or Recorded(interrupted), images, images, ckpt_path=resume)
    return trainer


def lines(caplog):
    return [re.sub(r"\d:\d\d:\d\d", "TIME", record.getMessage()) for record in caplog.records if record.name.startswith("im2im")]


def test_each_epoch_has_one_line_with_its_own_values(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        trainer = fit(tmp_path)
    assert [line for line in lines(caplog) if line.startswith("epoch")] == [
        "epoch 1 of 3: train/loss 1.00, val/score 0.500, TIME, TIME left",
        "epoch 2 of 3: train/loss 2.00, val/score 1.00, TIME, TIME left",
        "epoch 3 of 3: train/loss 3.00, val/score 1.50, TIME",
    ]
    assert ended(trainer) == "after all 3 epochs"


def test_one_line_says_how_long_a_step_takes(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        fit(tmp_path, epochs=10, batches=4)
    (told,) = [line for line in lines(caplog) if "per step" in line]
    assert re.fullmatch(r".* s per step: 40 steps take about .* here, without validation", told)


@pytest.mark.parametrize(("epochs", "batches"), [(1, 1), (1, 2), (2, 30)])
def test_a_short_training_is_measured_too(epochs, batches, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        fit(tmp_path, epochs=epochs, batches=batches)
    assert sum("per step" in line for line in lines(caplog)) == 1


def test_without_a_limit_epochs_are_counted_alone(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        trainer = fit(tmp_path, epochs=-1, max_steps=8)
    assert "epoch 2: train/loss 2.00, val/score 1.00, TIME" in lines(caplog)
    assert ended(trainer) == "by max_steps after 2 epochs"


def test_a_resumed_training_says_from_where(tmp_path, caplog):
    fit(tmp_path, epochs=2)
    with caplog.at_level(logging.INFO):
        fit(tmp_path, epochs=3, resume=str(tmp_path / "last.ckpt"))
    assert f"resumed from {tmp_path / 'last.ckpt'}: epoch 3 of 3, step 8" in lines(caplog)
    assert any(line.startswith("epoch 3 of 3: ") for line in lines(caplog))
    assert any("4 steps take" in line for line in lines(caplog))


def test_early_stopping_is_told_with_its_reason(tmp_path):
    trainer = fit(tmp_path, EarlyStopping("val/score", mode="min", patience=2), epochs=9)
    reason = "val/score did not improve in 2 validations, its best smoothed value is 0.500"
    assert ended(trainer) == f"by early stopping after 3 of 9 epochs: {reason}"


@pytest.mark.parametrize(("value", "told"), [(float("nan"), "NaN"), (float("inf"), "infinite")])
def test_a_loss_that_is_no_number_is_told_as_such(value, told, tmp_path, monkeypatch):
    monkeypatch.setattr(Recorded, "validation_step", lambda self, batch, _: self.log("val/score", value))
    trainer = fit(tmp_path, EarlyStopping("val/score"), epochs=9)
    assert ended(trainer) == f"by early stopping after 1 of 9 epochs: val/score is {told}"


class NoTimeLeft(Timer):
    """Ends nothing, but says that the time is over."""

    def time_remaining(self, *stage):
        return 0.0


@pytest.mark.parametrize(("batches", "steps"), [(30, 23), (5, 5)])  # 23 steps are measured; what ends before is told at its end
def test_few_steps_that_the_time_leaves_are_warned_of_once(batches, steps, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        fit(tmp_path, NoTimeLeft("01:00:00:00"), epochs=-1, max_steps=batches, batches=batches)
    (warned,) = [record for record in caplog.records if "far too few" in record.getMessage()]
    assert warned.levelname == "WARNING"
    assert warned.getMessage() == f"max_time leaves time for about {steps} steps: far too few to learn from; raise max_time"
    assert any(f"about {steps} steps fit into max_time" in line for line in lines(caplog)) == (batches == 30)


@pytest.mark.parametrize(("timer", "warned"), [(NoTimeLeft, 1), (Timer, 0)])  # when 23 of them were measured
def test_steps_are_warned_of_where_no_time_is_left_for_more(timer, warned, tmp_path, caplog):
    fit(tmp_path, timer("01:00:00:00"), epochs=-1, max_steps=120, batches=120)
    assert caplog.text.count("far too few") == warned


class ManyTerms(Recorded):
    """Lowers two terms by the network's optimizer; a judge has a third."""

    def training_step(self, batch, _):
        self.lowered = {0: {"cycle": torch.tensor(0.0), "deceive": torch.tensor(0.0)}, 1: {"judge": torch.tensor(0.0)}}
        return (self.weight * batch).mean()

    def on_train_epoch_end(self):
        self.log_dict({"train/cycle": 1.5, "train/deceive": 0.25, "train/judge": 7.0})

    def validation_step(self, batch, _):
        self.log_dict({"val/score": 0.5, "val/cycle": 1.0, "val/loss": 2.0})


def test_the_terms_of_the_network_are_told_as_one_loss(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        fit(tmp_path, epochs=1, network=ManyTerms())
    assert "epoch 1 of 1: train/loss 1.75, val/loss 2.00, val/score 0.500, TIME" in lines(caplog)


def test_an_interrupted_training_says_how_to_go_on(tmp_path, caplog):
    with caplog.at_level(logging.INFO), pytest.raises((KeyboardInterrupt, SystemExit)):
        fit(tmp_path, interrupted=2)
    assert lines(caplog)[-1] == f"interrupted in epoch 2 of 3; run={tmp_path} mode=train goes on after the last whole one"


def training(max_epochs=20, done=11, allowed=None, should_stop=False, batches=200):
    timer = Timer()
    timer.time_remaining = lambda: allowed
    return SimpleNamespace(
        max_epochs=max_epochs,
        current_epoch=done,
        callbacks=[timer],
        should_stop=should_stop,
        max_steps=-1,
        global_step=0,
        num_training_batches=batches,
    )


def test_the_time_that_is_over_is_why_a_training_ended():
    assert ended(training(allowed=-0.1, should_stop=True)) == "by max_time after 11 of 20 epochs"
    assert ended(training(max_epochs=-1, allowed=0.0, should_stop=True)) == "by max_time after 11 epochs"
    assert ended(training(done=20, allowed=-0.1)) == "after all 20 epochs"
    assert ended(training(max_epochs=1, done=1)) == "after 1 epoch"
    assert ended(training(max_epochs=-1, done=1, allowed=0.0)) == "by max_time after 1 epoch"


@pytest.mark.parametrize(
    ("training_of", "counts", "told"),
    [
        (training(), {}, "4,000 steps take about 14 min 00 s here, without validation"),
        (training(max_epochs=1, batches=1), {}, "1 step takes about 0 s here, without validation"),
        (training(), {"first_epoch": 10}, "2,000 steps take about 7 min 00 s here, without validation"),
        (training(), {"accumulate": 4}, "1,000 steps take about 3 min 30 s here, without validation"),
        (training(max_epochs=-1), {}, ""),
        (training(max_epochs=-1, allowed=600.0), {}, "about 2,900 steps fit into max_time, fewer with validation"),
        (training(max_epochs=-1, allowed=60.0), {"done": 25}, "about 310 steps fit into max_time, fewer with validation"),
        (
            training(allowed=60.0),
            {"done": 25},
            "4,000 steps take about 14 min 00 s here, without validation; max_time ends them after about 310",
        ),
        (training(allowed=60.0), {"done": 3990}, "4,000 steps take about 14 min 00 s here, without validation"),
    ],
)
def test_the_length_of_a_training_follows_from_a_step(training_of, counts, told):
    assert speed(0.21, training_of, **counts) == "0.210 s per step" + (f": {told}" if told else "")
