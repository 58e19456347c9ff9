import json

import pandas as pd
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from tests_shared import SMALL, SMALL_GAN, SMALL_JUDGES

from im2im.rehearsal import batch_size, learning_rate
from im2im.tuning import trainer_alone, trainer_and_callbacks

FOUR = [
    *(setting for setting in SMALL if not setting.startswith(("batch_size", "data.counts", "data.size", "data.patches"))),
    "data.counts={train:4,val:1,test:2}",
    "data.size=[48,48]",
    "data.patches_per_image=2",
]
BOTH = ["trainer.auto_batch_size=true", "trainer.auto_lr=true"]
SETTINGS = {
    "fcn": [],
    "pix2pix": SMALL_GAN,
    "cyclegan": [*SMALL_JUDGES, "data.unpaired=true"],
}


def checkpoint(run) -> dict:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    monkeypatch.setattr(learning_rate, "STEPS", 20)
    monkeypatch.setattr(learning_rate, "SLOWEST", 1e-3)
    monkeypatch.setattr(batch_size, "GAIN", 0.0)  # whatever else the machine does
    monkeypatch.setattr(learning_rate.Curve, "suggestion", lambda self: 0.0123)
    monkeypatch.setattr(batch_size, "STEPS_OF_AN_EPOCH", 2)


@pytest.mark.parametrize("framework", SETTINGS)
def test_a_tuned_training_is_the_one_with_the_same_numbers_given_by_hand(framework, im2im):
    settings = [f"framework={framework}", *FOUR, *SETTINGS[framework]]
    tuned = im2im(*settings, "batch_size=2", *BOTH)
    found = yaml.safe_load((tuned / "config.yaml").read_text())
    assert found["data"]["module"]["sampling"]["batch_size"] == found["batch_size"] == 4
    assert found["framework"]["optimization"]["optimizer"]["lr"] == found["learning_rate"] == 0.0123
    assert not any(found["trainer"][key] for key in ("auto_batch_size", "auto_lr"))
    by_hand = im2im(*settings, f"batch_size={found['batch_size']}", f"learning_rate={found['learning_rate']}")
    one, other = checkpoint(tuned), checkpoint(by_hand)
    assert all(torch.equal(value, other["state_dict"][name]) for name, value in one["state_dict"].items())
    assert one["optimizer_states"][0]["param_groups"] == other["optimizer_states"][0]["param_groups"]
    assert one["global_step"] == other["global_step"]
    log = (tuned / "im2im.log").read_text()
    assert f"batch_size={found['batch_size']}: " in log
    assert "learning_rate=" in log
    assert list(pd.read_csv(tuned / "lr_finder.csv").columns) == ["learning_rate", "loss"]


def test_a_resumed_training_takes_the_found_numbers_and_searches_nothing(im2im):
    run = im2im(*FOUR, "batch_size=2", *BOTH)
    found = yaml.safe_load((run / "config.yaml").read_text())
    (run / "lr_finder.csv").unlink()
    im2im(f"run={run}", "mode=train", "max_epochs=2", "trainer.auto_lr=true")
    again = yaml.safe_load((run / "config.yaml").read_text())
    assert (again["batch_size"], again["learning_rate"]) == (found["batch_size"], found["learning_rate"])
    assert not (run / "lr_finder.csv").exists()
    assert f"run= goes on with batch_size={found['batch_size']}" in (run / "im2im.log").read_text()
    assert json.loads((run / "metrics.json").read_text())["train"]["epochs"] == 2


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            ["hardware=ddp", "hardware.accelerator=cpu"],
            "searches in one process, got 2; search with hardware.devices=1, then give batch_size=",
        ),
        (["data.module.sampling.batch_size=4"], "finds batch_size, got data.module.sampling.batch_size=4 beside it"),
    ],
)
def test_a_search_that_would_lead_nowhere_is_refused(settings, told, im2im, capsys):
    with pytest.raises(SystemExit):
        im2im(*FOUR, "trainer.auto_batch_size=true", *settings)
    assert told in capsys.readouterr().err


def test_a_learning_rate_of_zero_cannot_be_searched_from(im2im, capsys):
    with pytest.raises(SystemExit):
        im2im(*FOUR, "trainer.auto_lr=true", "learning_rate=0")
    assert "trainer.auto_lr needs a learning_rate to start from, got 0" in capsys.readouterr().err


def test_the_trainer_gets_its_own_keys_alone():
    cfg = OmegaConf.create({"trainer": {"_target_": "x.Trainer", "max_epochs": 3, "auto_lr": True, "auto_batch_size": False}})
    assert trainer_alone(cfg) == {"_target_": "x.Trainer", "max_epochs": 3}


BAR, OTHER = (
    {"_target_": "im2im.callbacks.progress.RunProgressBar", "metric": "val/x"},
    {"_target_": "pytorch_lightning.callbacks.Callback"},
)


@pytest.mark.parametrize(("trainer", "bar", "shown"), [({}, BAR, True), ({}, None, False), ({"enable_progress_bar": False}, BAR, False)])
def test_the_bar_is_left_out_where_it_is_not_wanted(trainer, bar, shown):
    alone, callbacks = trainer_and_callbacks(OmegaConf.create({"trainer": trainer, "callbacks": {"progress": bar, "other": OTHER}}))
    assert (alone["enable_progress_bar"], len(callbacks)) == (shown, 1 + shown)
