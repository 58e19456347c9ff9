import logging
from types import SimpleNamespace

import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from im2im.search.grid import _Telling, rank, score

JOBS = [["task=labelfree", f"learning_rate={rate}"] for rate in (0.1, 0.2, 0.3)]


def returned(value=None, folder="0", overrides=(), mode="max", error=None) -> JobReturn:
    """Give what came of a run with this Pearson r of the test images."""
    one = JobReturn(overrides=list(overrides), cfg=OmegaConf.create({"quality": {"monitor": "val/pearson", "mode": mode}}))
    one.hydra_cfg = OmegaConf.create({"hydra": {"runtime": {"output_dir": f"multirun/{folder}"}}})
    one.status = JobStatus.COMPLETED if error is None else JobStatus.FAILED
    one.return_value = error or ({} if value is None else {"test": {"pearson": {"mean": value, "std": 0.1, "n": 2}}})
    return one


def test_the_score_is_that_of_the_test_images_or_of_the_validation():
    assert score(returned(0.5)) == ("test/pearson", 0.5)
    one = returned()
    one.return_value = {"val": {"val/pearson": 0.25}}
    assert score(one) == ("val/pearson", 0.25)
    assert score(returned(error=ValueError("wrong")))[1] is None


class OneByOne(BasicLauncher):
    """Notes what it was asked to launch together."""

    def __init__(self, outcomes):
        self.outcomes, self.asked = list(outcomes), []

    def launch(self, job_overrides, initial_job_idx):
        self.asked.append((len(job_overrides), initial_job_idx))
        return self.outcomes[initial_job_idx : initial_job_idx + len(job_overrides)]


@pytest.mark.parametrize("basic", [True, False])
def test_runs_are_told_before_and_after(basic, caplog):
    outcomes = [returned(0.5), returned(error=ValueError("too large")), returned()]
    launcher = OneByOne(outcomes)
    chosen = launcher if basic else SimpleNamespace(launch=launcher.launch)
    with caplog.at_level(logging.INFO):
        telling = _Telling(chosen, lambda: 3)
        assert telling.launch(JOBS, 0) == telling.returns == outcomes
    told = [record.getMessage().partition(", about")[0] for record in caplog.records if record.name == "im2im.search.grid"]
    before = [f"trial {place} of 3: learning_rate=0.{place}" for place in (1, 2, 3)]
    after = ["trial 1 of 3: test/pearson 0.500", "trial 2 of 3: failed: too large", "trial 3 of 3: done"]
    if basic:
        assert launcher.asked == [(1, 0), (1, 1), (1, 2)]
        assert told == [before[0], after[0], before[1], after[1], before[2], after[2]]
    else:
        assert launcher.asked == [(3, 0)]
        assert told == before + after


def rows(capsys):
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]


@pytest.mark.parametrize(("mode", "order"), [("max", ["1", "0", "2"]), ("min", ["0", "1", "2"])])
def test_a_grid_ends_with_a_ranking_in_which_failed_runs_are_last(mode, order, capsys):
    outcomes = [returned(0.5, "0", JOBS[0], mode), returned(0.75, "1", JOBS[1], mode), returned(None, "2", JOBS[2], error=ValueError("no"))]
    rank(outcomes, [60.0, 120.0, 1.0])
    found = rows(capsys)
    assert [row[3] for row in found] == order
    assert found[0][0] == "1"
    assert found[-1][1:] == ["–", "0:00:01", "2", "learning_rate=0.3"]


def test_runs_without_a_score_are_not_ranked(capsys):
    rank([returned(), returned()], [1.0, 1.0])
    assert capsys.readouterr().out == ""
