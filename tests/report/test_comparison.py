import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from im2im.report.comparison import Compared, best_of, chances, read_run, write_comparison


def run(name, values, folder, metric="pearson"):
    return Compared(name, folder, pd.DataFrame({metric: values}, index=[f"image_{n}" for n in range(len(values))]))


@pytest.fixture
def runs(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.normal(0.6, 0.1, 12)
    return [run("worse", base - 0.1, tmp_path), run("best", base, tmp_path), run("alike", base + rng.normal(-0.001, 0.05, 12), tmp_path)]


def test_differences_are_tested_over_the_same_images_and_corrected(runs):
    found = chances(runs, "pearson")
    best, worse, alike = (runs[place].images["pearson"] for place in (1, 0, 2))
    raw = [stats.wilcoxon(best, other).pvalue for other in (worse, alike)]
    assert np.isnan(found[1])
    assert found[0] == pytest.approx(2 * raw[0])
    assert found[2] == pytest.approx(max(2 * raw[0], raw[1]))


def test_too_few_images_tell_nothing(tmp_path):
    assert np.isnan(chances([run("a", [0.1, 0.2], tmp_path), run("b", [0.2, 0.3], tmp_path)], "pearson")).all()


def test_images_are_paired_by_name(tmp_path):
    one = run("one", np.linspace(0.1, 0.8, 8), tmp_path)
    other = Compared("other", tmp_path, one.images[::-1] - 0.01)
    assert chances([one, other], "pearson")[1] == pytest.approx(stats.wilcoxon([0.01] * 8).pvalue)


@pytest.mark.parametrize(("metric", "place"), [("pearson", 1), ("nrmse", 0)])
def test_the_best_run_is_that_of_the_metric(metric, place, tmp_path):
    assert best_of([run("low", [0.1, 0.2], tmp_path, metric), run("high", [0.3, 0.4], tmp_path, metric)], metric) == place


def test_a_run_folder_is_read_without_its_classes_and_objects(tmp_path):
    rows = [
        {"stage": "test", "image": "a", "dice": 0.5},
        {"stage": "test", "image": "a", "class": "gland", "dice": 0.4},
        {"stage": "val", "image": "b", "dice": 0.9},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "metrics.csv", index=False)
    assert read_run("run", tmp_path) is None
    (tmp_path / "metrics.json").write_text(json.dumps({"test": {"dice": {"mean": 0.5}}}))
    assert read_run("run", tmp_path).images.to_dict() == {"dice": {"a": 0.5}}


def test_the_page_names_runs_and_failures(runs, tmp_path):
    text = write_comparison(runs, [("learning_rate=1e9", "the loss is no number")], tmp_path).read_text()
    assert all(f">{one.name}<" in text for one in runs)
    assert "the loss is no number" in text
    assert "12 test images in common" in text
    assert "<script" not in text


def test_runs_without_a_common_metric_are_listed_all_the_same(tmp_path):
    runs = [run("images", [0.1, 0.2], tmp_path), run("masks", [0.3, 0.4], tmp_path, "dice"), run("more", [0.2, 0.3], tmp_path)]
    text = write_comparison(runs, [], tmp_path).read_text()
    assert all(f">{one.name}<" in text for one in runs)


def test_images_of_one_name_are_told_apart(tmp_path):
    pd.DataFrame([{"stage": "test", "image": "a", "dice": value} for value in (0.5, 0.6)]).to_csv(tmp_path / "metrics.csv", index=False)
    (tmp_path / "metrics.json").write_text(json.dumps({"test": {"dice": {"mean": 0.55}}}))
    assert read_run("run", tmp_path).images["dice"].to_dict() == {"a": 0.5, "a 2": 0.6}
