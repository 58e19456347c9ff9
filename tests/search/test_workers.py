"""Workers that share a search, are killed, or lose their jobs."""

import os
import signal
import subprocess
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from tests_searching import search, states, train, trials_in, two_workers, worker

from im2im.search import trials, workers
from im2im.search.halving import spaced
from im2im.search.search import Job, Outcome


def test_a_killed_worker_loses_no_training_that_was_done(url, monkeypatch):
    found = trials_in(url, 4, {"x": "interval(-5,5)"})
    jobs: list[Job] = []

    def dies(batch):
        if batch[0].epochs == 8:
            raise KeyboardInterrupt
        return train(batch)

    with pytest.raises(KeyboardInterrupt):
        search(found, spaced(2, 8, 4))(dies)
    with monkeypatch.context() as patched:
        patched.setattr(trials, "_alive", lambda trial: False)
        found.repeat_killed()
    monkeypatch.undo()
    search(found, spaced(2, 8, 4))(lambda batch: jobs.extend(batch) or train(batch))
    best = max(found.study.trials[:4], key=lambda one: one.user_attrs["reached"]["2"][0])
    assert [(job.epochs, job.resume) for job in jobs] == [(8, f"trials/{best.number}")]
    assert [one.params for one in found.study.trials if one.state == TrialState.COMPLETE] == [best.params]
    assert len(found.counted()) == 4


def test_what_a_launcher_lost_is_trained_once_more_alone(url):
    found = trials_in(url, 4, {"x": "interval(-5,5)"})
    batches: list[list[int]] = []

    def loses(batch):
        batches.append([job.trial for job in batch])
        if 1 in batches[-1] or found.study.trials[batch[0].trial].params == found.study.trials[1].params:
            return [Outcome(reason="the launcher lost it", lost=True) for _ in batch]
        return train(batch)

    search(found, parallel=4, failures=2)(loses)
    assert batches == [[0, 1, 2, 3], [4], [5], [6], [7]]
    assert states(found) == ["FAIL"] * 4 + ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert found.study.trials[5].user_attrs["reason"] == "the launcher lost it again"
    assert len(found.counted()) == 4


def test_the_default_stays_the_default_when_its_worker_dies_before_it_has_values(url, monkeypatch):
    found = trials_in(url, 2, {"x": "interval(-5,5)"})
    found.plan([{"x": 3.0}], default=True)
    trial = found.study.ask()  # killed before it draws
    found.study._storage.set_trial_user_attr(trial._trial_id, "trained", False)
    monkeypatch.setattr(trials, "_alive", lambda trial: False)
    found.repeat_killed()
    (again,) = found.ask(1)
    assert again.params == {"x": 3.0}
    assert trials.is_default(again)


def test_two_workers_repeat_a_killed_trial_once(url, monkeypatch):
    one, other = trials_in(url, 4, {"x": "interval(-5,5)"}), trials_in(url, 4, {"x": "interval(-5,5)"})
    one.ask(1)
    monkeypatch.setattr(trials, "_alive", lambda trial: False)
    running = one.study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    other.repeat_killed()
    monkeypatch.setattr(one.study, "get_trials", lambda **_: running)  # it looked before the other one acted
    one.repeat_killed()
    assert states(other) == ["FAIL", "WAITING"]


def test_a_result_of_a_worker_that_was_taken_for_dead_is_left_alone(url, monkeypatch, caplog):
    found = trials_in(url, 1, {"x": "interval(-5,5)"})
    monkeypatch.setattr(trials, "_alive", lambda trial: False)

    def taken(batch):
        if batch[0].trial == 0:
            trials_in(url, 1, {"x": "interval(-5,5)"}).repeat_killed()
        return train(batch)

    search(found)(taken)
    assert states(found) == ["FAIL", "COMPLETE"]
    assert "trial 0 was taken for dead by another worker" in caplog.text


def test_a_search_that_is_killed_goes_on_without_a_duplicate(url):
    found = trials_in(url, 12, {"x": "interval(-5,5)"})
    killed = worker(url, 0, hangs=4)
    while len(found.study.trials) < 5 or not found.study.trials[4].user_attrs.get("trained"):
        assert killed.poll() is None
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    before = found.study.trials[:4]
    assert states(found) == ["COMPLETE"] * 4 + ["RUNNING"]
    found = trials_in(url, 12, {"x": "interval(-5,5)"}, seed=1)
    search(found)(train)
    assert len(found.counted()) == 12
    assert states(found) == ["COMPLETE"] * 4 + ["FAIL"] + ["COMPLETE"] * 8
    assert found.study.trials[4].user_attrs["reason"] == "killed"
    assert found.study.trials[5].params == found.study.trials[4].params
    assert found.study.trials[:4] == before
    finished = [one.params["x"] for one in found.study.trials if one.state == TrialState.COMPLETE]
    assert len(set(finished)) == 12


