import math

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from im2im.search.budget import Budget
from im2im.search.search import Job, Outcome
from im2im.search.trainings import LostJobError, Trainings


def returned(result, status=JobStatus.COMPLETED):
    one = JobReturn()
    one.status, one.return_value = status, result
    return one


def trained(score):
    return returned({"val": {"val/pearson": score}, "train": {"epochs": 4, "seconds": 3.0, "pruned": False}})


class Launcher:
    """Remembers what it was to launch."""

    def __init__(self, *returns):
        self.returns, self.batches = iter(returns), []

    def __call__(self, batch):
        self.batches.append([settings(one) for one in batch])
        return [next(self.returns) for _ in batch]


def settings(arguments):
    parsed = OverridesParser.create().parse_overrides(list(arguments))
    return {one.get_key_element().lstrip("+"): getattr(one.value(), "text", one.value()) for one in parsed}


@pytest.fixture
def make(tmp_path):
    search = {"pruner": "halving", "rungs": 2, "reduction": 4, "parallel": 1, "speed": False}

    def build(launcher, folds=(), end=math.inf, **others):
        cfg = {"hydra": {"sweep": {"dir": str(tmp_path / "it's here")}}, "max_epochs": 16, "logger": {}, "search": search | others}
        cfg |= {"quality": {"monitor": "val/pearson", "mode": "max"}, "callbacks": {"checkpoint": {}}}
        return Trainings(OmegaConf.create(cfg), ["task=labelfree"], "search", folds, launcher, Budget(end))

    return build


def test_a_job_is_a_command_line(make):
    launcher = Launcher(trained(0.5))
    trainings = make(launcher)
    (outcome,) = trainings([Job(3, ("batch_size=4",), 4)])
    ((told,),) = launcher.batches
    folder = str(trainings.folder / "trials" / "3")
    assert (told["task"], told["batch_size"], told["max_epochs"], told["max_time"], told["mode.resume"]) == ("labelfree", 4, 4, None, None)
    assert told["hydra.sweep.subdir"] == folder
    assert told["search.storage"] is None  # wherever it was given
    assert told["callbacks.checkpoint.monitor"] == "val/pearson"
    assert "callbacks.early_stopping.monitor" not in told
    assert outcome.values == (0.5,)
    assert outcome.facts == {"folder": folder, "epochs": 4, "seconds": 3.0}


def test_a_trial_goes_on_in_its_folder(make):
    launcher = Launcher(trained(0.5))
    trainings = make(launcher)
    folder = trainings.folder / "trials" / "3"
    folder.mkdir(parents=True)
    (outcome,) = trainings([Job(3, (), 16, resume=str(folder), spent=10.0)])
    ((told,),) = launcher.batches
    assert told["mode.resume"] == told["hydra.sweep.subdir"] == str(folder)
    assert outcome.facts == {"folder": str(folder), "epochs": 4, "seconds": 13.0}


def test_a_trial_of_an_earlier_command_goes_on_in_a_copy(make, tmp_path):
    launcher = Launcher(trained(0.5))
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "last.ckpt").write_text("weights")
    trainings = make(launcher)
    (outcome,) = trainings([Job(3, (), 16, resume=str(tmp_path / "earlier"), spent=10.0)])
    ((told,),) = launcher.batches
    copied = trainings.folder / "trials" / "3"
    assert told["mode.resume"] == told["hydra.sweep.subdir"] == str(copied)
    assert (copied / "last.ckpt").read_text() == "weights"
    assert outcome.facts == {"folder": str(copied), "epochs": 4, "seconds": 13.0}


def test_a_trial_that_cannot_be_copied_begins_anew(make, tmp_path, caplog):
    launcher = Launcher(trained(0.5))
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "last.ckpt").symlink_to("gone")
    trainings = make(launcher)
    (outcome,) = trainings([Job(3, (), 16, resume=str(tmp_path / "earlier"), spent=10.0)])
    ((told,),) = launcher.batches
    assert told["mode.resume"] is None
    assert outcome.facts["seconds"] == 3.0
    assert not (trainings.folder / "trials" / "3").exists()
    assert "trial 3" in caplog.text


def test_a_trial_whose_folder_is_gone_begins_anew(make, tmp_path):
    launcher = Launcher(trained(0.5))
    (outcome,) = make(launcher)([Job(3, (), 16, resume=str(tmp_path / "gone"), spent=10.0)])
    ((told,),) = launcher.batches
    assert told["mode.resume"] is None
    assert outcome.facts["seconds"] == 3.0


def test_folds_have_one_outcome_together(make, tmp_path):
    launcher = Launcher(trained(0.4), trained(0.6), trained(0.1), returned(ValueError("no"), JobStatus.FAILED))
    good, bad = make(launcher, [tmp_path / "a.csv", tmp_path / "b.csv"])([Job(0, (), 4), Job(1, (), 4)])
    assert [len(batch) for batch in launcher.batches] == [1] * 4
    assert [batch[0]["data.splits"] for batch in launcher.batches] == [str(tmp_path / name) for name in ("a.csv", "b.csv")] * 2
    assert good.values == pytest.approx((0.5,))
    assert good.facts["seconds"] == 6.0
    assert bad.reason == "no"


def test_a_trial_whose_time_is_over_between_its_folds_has_no_score(make, tmp_path):
    launcher = Launcher(trained(0.4))
    (outcome,) = make(launcher, [tmp_path / "a.csv", tmp_path / "b.csv"], end=-math.inf)([Job(0, (), 4)])
    assert len(launcher.batches) == 1
    assert outcome == Outcome()
    assert outcome.failure is None


def test_as_many_are_launched_together_as_asked_for(make):
    launcher = Launcher(*(trained(0.1 * one) for one in range(5)))
    outcomes = make(launcher, parallel=2)([Job(number, (), 4) for number in range(5)])
    assert [len(batch) for batch in launcher.batches] == [2, 2, 1]
    assert [one.values[0] for one in outcomes] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_what_the_launcher_lost_is_told_from_what_failed(make):
    launcher = Launcher(*(returned(error, JobStatus.FAILED) for error in (LostJobError("the launcher lost it"), MemoryError("no"))))
    lost, failed = make(launcher)([Job(0, (), 4), Job(1, (), 4)])
    assert (lost.lost, lost.reason) == (True, "the launcher lost it")
    assert (failed.lost, str(failed.reason).partition(":")[0]) == (False, "out of memory")


def test_a_score_that_validation_has_not_is_named(make):
    launcher = Launcher(returned({"val": {"val/dice": 0.5}, "train": {"epochs": 4, "seconds": 1.0, "pruned": False}}))
    (outcome,) = make(launcher)([Job(0, (), 4)])
    assert outcome.reason == "validation has no val/pearson; set quality.monitor to one of val/dice"
