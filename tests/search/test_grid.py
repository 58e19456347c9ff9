import logging
import re
from types import SimpleNamespace

import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from im2im.search.grid import LoggingLauncher, differing, rank, scores_of

JOBS = [["task=labelfree", f"learning_rate={rate}"] for rate in (0.1, 0.2, 0.3)]
NAMES = [f"learning_rate={rate}" for rate in (0.1, 0.2, 0.3)]


def returned(value=None, folder="0", overrides=(), mode="max", error=None, val=None, patch_size=(32, 32), seconds=60.0) -> JobReturn:
    """Give what came of a run with this Pearson r of the test images and of the validation."""
    settings = {"quality": {"monitor": "val/pearson", "mode": mode}, "patch_size": list(patch_size)}
    one = JobReturn(overrides=list(overrides), cfg=OmegaConf.create(settings))
    one.hydra_cfg = OmegaConf.create({"hydra": {"runtime": {"output_dir": f"multirun/{folder}"}}})
    one.status = JobStatus.COMPLETED if error is None else JobStatus.FAILED
    trained = {"train": {"seconds": seconds, "val": {} if val is None else {"val/pearson": val}}}
    one.return_value = error or ({} if value is None else {"test": {"pearson": {"mean": value, "std": 0.1, "n": 2}}, **trained})
    return one


def test_scores_are_those_of_validation_and_test_images():
    assert scores_of(returned(0.5, val=0.25)) == {"val/pearson": 0.25, "test/pearson": 0.5}
    assert scores_of(returned(0.5)) == {"test/pearson": 0.5}
    one = returned()
    one.return_value = {"val": {"val/pearson": 0.25}, "train": {"seconds": 1.0}}  # of mode.score=false
    assert scores_of(one) == {"val/pearson": 0.25}
    assert scores_of(returned(error=ValueError("wrong"))) == {}


class OneByOne(BasicLauncher):
    """Notes what it was asked to launch together."""

    def __init__(self, outcomes):
        self.outcomes, self.asked = list(outcomes), []

    def launch(self, job_overrides, initial_job_idx):
        self.asked.append((len(job_overrides), initial_job_idx))
        return self.outcomes[initial_job_idx : initial_job_idx + len(job_overrides)]


@pytest.mark.parametrize("basic", [True, False])
def test_runs_are_told_before_and_after(basic, caplog):
    outcomes = [returned(0.5, val=0.25), returned(error=ValueError("too large")), returned()]
    launcher = OneByOne(outcomes)
    chosen = launcher if basic else SimpleNamespace(launch=launcher.launch)
    with caplog.at_level(logging.INFO):
        kept = LoggingLauncher(chosen, lambda: NAMES)
        assert kept.launch(JOBS, 0) == [outcomes[0], outcomes[2]]  # the error of the other one is told already
    assert kept.returns == outcomes
    told = [re.sub(r"about \d:\d\d:\d\d", "TIME", one.getMessage()) for one in caplog.records if one.name == "im2im.search.grid"]
    before = [f"trial {place} of 3: learning_rate=0.{place}" for place in (1, 2, 3)]
    after = ["trial 1 of 3: val/pearson 0.250, test/pearson 0.500", "trial 2 of 3 failed: too large", "trial 3 of 3: done"]
    if basic:
        assert launcher.asked == [(1, 0), (1, 1), (1, 2)]
        assert told == [before[0], f"{after[0]}, TIME left", before[1], after[1], before[2], after[2]]
    else:
        assert launcher.asked == [(3, 0)]
        assert told == before + after


def test_what_ended_before_an_interruption_is_kept():
    def launch(jobs, first):
        if first == 1:
            raise KeyboardInterrupt
        return [returned(0.5)]

    launcher = OneByOne([])
    launcher.launch = launch
    kept = LoggingLauncher(launcher, lambda: NAMES)
    with pytest.raises(KeyboardInterrupt):
        kept.launch(JOBS, 0)
    assert [scores_of(one) for one in kept.returns] == [{"test/pearson": 0.5}]


def shown(capsys):
    """Give the title and the cells of the table that was printed."""
    lines = capsys.readouterr().out.splitlines()
    title = " ".join(line.strip() for line in lines[: next(place for place, line in enumerate(lines) if line.startswith("┏"))])
    return title, [[cell.strip() for cell in line.strip("│┃").split("│" if "│" in line else "┃")] for line in lines if line[0] in "│┃"]


@pytest.mark.parametrize(("mode", "order"), [("max", ["1", "0", "2"]), ("min", ["0", "1", "2"])])
def test_a_grid_ends_with_a_ranking_by_validation_in_which_failed_runs_are_last(mode, order, capsys):
    outcomes = [
        returned(0.9, "0", JOBS[0], mode, val=0.5, seconds=60.0),
        returned(0.8, "1", JOBS[1], mode, val=0.75, seconds=120.0),
        returned(None, "2", JOBS[2], error=ValueError("no")),
    ]
    rank(outcomes, NAMES)
    title, (head, *rows) = shown(capsys)
    assert title == "2 of 3 trials were scored, ranked by the validation of their best epochs"
    assert head == ["rank", "val/pearson", "test/pearson", "time", "folder", "what changed"]
    assert [row[4] for row in rows] == order
    assert sorted(rows)[0 if mode == "max" else 1][1:4] == ["0.750", "0.800", "0:02:00"]
    assert rows[-1][1:] == ["–", "–", "–", "2", "learning_rate=0.3"]


def test_a_grid_that_only_test_images_rank_says_so(capsys):
    rank([returned(0.5, "0", JOBS[0]), returned(0.75, "1", JOBS[1])], NAMES[:2])
    title, (head, *rows) = shown(capsys)
    assert title == "2 of 2 trials were scored, ranked by test images alone, so that no setting should be chosen by it"
    assert head[1:3] == ["test/pearson", "time"]
    assert [row[3] for row in rows] == ["1", "0"]


def test_validation_patches_that_differ_in_size_are_pointed_out(capsys):
    rank([returned(0.5, "0", JOBS[0], val=0.5), returned(0.5, "1", JOBS[1], val=0.5, patch_size=(64, 64))], NAMES[:2])
    assert shown(capsys)[0].endswith("the validation of their best epochs, whose patches differ in size")


def test_jobs_are_named_by_what_not_all_of_them_have():
    assert differing(JOBS) == NAMES
    assert differing(JOBS[:1]) == ["task=labelfree learning_rate=0.1"]


def test_an_interrupted_grid_names_the_runs_before_as_the_whole_one(capsys):
    rank([returned(0.5, "0", JOBS[0], val=0.5)], NAMES)
    title, (_, row) = shown(capsys)
    assert title.startswith("1 of 3 trials were scored")
    assert row[-1] == "learning_rate=0.1"


def test_runs_without_a_score_are_not_ranked(capsys):
    rank([returned(), returned()], NAMES[:2])
    assert capsys.readouterr().out == ""
