from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from tests_shared import SMALL, command
from tests_tiny import composed

from im2im.building import build
from im2im.stages.evaluate import compared
from im2im.stages.validate import validated

KNOWN = ("in_channels=1", "out_channels=1", "voxel_size=[0.3,0.3]")  # what is else read from the data


@pytest.mark.parametrize("patch", [32, 64])
def test_whole_validation_images_are_scored_whatever_the_patch(patch, trained):
    others = (one for one in SMALL if not one.startswith("patch_size"))
    cfg = composed("task=labelfree", *others, *KNOWN, f"patch_size=[{patch},{patch}]")
    data, framework = build(cfg.data.module), build(cfg.framework)
    trainer = SimpleNamespace(callbacks=[], checkpoint_callbacks=[], current_epoch=1, strategy=SimpleNamespace(root_device="cpu"))
    found = validated(trainer, framework, data, str(trained), 1.0)
    scores = []
    for entry in data.entries("val"):
        prediction, target, _ = compared(framework, data, entry)
        assert prediction.shape[-2:] == (64, 64)
        scores.append(np.corrcoef(prediction.ravel(), target.ravel())[0, 1])
    assert found["val"]["val/pearson"] == pytest.approx(np.mean(scores), abs=1e-4)
    assert found["val"]["seconds_per_megavoxel"] > 0
    assert found["train"] == {"seconds": 1.0, "epochs": 1, "pruned": False}


@pytest.mark.parametrize("score", [True, False])
def test_a_training_that_the_system_may_end_is_warned_of_and_a_trial_refused(score, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("im2im.stages.train.short_of_memory", lambda *_: "a step takes 9 GB")
    with nullcontext() if score else pytest.raises(SystemExit):
        command(tmp_path, "task=labelfree", *SMALL, f"mode.score={score}")
    assert "a step takes 9 GB" in capsys.readouterr().err
    assert bool(list(tmp_path.rglob("*.ckpt"))) == score
