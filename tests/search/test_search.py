import itertools
import os
import signal
import time

import optuna
import pytest
from optuna.trial import TrialState
from tests_searching import book, search, train, train_one, two_workers, worker

from im2im.search import bookkeeping, workers
from im2im.search.bookkeeping import Book
from im2im.search.halving import spaced
from im2im.search.samplers import SAMPLERS, combinations, pruner, sampler
from im2im.search.search import Job, Outcome, TooManyFailuresError
from im2im.search.space import space_of
from im2im.search.storage import open_study


def states(found: Book) -> list[str]:
    return [one.state.name for one in found.study.trials]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/search.sqlite"


def test_options_that_fail_are_recorded_with_their_reason_and_do_not_stop_the_search(url):
    found = book(url, 30)
    search(found)(train)
    failed = {one.params["kind"]: one.user_attrs["reason"] for one in found.study.trials if one.state == TrialState.FAIL}
    assert failed == {"raises": "the loss is no number", "memory": "out of memory: DefaultCPUAllocator", "nan": "NaN"}
    done = [one for one in found.study.trials if one.state == TrialState.COMPLETE]
    assert len(found.study.trials) == 30
    assert found.best().number == max(done, key=lambda one: one.value).number


def test_too_many_failures_in_a_row_end_the_search(url):
    found = book(url, space={"x": "interval(-5,5)", "kind": "choice(raises,memory)"})
    with pytest.raises(
        TooManyFailuresError, match=r"3 trials in a row failed, the last one: .*; correct that, or raise search.max_failures"
    ):
        search(found, failures=3)(train)
    assert states(found) == ["FAIL"] * 3


def test_short_trainings_come_first_and_the_best_go_on(url):
    jobs: list[Job] = []
    found = book(url, 9, {"x": "interval(-5,5)"})
    search(found, spaced(3, 9, 3))(lambda batch: jobs.extend(batch) or train(batch))
    assert [(job.epochs, job.resume is not None) for job in jobs] == [(1, False)] * 9 + [(3, True)] * 3 + [(9, True)]
    assert sorted(states(found)) == ["COMPLETE"] + ["PRUNED"] * 8
    assert found.best().user_attrs["epochs"] == 9
    assert jobs[-1].trial == found.best().number
    assert jobs[-1].settings == tuple(f"x={one.params['x']}" for one in found.study.trials if one.number == jobs[-1].trial)


def test_the_default_is_trained_to_its_end_whatever_others_reach(url):
    jobs: list[Job] = []
    found = book(url, 8, {"x": "interval(-5,5)"})
    found.plan([{"x": -5.0}, {"x": 1.0}], default=True)
    search(found, spaced(2, 8, 4))(lambda batch: jobs.extend(batch) or train(batch))
    assert [job.trial for job in jobs if job.epochs == 8][:2] == [1, 0]
    assert found.study.trials[0].state == TrialState.COMPLETE
    assert found.study.trials[0].params == {"x": -5.0}


@pytest.mark.parametrize("total", [4, 5])  # the search ends before it can put them together, or after
def test_changes_that_helped_are_tried_together(total, url):
    study, _ = open_study(url, "search", optuna.pruners.NopPruner(), ["maximize"])
    found = Book(study, {"x": "interval(-5,5)", "y": "interval(-5,5)", "z": "interval(-5,5)"}, total)
    default = {"x": 0.0, "y": 0.0, "z": 0.0}
    found.plan([default, {**default, "x": 1.0}, {**default, "y": 2.0}, {**default, "z": -1.0}], default=True)

    def sums(batch):
        return [Outcome((sum(float(one.split("=")[1]) for one in job.settings),), facts={"folder": ""}) for job in batch]

    search(found)(sums)
    found.total = 5
    search(found)(sums)
    assert found.study.trials[4].params == {"x": 1.0, "y": 2.0, "z": 0.0}
    assert len(found.study.trials) == 5


def test_good_ones_among_many_failures_are_kept(url):
    found = book(url, 8, {"x": "interval(-5,5)"})
    bad = {5, 6, 7}
    with pytest.raises(TooManyFailuresError, match=r"3 trials in a row failed"):
        search(found, parallel=8, failures=3)(lambda batch: [Outcome(reason="no") if one.trial in bad else train_one(one) for one in batch])
    assert states(found) == ["COMPLETE"] * 5 + ["FAIL"] * 3


def test_what_was_reached_before_too_many_failures_is_kept(url):
    found = book(url, 9, {"x": "interval(-5,5)"})
    with pytest.raises(TooManyFailuresError):
        search(found, spaced(2, 9, 9), failures=3)(
            lambda batch: [Outcome(reason="no") if one.trial > 4 else train_one(one) for one in batch]
        )
    assert states(found) == ["PRUNED"] * 5 + ["FAIL"] * 3
    assert found.best().number == max(range(5), key=lambda number: bookkeeping.value(found.study.trials[number]))


