from types import SimpleNamespace

import numpy as np
import pytest
from tests_shared import SMALL

from im2im.stages.divergence import require_finite, without_contrast


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
    ("found", "truth", "blank"),
    [
        (RAMP * 0.5, RAMP, False),
        (RAMP * 0.001, RAMP, True),
        (RAMP * 0, RAMP * 0, False),
        (np.zeros((1, 4, 4), np.int32), np.eye(4, dtype=np.int32)[None], True),
        (np.ones((1, 4, 4), np.uint8), np.eye(4, dtype=np.int32)[None], True),
        (np.eye(4, dtype=np.int32)[None], 500 * np.eye(4, dtype=np.int32)[None], False),
    ],
)
def test_a_prediction_without_contrast_is_told_from_one_of_little(found, truth, blank):
    assert without_contrast(found, truth) == blank


def test_predictions_without_contrast_are_told_after_training(im2im, monkeypatch):
    told = "no prediction of the 2 test images shows anything"
    assert told in (im2im(*SMALL, "learning_rate=0") / "im2im.log").read_text()
    monkeypatch.setattr("im2im.stages.divergence.FAINT", 0)  # little contrast is enough
    assert told not in (im2im(*SMALL, "learning_rate=0") / "im2im.log").read_text()
