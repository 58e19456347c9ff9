import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from tests_shared import SMALL, SMALL_3D, SMALL_GAN

from im2im.report.notation import number
from im2im.report.record import read_record
from im2im.report.results import results

OF_FOLDERS = [setting for setting in SMALL if not setting.startswith(("data.size", "data.counts"))]
UNET = ["network.channels=[4,8]", "network.strides=[2]"]


def read(run, name="metrics.json"):
    return json.loads((run / name).read_text())


def write_pairs(root, parts, sigma=2.0):
    """Write pairs of noise and smoothed noise, 64 × 64 pixels."""
    rng = np.random.default_rng(0)
    for part in parts:
        source = rng.integers(0, 60000, (64, 64)).astype(np.uint16)
        for role, image in {"source": source, "target": gaussian_filter(source.astype(np.float32), sigma)}.items():
            (root / part.split("/")[0] / role).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(root / part.split("/")[0] / role / f"{part.split('/')[1]}.tif", image)


@pytest.fixture(scope="module")
def smoothed(tmp_path_factory):
    """A run on noise and smoothed noise that learns hardly anything; look, do not touch."""
    from tests_shared import command

    folder = tmp_path_factory.mktemp("smoothed")
    write_pairs(folder / "images", ["train/a", "train/b", "val/c", "test/d", "test/e"])
    return command(folder, "data=folders", f"data.root={folder / 'images'}", "learning_rate=1e-9", *OF_FOLDERS)


def test_a_training_scores_baselines_on_the_test_images_best_first(smoothed):
    metrics = read(smoothed)
    assert set(metrics["baselines"]) == {"identity", "gaussian", "linear_filter"}
    assert next(iter(metrics["baselines"])) == "gaussian"
    assert metrics["baselines"]["gaussian"].keys() == metrics["test"].keys()
    assert metrics["baselines"]["gaussian"]["pearson"]["mean"] == pytest.approx(1, abs=1e-4)
    assert metrics["baselines"]["gaussian"]["pearson"]["n"] == 2
    assert read(smoothed, "baselines.json")["gaussian"]["sigma"] == [2, 2]


def test_a_network_that_is_worse_than_a_baseline_is_told_in_one_line_with_both_values(smoothed):
    lines = [line for line in (smoothed / "im2im.log").read_text().splitlines() if "not better than the baseline Gaussian filter" in line]
    assert len(lines) == 1
    metrics = read(smoothed)
    here, there = (number(one["pearson"]["mean"]) for one in (metrics["test"], metrics["baselines"]["gaussian"]))
    assert f"Pearson r {here} against {there} on 2 test images; " in lines[0]
    assert lines[0].endswith("train longer (max_epochs=2), add training images, or look at the pairs with mode=check")


def test_the_report_shows_the_best_baseline_beside_the_network(smoothed):
    page = results(read_record(smoothed))
    assert "Baseline: Gaussian filter" in page


def test_other_data_are_compared_with_what_the_training_has_fitted(smoothed, im2im, tmp_path):
    write_pairs(tmp_path / "other", ["test/x"], sigma=1.0)
    run = im2im("mode=evaluate", f"run={smoothed}", "data=folders", f"data.root={tmp_path / 'other'}")
    gaussian = read(run)["baselines"]["gaussian"]
    assert gaussian["pearson"]["n"] == 1
    assert 0.5 < gaussian["pearson"]["mean"] < 0.95  # a sigma of 1 would reach 1
    assert not (run / "baselines.json").exists()
    told = next(line for line in (run / "im2im.log").read_text().splitlines() if "not better than the baseline" in line)
    assert told.endswith("on 1 test image; look at the pairs with mode=check")  # nothing about a training


def test_scored_on_a_subset_the_network_is_compared_on_the_same_images(smoothed, im2im, monkeypatch):
    monkeypatch.setattr("im2im.stages.evaluate.seconds_per_pixel", lambda *_: 30 / (64 * 64))  # time for one image of two
    run = im2im("mode=evaluate", f"run={smoothed}")
    metrics, rows = read(run), pd.read_csv(run / "metrics.csv")
    assert metrics["baselines"]["gaussian"]["pearson"]["n"] == metrics["test_subset"]["pearson"]["n"] == 1
    assert metrics["test_subset"]["pearson"]["mean"] == pytest.approx(rows.pearson[0])
    assert metrics["test"] == read(smoothed)["test"]
    assert "test_subset" not in read(smoothed)
    assert "baselines are scored on 1 of 2 test images" in (run / "im2im.log").read_text()
    page = results(read_record(run))
    assert "Mean of subset" in page
    assert number(rows.pearson[0]) in page


def test_of_a_large_image_its_middle_is_scored_by_network_and_baselines(smoothed, im2im, monkeypatch):
    monkeypatch.setattr("im2im.stages.evaluate.seconds_per_pixel", lambda *_: 30 / (32 * 64))
    monkeypatch.setattr("im2im.stages.baselines.SMALLEST", 1)
    scored = []
    monkeypatch.setattr("im2im.stages.evaluate.cut", lambda image, region: scored.append(region) or image[(slice(None), *region)])
    run = im2im("mode=evaluate", f"run={smoothed}")
    assert scored == [(slice(16, 48), slice(0, 64))] * 2  # of prediction and target
    metrics = read(run)
    assert metrics["test_subset"]["pearson"]["n"] == 1
    assert metrics["test_subset"]["pearson"]["mean"] not in set(pd.read_csv(run / "metrics.csv").pearson)
    assert "baselines are scored on the middle 32 × 64 pixels of d" in (run / "im2im.log").read_text()


def test_evaluation_gives_the_figures_of_the_training_again(smoothed, im2im):
    assert read(im2im("mode=evaluate", f"run={smoothed}"))["baselines"] == read(smoothed)["baselines"]


def test_false_leaves_baselines_out(smoothed, im2im):
    assert "baselines" not in read(im2im("mode=evaluate", f"run={smoothed}", "mode.baselines=false"))
    run = im2im("mode.baselines=false", *SMALL)
    assert "baselines" not in read(run)
    assert not (run / "baselines.json").exists()


def test_a_trial_has_no_baselines(im2im):
    run = im2im("mode.score=false", *SMALL)
    assert not (run / "baselines.json").exists()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (["task=labelfree", *SMALL_3D], {"identity", "gaussian", "linear_filter"}),
        (["task=staining", *SMALL, *SMALL_GAN], {"linear_filter"}),
        (["task=semantic", *UNET, *SMALL[2:]], {"otsu"}),
        (["task=instance", "network.channels=4", *SMALL[2:]], {"otsu_components"}),
        (["task=semantic", "data.target=classes", "task.classes=[background,cytoplasm,nucleus]", *UNET, *SMALL[2:]], {"histogram"}),
    ],
    ids=["labelfree 3D", "staining", "semantic", "instance", "three classes"],
)
def test_each_task_has_baselines_of_its_own(settings, names, im2im):
    metrics = read(im2im(*settings))
    assert set(metrics["baselines"]) == names
    assert all(found.keys() == metrics["test"].keys() for found in metrics["baselines"].values())
