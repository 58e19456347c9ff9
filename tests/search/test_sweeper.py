"""Searches and grids from the command line, on images as small as they can be."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from omegaconf import OmegaConf
from tests_commands import SEARCH, TINY, im2im, result, telling
from tests_shared import command

from im2im.frameworks.fcn import FCN
from im2im.report.notation import number


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    told = im2im(folder, *SEARCH, "search.trials=3")
    return folder, result(folder), told


def test_a_search_leaves_the_best_run_a_table_and_a_page(searched):
    _, home, told = searched
    table = pd.read_csv(home / "trials.csv")
    assert len(table) == 3
    assert set(table["state"]) <= {"complete", "pruned"}
    assert table["state"][0] == "complete"  # the default
    best = table[table["state"] == "complete"].sort_values("value").iloc[-1]
    for name in ("config.yaml", "metrics.json", "metrics.csv", "report.html", "splits.csv", "checkpoints/best.ckpt"):
        assert (home / "best" / name).is_file(), name
    assert OmegaConf.load(home / "best" / "config.yaml").learning_rate == pytest.approx(best["learning_rate"])
    page = (home / "search.html").read_text()
    assert "The best configuration" in page
    assert "<script" not in page
    assert "trial 1 of 3, 1 of 2 epochs, in trials/0: the default\n" in told
    assert "trial 1 of 3: val/pearson " in told
    assert "epoch 1 of" not in told  # but in the log of the trial
    assert "epoch 1 of 1: train/loss" in (home / "trials" / "1" / "im2im.log").read_text()
    assert f"best of 3 trials: batch_size={best['batch_size']} criterion={best['criterion']}" in told


def test_the_first_trial_is_the_default(searched):
    first = pd.read_csv(searched[1] / "trials.csv").iloc[0]
    assert (first["learning_rate"], first["criterion"], first["normalization"]) == (0.001, "mse", "center")


def test_the_best_run_predicts(searched):
    folder, home, _ = searched
    (image, *_) = sorted((home / "best" / "inputs").iterdir())
    im2im(folder, "mode=predict", f"run={home / 'best'}", f"input={image}", f"output={folder}/predicted")
    (predicted,) = (folder / "predicted").glob("*.tif")
    found, source = tifffile.imread(predicted), tifffile.imread(image)
    assert found.shape == source.shape[-2:]
    assert np.isfinite(found).all()
    assert found.std() > 0


def test_the_same_command_writes_the_same_best_run_again(searched):
    folder, home, _ = searched
    table = pd.read_csv(home / "trials.csv")
    best = table[table["state"] == "complete"].sort_values("value").iloc[-1]
    assert list(home.glob("trials/**/last.ckpt")) == [Path(best["folder"]) / "checkpoints" / "last.ckpt"]
    assert "3 of 3 trials are done" in im2im(folder, *SEARCH, "search.trials=3")
    again = result(folder)
    assert again != home
    for name in ("best", "last"):
        one, other = (torch.load(path / "best" / "checkpoints" / f"{name}.ckpt", weights_only=True) for path in (home, again))
        assert one["epoch"] == other["epoch"]
        assert all(torch.equal(value, other["state_dict"][key]) for key, value in one["state_dict"].items())


def test_the_same_command_goes_on_to_its_total_with_as_much_time_for_each(searched):
    folder, home, _ = searched
    assert "3 of 4 trials are done" in im2im(folder, *SEARCH, "search.trials=4")
    assert len(pd.read_csv(result(folder) / "trials.csv")) == 4
    first, later = (OmegaConf.load(path / "config.yaml") for path in (home / "trials" / "0", result(folder) / "trials" / "3"))
    assert later.max_time == first.max_time


@pytest.mark.slow
def test_options_that_fail_do_not_stop_a_search(tmp_path):
    (tmp_path / "space.yaml").write_text(
        "space:\n  kind:\n    good: [learning_rate=0.001]\n    raises: [patch_size=0]\n    diverges: [learning_rate=1e30]\n"
        "    memory: ['patch_size=[4000000,4000000]']\n"
    )
    arguments = [one for one in SEARCH if not one.startswith("patch_size")]
    im2im(tmp_path, *arguments, "search.space=space.yaml", "search.sampler=grid", "search.trials=9", "search.pruner=none")
    table = pd.read_csv(result(tmp_path) / "trials.csv").set_index("kind")
    assert table.loc["good", "state"] == "complete"
    assert set(table.drop("good")["state"]) == {"fail"}
    assert "patch_size" in table.loc["raises", "reason"]
    assert "NaN" in table.loc["diverges", "reason"]
    assert "memory" in table.loc["memory", "reason"]


def test_a_choice_that_does_not_compose_is_a_failed_trial(tmp_path):
    (tmp_path / "space.yaml").write_text("space:\n  kind: {good: [network.channels=4], bad: [network.nosuch=3]}\n")
    im2im(tmp_path, *SEARCH, "search.space=space.yaml", "search.sampler=grid", "search.rungs=1", "search.trials=2")
    table = pd.read_csv(result(tmp_path) / "trials.csv").set_index("kind")
    assert table["state"].to_dict() == {"good": "complete", "bad": "fail"}
    assert "nosuch" in table["reason"]["bad"]


def test_folds_share_the_images_and_the_best_is_trained_again_on_all(folders, tmp_path):
    settings = [one for one in SEARCH if not one.startswith(("data.counts", "data.size"))]
    where = ["data=folders", f"data.root={folders}", "data.fractions={val: 0.25, test: 0.25}"]
    im2im(tmp_path, *settings, *where, "search.folds=2", "search.trials=2", "search.rungs=1", "max_epochs=1")
    home = result(tmp_path)
    splits = [pd.read_csv(home / "trials" / "0" / str(fold) / "splits.csv").set_index("name")["split"] for fold in range(2)]
    validated = [set(one.index[one == "val"]) for one in splits]
    assert not validated[0] & validated[1]
    assert all(set(one.index[one == "test"]) == set(splits[0].index[splits[0] == "test"]) for one in splits)
    best = pd.read_csv(home / "best" / "splits.csv")["split"].value_counts()
    assert best["train"] == len(validated[0] | validated[1])
    assert "Trial 0, " in (home / "search.html").read_text()  # its picture
    assert "val" not in best


def test_networks_to_choose_from_take_the_place_of_those_that_are_proposed(tmp_path):
    settings = [one for one in SEARCH if not one.startswith("network")]
    swept = ["network=choice(unet,segresnet)", "++batch_size=choice(1,2)"]
    im2im(tmp_path, *settings, *swept, "search.trials=2", "search.rungs=1", "max_epochs=1")
    table = pd.read_csv(result(tmp_path) / "trials.csv")
    assert set(table["state"]) == {"complete"}
    assert set(table["network"]) <= {"unet", "segresnet"}
    assert set(table["++batch_size"]) <= {1, 2}
    assert "batch_size" not in table


def test_quality_and_speed_together(tmp_path):
    swept = ["learning_rate=tag(log, interval(1e-4, 1e-2))", "search.sampler=nsga2", "search.trials=2", "max_epochs=1"]
    storage = f"search.storage=sqlite:///{tmp_path}/s3cret.sqlite"
    im2im(tmp_path, *SEARCH, "search.speed=true", "search.pruner=none", *swept, storage)
    assert telling(tmp_path, b"s3cret") == []
    table = pd.read_csv(result(tmp_path) / "trials.csv")
    assert (table["seconds_per_megavoxel"] > 0).all()
    assert table.loc[table["value"].idxmax(), "unbeaten"]
    assert table.loc[table["seconds_per_megavoxel"].idxmin(), "unbeaten"]
    assert "no other trial is better in one" in (result(tmp_path) / "search.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["median", "hyperband"])
@pytest.mark.parametrize("framework", ["fcn", "pix2pix"])
def test_pruners_work_for_every_kind_of_framework(name, framework, tmp_path):
    im2im(tmp_path, *SEARCH, f"search.pruner={name}", f"framework={framework}", "search.trials=6")
    assert pd.read_csv(result(tmp_path) / "trials.csv")["state"].isin(["complete", "pruned"]).tolist() == [True] * 6


def test_a_grid_is_ranked_by_validation_and_compared_on_test_images(tmp_path, capfd):
    told = im2im(tmp_path, "-m", "learning_rate=0.001,0.01", "max_epochs=1", *TINY)
    assert "trial 2 of 2: learning_rate=0.01\n" in told
    figures = [json.loads((result(tmp_path) / str(place) / "metrics.json").read_text()) for place in (0, 1)]
    val, test = figures[1]["train"]["val"]["val/pearson"], figures[1]["test"]["pearson"]["mean"]
    assert f"trial 2 of 2: val/pearson {number(val)}, test/pearson {number(test)}\n" in told
    assert "ranked by the validation of their best epochs" in capfd.readouterr().out
    page = (result(tmp_path) / "comparison.html").read_text()
    assert "learning_rate=0.001" in page
    assert "learning_rate=0.01<" in page
    assert "6 test images in common" in page


def test_a_grid_goes_on_after_a_failed_run_and_tells_each_error_once(tmp_path, capfd):
    with pytest.raises(ValueError, match=r"1 of 3 trials failed, the first: batch_size must be a whole number of at least 1, got 0"):
        command(tmp_path, "-m", "batch_size=0,1,2", "max_epochs=1", *TINY)
    told = capfd.readouterr()
    assert told.err.count("batch_size must be a whole number") == 1
    assert "Error executing job" not in told.err
    assert "2 of 3 trials were scored" in told.out
    assert (result(tmp_path) / "comparison.html").exists()


def test_an_interrupted_grid_ends_with_the_runs_before(tmp_path, monkeypatch, capfd):
    steps = FCN.training_step

    def interrupt_the_third(self, batch, index):
        if self.optimization.optimizer.keywords["lr"] == 0.03:
            raise KeyboardInterrupt
        return steps(self, batch, index)

    monkeypatch.setattr(FCN, "training_step", interrupt_the_third)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        command(tmp_path, "-m", "learning_rate=0.01,0.02,0.03,0.04", "max_epochs=1", *TINY)
    assert "2 of 4 trials were scored" in capfd.readouterr().out
    assert "learning_rate=0.02" in (result(tmp_path) / "comparison.html").read_text()


def test_a_sweep_goes_through_images_of_a_finished_run(trained, folders, tmp_path, capfd):
    for name in ("2024_05", "other"):
        shutil.copytree(folders, tmp_path / name)
    command(tmp_path, "-m", "mode=evaluate", f"run={trained}", "data=folders", "data.root=2024_05,other")
    assert [(result(tmp_path) / str(place) / "metrics.json").is_file() for place in (0, 1)] == [True, True]
    assert "ranked by test images alone" in " ".join(capfd.readouterr().out.split())
    command(tmp_path, "-m", "mode=predict", f"run={trained}", "input=2024_05/source,other/source", "output=predicted_${hydra:job.num}")
    assert [len(list((tmp_path / f"predicted_{place}").glob("*.tif"))) for place in (0, 1)] == [6, 6]


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("search.sampler=best", "search.sampler is one of"),
        ("search.space=nowhere.yaml", "there is no file nowhere.yaml; correct search.space"),
        ("search.speed=true", "two objectives stop no trial early, got search.pruner=halving"),
        ("search.folds=3", "only images on disk can be divided anew"),
        ("search.storage=nothing://x", "correct search.storage"),
        ("search.parallel=2", "Hydra's basic launcher trains one at a time, got search.parallel=2; set hydra/launcher=joblib"),
        ("search.trials=0", "search.trials must be a whole number of at least 1, got 0; set search.trials=NUMBER"),
        ("search.rungs=2.5", "search.rungs must be a whole number of at least 1, got 2.5; set search.rungs=NUMBER"),
        ("search.reduction=1", "search.reduction must be a whole number of at least 2, got 1; set search.reduction=NUMBER"),
        ("max_epochs=ten", "max_epochs must be a whole number of at least 1, got ten; set max_epochs=NUMBER"),
        ("search.pruner=median search.folds=2", "stop together, got search.pruner=median; set search.pruner=halving"),
        ("hydra.sweep.dir=mine", "the best run of an earlier command is there, got hydra.sweep.dir=mine; choose another folder"),
        ("search.hours=night", "search.hours must be a number of at least 0.001, got night; set search.hours=NUMBER"),
        (
            "max_epochs=choice(1,2)",
            "the search itself says how long each training lasts, got max_epochs to choose from; give one max_epochs",
        ),
        ("data.counts.test=0", "the best run is scored on test images, got {'train': 2, 'val': 1}; raise data.counts.test"),
    ],
)
def test_a_search_that_cannot_be_is_told(argument, told, tmp_path):
    (tmp_path / "mine" / "best").mkdir(parents=True)
    with pytest.raises(ValueError, match=re.escape(told)):
        command(tmp_path, *SEARCH, *argument.split(" "))