def test_a_killed_worker_loses_no_training_that_was_done(url, monkeypatch):
    found = book(url, 4, {"x": "interval(-5,5)"})
    jobs: list[Job] = []

    def dies(batch):
        if batch[0].epochs == 8:
            raise KeyboardInterrupt
        return train(batch)

    with pytest.raises(KeyboardInterrupt):
        search(found, spaced(2, 8, 4))(dies)
    with monkeypatch.context() as patched:
        patched.setattr(bookkeeping, "_alive", lambda trial: False)
        found.repeat_killed()
    monkeypatch.undo()
    search(found, spaced(2, 8, 4))(lambda batch: jobs.extend(batch) or train(batch))
    best = max(found.study.trials[:4], key=lambda one: one.user_attrs["reached"]["2"][0])
    assert [(job.epochs, job.resume) for job in jobs] == [(8, f"trials/{best.number}")]
    assert [one.params for one in found.study.trials if one.state == TrialState.COMPLETE] == [best.params]
    assert len(found.counted()) == 4


def test_what_a_launcher_lost_is_trained_once_more_alone(url):
    found = book(url, 4, {"x": "interval(-5,5)"})
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
    found = book(url, 2, {"x": "interval(-5,5)"})
    found.plan([{"x": 3.0}], default=True)
    trial = found.study.ask()  # killed before it draws
    found.study._storage.set_trial_user_attr(trial._trial_id, "trained", False)
    monkeypatch.setattr(bookkeeping, "_alive", lambda trial: False)
    found.repeat_killed()
    (again,) = found.ask(1)
    assert again.params == {"x": 3.0}
    assert bookkeeping.is_default(again)


def test_two_workers_repeat_a_killed_trial_once(url, monkeypatch):
    one, other = book(url, 4, {"x": "interval(-5,5)"}), book(url, 4, {"x": "interval(-5,5)"})
    one.ask(1)
    monkeypatch.setattr(bookkeeping, "_alive", lambda trial: False)
    running = one.study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    other.repeat_killed()
    monkeypatch.setattr(one.study, "get_trials", lambda **_: running)  # it looked before the other one acted
    one.repeat_killed()
    assert states(other) == ["FAIL", "WAITING"]


def test_a_result_of_a_worker_that_was_taken_for_dead_is_left_alone(url, monkeypatch, caplog):
    found = book(url, 1, {"x": "interval(-5,5)"})
    monkeypatch.setattr(bookkeeping, "_alive", lambda trial: False)

    def taken(batch):
        if batch[0].trial == 0:
            book(url, 1, {"x": "interval(-5,5)"}).repeat_killed()
        return train(batch)

    search(found)(taken)
    assert states(found) == ["FAIL", "COMPLETE"]
    assert "trial 0 was taken for dead by another worker" in caplog.text


def test_trials_are_trained_together(url):
    sizes = []
    search(book(url, 7), parallel=3)(lambda batch: sizes.append(len(batch)) or train(batch))
    assert sizes == [3, 3, 1]


def test_a_trial_without_a_score_stops_early(url):
    found = book(url, 2, {"x": "interval(-5,5)"})
    search(found)(lambda batch: [Outcome(pruned=True) if one.trial else train_one(one) for one in batch])
    assert states(found) == ["COMPLETE", "PRUNED"]
    assert found.best().number == 0


def test_time_that_is_over_ends_the_search_and_keeps_the_best_so_far(url):
    found = book(url, 50, {"x": "interval(-5,5)"})
    slow = search(found, spaced(3, 9, 3), seconds=4.0)

    def run(batch):
        time.sleep(0.5)
        return train(batch)

    slow(run)
    assert len(found.study.trials) < 50
    assert "RUNNING" not in states(found)
    assert found.best() is not None


def test_the_search_goes_on_to_its_total(url):
    search(book(url, 5))(train)
    found = book(url, 8)
    search(found)(train)
    assert len(found.study.trials) == 8
    search(found)(train)
    assert len(found.study.trials) == 8


def test_several_objectives_are_kept(url):
    found = book(url, 6, {"x": "interval(-5,5)"}, name="nsga2", directions=("maximize", "minimize"))
    search(found)(lambda batch: [Outcome((train_one(job).values[0], 0.5), facts={"epochs": 4}) for job in batch])
    assert all(one.values[1] == 0.5 for one in found.study.trials)
    assert found.best().values[0] == max(one.values[0] for one in found.study.trials)


def test_a_search_that_is_killed_goes_on_without_a_duplicate(url):
    found = book(url, 12, {"x": "interval(-5,5)"})
    killed = worker(url, 0, hangs=4)
    while len(found.study.trials) < 5 or not found.study.trials[4].user_attrs.get("trained"):
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    before = found.study.trials[:4]
    assert states(found) == ["COMPLETE"] * 4 + ["RUNNING"]
    found = book(url, 12, {"x": "interval(-5,5)"}, seed=1)
    search(found)(train)
    assert len(found.counted()) == 12
    assert states(found) == ["COMPLETE"] * 4 + ["FAIL"] + ["COMPLETE"] * 8
    assert found.study.trials[4].user_attrs["reason"] == "killed"
    assert found.study.trials[5].params == found.study.trials[4].params
    assert found.study.trials[:4] == before
    finished = [one.params["x"] for one in found.study.trials if one.state == TrialState.COMPLETE]
    assert len(set(finished)) == 12