def test_a_trial_that_kills_its_worker_again_is_not_repeated_for_ever(url, monkeypatch):
    found = trials_in(url, 3, {"x": "interval(-5,5)"})
    monkeypatch.setattr(trials, "_alive", lambda trial: False)
    for _ in range(2):
        (trial,) = found.ask(1)
        trial.set_user_attr("trained", True)
        found.repeat_killed()
    assert [one.user_attrs.get("reason") for one in found.study.trials] == ["killed", "killed again"]
    assert len(found.counted()) == 1


@pytest.mark.parametrize(("seen", "kept"), [(0, True), (2 * workers.SILENT, False)])
def test_a_worker_on_another_machine_is_dead_when_it_is_silent(seen, kept, url):
    found = trials_in(url, 3, {"x": "interval(-5,5)"})
    (trial,) = found.ask(1)
    for name, value in {"worker": {"host": "elsewhere", "pid": 1, "begun": "1"}, "seen": time.time() - seen}.items():
        trial.set_user_attr(name, value)
    found.repeat_killed()
    assert (states(found) == ["RUNNING"]) == kept


def test_a_trial_that_another_worker_has_just_begun_is_left_to_it(url):
    found = trials_in(url, 3, {"x": "interval(-5,5)"})
    found.study.ask(found.distributions)
    found.repeat_killed()
    assert states(found) == ["RUNNING"]


def test_workers_say_that_they_are_alive(url, monkeypatch):
    monkeypatch.setattr(trials, "HEARTBEAT", 0.01)
    found = trials_in(url, 3, {"x": "interval(-5,5)"})
    asked = found.ask(1)
    asked[0].set_user_attr("seen", 0.0)
    with found.training(asked, asked):
        time.sleep(0.2)
        assert found.study.trials[0].user_attrs["trained"]
    assert found.study.trials[0].user_attrs["seen"] == pytest.approx(time.time(), abs=30)
    assert not found.study.trials[0].user_attrs["trained"]


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_two_workers_share_a_search(kind, tmp_path):
    url = f"sqlite:///{tmp_path}/search.sqlite" if kind == "sqlite" else f"{tmp_path}/search.log"
    trials_in(url, 12, {"x": "interval(-5,5)"})
    two_workers(url)


def test_a_planned_trial_that_another_worker_left_no_room_for_is_kept_for_later(url, monkeypatch):
    found = trials_in(url, 1, {"x": "choice(a,b)"})
    for one in "ab":
        found.study.enqueue_trial({"x": one})
    (first,) = found.ask(1)
    monkeypatch.setattr(found, "counted", iter([[], [0, 1]]).__next__)  # the other worker asked in between
    assert found.ask(1) == []
    assert first.number == 0
    assert states(found) == ["RUNNING", "FAIL", "WAITING"]
    assert found.study.trials[2].system_attrs["fixed_params"] == {"x": "b"}


def test_a_worker_whose_parent_did_not_clear_it_away_is_dead():
    process = subprocess.Popen(["sleep", "600"])
    known = {**workers.identity(), "pid": process.pid, "begun": workers._begun(process.pid)}
    assert workers.alive(known, 0.0, time.time())
    process.kill()
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    assert not workers.alive(known, 0.0, time.time())
    process.wait()


@pytest.mark.parametrize("error", [optuna.exceptions.StorageInternalError("locked"), OSError("stale"), RuntimeError("lock lost")])
def test_a_storage_that_fails_once_ends_no_signs_of_life(error, url, monkeypatch):
    monkeypatch.setattr(trials, "HEARTBEAT", 0.01)
    found = trials_in(url, 3, {"x": "interval(-5,5)"})
    (asked,) = found.ask(1)
    marked, failing = asked.set_user_attr, [error]

    def fails_once(name, fact):
        if name == "seen" and failing:
            raise failing.pop()
        marked(name, fact)

    monkeypatch.setattr(asked, "set_user_attr", fails_once)
    marked("seen", 0.0)
    with found.training([asked], [asked]):
        time.sleep(0.3)
    assert not failing
    assert found.study.trials[0].user_attrs["seen"] > 0.0
