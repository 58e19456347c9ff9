import sys
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from im2im.callbacks.early_stopping import EarlyStopping
from im2im.frameworks.schedule import Cosine


class Recorded(pl.LightningModule):
    """Logs a given value at each validation."""

    def __init__(self, values, max_time=None):
        super().__init__()
        self.values, self.max_time, self.weight = list(values), max_time, torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch, _):
        return (self.weight * batch).mean()

    def validation_step(self, batch, _):
        self.log("val/loss", self.values[self.current_epoch])

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0)
        return [optimizer], [Cosine(optimizer, len(self.values), self.max_time)]


def epochs_trained(tmp_path, callback, values, batches=4, accumulate=1, **settings):
    images = DataLoader(torch.ones(batches, 1), batch_size=1)
    trainer = pl.Trainer(
        max_epochs=len(values),
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=tmp_path,
        callbacks=[callback],
    )
    framework = Recorded(values, **settings)
    framework.optimization = SimpleNamespace(accumulate=accumulate)
    trainer.fit(framework, images, images)
    return trainer.current_epoch


@pytest.mark.parametrize(("batches", "accumulate", "epochs"), [(4, 1, 4), (2, 1, 7), (12, 1, 2), (12, 4, 5), (10, 4, 5)])
def test_patience_is_counted_in_optimizer_steps_however_long_an_epoch_is(tmp_path, batches, accumulate, epochs):
    callback = EarlyStopping("val/loss", patience_steps=12)
    trained = epochs_trained(tmp_path, callback, [1.0] * 9, batches, accumulate)
    assert trained == epochs  # the first epoch is the best one, 12 steps follow


def test_patience_in_validations_is_that_of_lightning(tmp_path):
    assert epochs_trained(tmp_path, EarlyStopping("val/loss", patience=2), [1.0] * 9) == 3


def test_one_lucky_validation_is_no_best_value(tmp_path):
    falling = [1.0, 0.6, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.61]
    assert epochs_trained(tmp_path, EarlyStopping("val/loss", patience=3, smoothing=0.0), falling) == 5
    assert epochs_trained(tmp_path, EarlyStopping("val/loss", patience=3, smoothing=0.7), falling) == 9


def test_a_schedule_that_ends_by_time_is_not_cut_short(tmp_path):
    callback = EarlyStopping("val/loss", patience=1)
    assert epochs_trained(tmp_path, callback, [1.0] * 5, max_time="00:01:00:00") == 5
    assert callback.patience == sys.maxsize


def test_a_training_that_goes_on_forgets_why_it_had_stopped(tmp_path):
    callback, later = EarlyStopping("val/loss", patience=1), EarlyStopping("val/loss", patience=9)
    epochs_trained(tmp_path, callback, [1.0] * 5)
    assert "did not improve" in callback.stopping_reason_message
    later.load_state_dict(callback.state_dict())
    epochs_trained(tmp_path, later, [1.0] * 3)
    assert later.stopping_reason_message is None


def test_the_smoothed_value_goes_on_with_the_training():
    callback, later = EarlyStopping("val/loss"), EarlyStopping("val/loss")
    for value in (1.0, 0.0):
        callback._evaluate_stopping_criteria(torch.tensor(value))
    later.load_state_dict(callback.state_dict())
    assert later.smoothed == pytest.approx(0.7)


def test_a_smoothing_of_one_is_refused():
    with pytest.raises(ValueError, match="below 1, got 1.0; change callbacks.early_stopping.smoothing"):
        EarlyStopping("val/loss", smoothing=1.0)