def test_a_trial_that_kills_its_worker_again_is_not_repeated_for_ever(url, monkeypatch):
    found = book(url, 3, {"x": "interval(-5,5)"})
    monkeypatch.setattr(bookkeeping, "_alive", lambda trial: False)
    for _ in range(2):
        (trial,) = found.ask(1)
        trial.set_user_attr("trained", True)
        found.repeat_killed()
    assert [one.user_attrs.get("reason") for one in found.study.trials] == ["killed", "killed again"]
    assert len(found.counted()) == 1


@pytest.mark.parametrize(("seen", "kept"), [(0, True), (2 * workers.SILENT, False)])
def test_a_worker_on_another_machine_is_dead_when_it_is_silent(seen, kept, url):
    found = book(url, 3, {"x": "interval(-5,5)"})
    (trial,) = found.ask(1)
    for name, value in {"worker": {"host": "elsewhere", "pid": 1, "begun": "1"}, "seen": time.time() - seen}.items():
        trial.set_user_attr(name, value)
    found.repeat_killed()
    assert (states(found) == ["RUNNING"]) == kept


def test_a_trial_that_another_worker_has_just_begun_is_left_to_it(url):
    found = book(url, 3, {"x": "interval(-5,5)"})
    found.study.ask(found.distributions)
    found.repeat_killed()
    assert states(found) == ["RUNNING"]


def test_workers_say_that_they_are_alive(url, monkeypatch):
    monkeypatch.setattr(bookkeeping, "HEARTBEAT", 0.01)
    found = book(url, 3, {"x": "interval(-5,5)"})
    trials = found.ask(1)
    trials[0].set_user_attr("seen", 0.0)
    with found.training(trials, trials):
        time.sleep(0.2)
        assert found.study.trials[0].user_attrs["trained"]
    assert found.study.trials[0].user_attrs["seen"] == pytest.approx(time.time(), abs=30)
    assert not found.study.trials[0].user_attrs["trained"]


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_two_workers_share_a_search(kind, tmp_path):
    url = f"sqlite:///{tmp_path}/search.sqlite" if kind == "sqlite" else f"{tmp_path}/search.log"
    book(url, 12, {"x": "interval(-5,5)"})
    two_workers(url)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_finds_values(name, url):
    if name == "cmaes":
        pytest.importorskip("cmaes")
    found = book(url, 10, {"x": "interval(-5,5)", "n": "range(1,4)"}, name=name)
    search(found)(lambda batch: [Outcome((-abs(one.trial),), facts={"epochs": 4}) for one in batch])
    assert states(found) == ["COMPLETE"] * 10
    assert len({tuple(one.params.values()) for one in found.study.trials}) > 5


def test_a_larger_total_goes_on_with_a_grid(url):
    for total, planned in ((2, ["a", "b"]), (9, ["a", "b", "c"])):
        found = book(url, total, {"x": "choice(a,b,c)"}, name="grid")
        found.total = min(total, 3)
        found.plan([{"x": one} for one in "abc"])
        search(found)(lambda batch: [Outcome((0.0,), facts={"epochs": 4}) for _ in batch])
        assert [one.params["x"] for one in found.study.trials] == planned


def test_a_planned_trial_that_another_worker_left_no_room_for_is_kept_for_later(url, monkeypatch):
    found = book(url, 1, {"x": "choice(a,b)"})
    for one in "ab":
        found.study.enqueue_trial({"x": one})
    (first,) = found.ask(1)
    monkeypatch.setattr(found, "counted", iter([[], [0, 1]]).__next__)  # the other worker asked in between
    assert found.ask(1) == []
    assert first.number == 0
    assert states(found) == ["RUNNING", "FAIL", "WAITING"]
    assert found.study.trials[2].system_attrs["fixed_params"] == {"x": "b"}


def test_a_grid_has_every_step_of_a_range():
    values = [one["x"] for one in combinations(space_of({"x": "range(0.1,0.6,0.1)"}), 0)]
    assert sorted(values) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_a_grid_goes_through_every_combination(url):
    found = book(url, 20, {"x": "choice(a,b,c)", "n": "interval(0,3)"}, name="grid")
    grid = combinations(found.dimensions, 0)
    found.total = len(grid)
    found.plan(grid)
    search(found)(lambda batch: [Outcome((0.0,), facts={"epochs": 4}) for _ in batch])
    values = {(one.params["x"], one.params["n"]) for one in found.study.trials}
    assert len(found.study.trials) == 12
    assert values == set(itertools.product("abc", (0.0, 1.0, 2.0, 3.0)))


@pytest.mark.parametrize(("make", "key"), [(sampler, "sampler"), (pruner, "pruner")])
def test_an_unknown_name_is_refused(make, key):
    with pytest.raises(ValueError, match=rf"search.{key} is one of .*, got best; set search.{key}="):
        make("best", 0) if key == "sampler" else make("best", 1, 9)
