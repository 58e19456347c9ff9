import re

import pandas as pd
import pytest

from im2im.report.search_page import Found, write_search_page

COLUMNS = ("trial", "state", "value", "epochs", "seconds", "reason", "network", "learning_rate")
ROWS = [
    (0, "complete", 0.5, 20, 60.0, None, "fnet", 0.001),
    (1, "complete", 0.75, 20, 61.0, None, "unet", 0.0025),
    (2, "pruned", 0.25, 5, 15.0, None, "fnet", 1e-05),
    (3, "fail", None, 5, None, "out of <memory>", "unet", 1.0),
    (4, "killed", None, 5, None, "killed", "fnet", 0.001),
]


@pytest.fixture
def shown(tmp_path):
    def write(rows=ROWS, **others):
        facts = {
            "name": "labelfree-1",
            "trials": pd.DataFrame(rows, columns=COLUMNS).assign(folder=str(tmp_path)),
            "choices": ("network", "learning_rate"),
            "importance": {"network": 0.7, "learning_rate": 0.3},
            "metric": "val/pearson",
            "maximize": True,
            "best": 1,
            "default": 0,
            "test": {"pearson": {"mean": 0.625, "std": 0.1, "n": 8}},
            "commands": {"predict": "python -m im2im mode=predict"},
        }
        text = write_search_page(Found(**(facts | others)), tmp_path).read_text()
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text[text.index("<body") :]))

    return write


def test_the_best_stands_beside_the_default_and_its_test_score(shown):
    text = shown()
    assert "Validation Pearson r 0.750 trial 1, 20 epochs The default's 0.500 trial 0, 20 epochs Test Pearson r 0.625 n = 8" in text
    assert "network unet learning_rate 0.00250" in text
    assert "5 trials: 2 trained to the end, 1 stopped early, 1 failed, 1 killed and tried again" in text
    assert "python -m im2im mode=predict" in text


def test_what_mattered_and_what_failed_is_told(shown):
    text = shown()
    assert re.search(r"What mattered.*network 70% learning_rate 30%", text)
    assert re.search(r"What failed Trial Why 3 out of &lt;memory&gt;", text)
    assert "4 killed" not in text.partition("What failed")[2]


@pytest.mark.parametrize(("maximize", "order"), [(True, ["1", "0", "2"]), (False, ["2", "0", "1"])])
def test_trials_are_listed_from_the_best(maximize, order, shown):
    listed = shown(maximize=maximize).partition("Trials Trial Pearson r")[2]
    assert re.findall(r" (\d) 0\.\d+ \d+ \d+ ", listed)[:3] == order


def test_without_a_best_trial_there_is_still_a_page(shown):
    text = shown(rows=ROWS[3:4], best=None, default=None, importance={}, test={}, commands={})
    assert "1 trials: 1 failed" in text
    assert "The best configuration" not in text
