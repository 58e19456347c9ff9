from types import SimpleNamespace

import numpy as np
import pytest
from pytorch_lightning.callbacks import Timer
from tests_shared import SMALL

from im2im.callbacks.early_stopping import EarlyStopping
from im2im.stages.divergence import contrast, other_rates, require_finite, train_longer, without_contrast


def trained(**figures):
    group = {"lr": 0.1, "initial_lr": 0.5}
    callbacks = [SimpleNamespace(monitor="val/map")]
    optimizers = [SimpleNamespace(param_groups=[group])]
    return SimpleNamespace(callback_metrics=figures, checkpoint_callbacks=callbacks, optimizers=optimizers)


@pytest.mark.parametrize("name", ["train/loss", "train/generator", "val/loss", "val/map"])
@pytest.mark.parametrize(("value", "told"), [(float("nan"), "NaN"), (float("inf"), "inf")])
def test_a_training_whose_figures_are_no_numbers_has_diverged(name, value, told):
    with pytest.raises(ValueError, match=f"{name} is {told} in its last epoch; lower learning_rate=0.5"):
        require_finite(trained(**{"train/other": 1.0, name: value}))


def test_a_metric_that_nothing_depends_on_may_be_missing():
    require_finite(trained(**{"train/loss": 1.0, "val/loss": 2.0, "val/dice": float("nan")}))


def test_a_training_that_diverged_ends_with_one_line_and_no_score(im2im, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        im2im(*SMALL, "learning_rate=1e9")
    assert ended.value.code == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("the training diverged, val/loss is NaN in its last epoch; lower learning_rate=1e+09")
    assert not list(tmp_path.rglob("metrics.json"))


RAMP = np.linspace(-1, 1, 100).reshape(1, 10, 10).astype(np.float32)


@pytest.mark.parametrize(
    ("found", "truth", "share"),
    [
        (RAMP * 0.5, RAMP, pytest.approx(0.5)),
        (RAMP * 0.001, RAMP, pytest.approx(0.001)),
        (RAMP * 0, RAMP * 0, None),
        (RAMP[:, :0], RAMP[:, :0], None),
        (np.zeros((1, 4, 4), np.int32), np.eye(4, dtype=np.int32)[None], 0),
        (np.ones((1, 4, 4), np.uint8), np.eye(4, dtype=np.int32)[None], 0),
        (np.eye(4, dtype=np.int32)[None], 500 * np.eye(4, dtype=np.int32)[None], 1),
    ],
)
def test_contrast_is_a_share_of_that_of_the_target(found, truth, share):
    assert contrast(found, truth) == share


@pytest.mark.parametrize(
    ("contrasts", "labels", "told"),
    [
        ([0.001, 0.5], False, ""),
        ([None], False, ""),
        ([float("nan")], False, ""),
        ([0.001], False, "the prediction of the test image has almost no contrast: 0.10% of the standard deviation of the target, where"),
        (
            [0.001, None, 0.003],
            False,
            "the predictions of 2 test images have almost no contrast: 0.30% of the standard deviation of the target",
        ),
        ([0.0], True, "the prediction of the test image has one label everywhere, where the target has more"),
        ([0.0, 1.0], True, ""),
    ],
)
def test_predictions_that_all_lack_contrast_are_told(contrasts, labels, told):
    found = without_contrast(contrasts, labels, "test")
    assert found.startswith(told)
    assert bool(found) == bool(told)


def stopped(epochs, most=-1, left=None, reason=None):
    """A trainer whose training has ended."""
    callbacks = []
    if left is not None:
        callbacks.append(Timer(duration={"seconds": 60}))
        callbacks[-1].time_remaining = lambda: left
    if reason:
        callbacks.append(EarlyStopping(monitor="val/loss"))
        callbacks[-1].stopping_reason_message = reason
    return SimpleNamespace(current_epoch=epochs, max_epochs=most, max_steps=-1, should_stop=True, callbacks=callbacks)


@pytest.mark.parametrize(
    ("trainer", "advice"),
    [
        (stopped(7, left=-1.0), "train longer (max_time=00:01:00:00)"),
        (stopped(7, most=20, left=-1.0), "train longer (max_time=00:01:00:00)"),
        (stopped(7, most=7, left=20.0), "train longer (max_epochs=14)"),
        (stopped(7, most=20, reason="no improvement"), ""),
    ],
)
def test_twice_the_time_is_advised_by_the_key_that_ended_the_training(trainer, advice):
    assert train_longer(trainer, 1800.0) == advice


def test_other_learning_rates_are_on_both_sides_of_that_of_the_training():
    assert other_rates(trained()) == "try learning_rate=0.05 and learning_rate=5 instead of 0.5"


def test_predictions_without_contrast_are_told_after_training(im2im, monkeypatch):
    told = "the predictions of 2 test images have almost no contrast"
    log = (im2im(*SMALL, "learning_rate=0") / "im2im.log").read_text()
    assert told in log
    assert "train longer (max_epochs=2) or raise learning_rate=0" in log
    monkeypatch.setattr("im2im.stages.divergence.FAINT", 0)  # little contrast is enough
    assert told not in (im2im(*SMALL, "learning_rate=0") / "im2im.log").read_text()
