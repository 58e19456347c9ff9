import itertools
import math
import time

import pytest
from optuna.trial import TrialState
from tests_searching import search, states, train, train_one, trials_in

from im2im.search import trials
from im2im.search.halving import spaced
from im2im.search.results import importance
from im2im.search.samplers import SAMPLERS, combinations, pruner, sampler
from im2im.search.search import Job, Outcome, TooManyFailuresError
from im2im.search.space import space_of
from im2im.search.storage import open_study
from im2im.search.trials import Trials


def test_options_that_fail_are_recorded_with_their_reason_and_do_not_stop_the_search(url):
    found = trials_in(url, 30)
    search(found)(train)
    failed = {one.params["kind"]: one.user_attrs["reason"] for one in found.study.trials if one.state == TrialState.FAIL}
    assert failed == {"raises": "the loss is no number", "memory": "out of memory: DefaultCPUAllocator", "nan": "NaN"}
    done = [one for one in found.study.trials if one.state == TrialState.COMPLETE]
    assert len(found.study.trials) == 30
    assert found.best().number == max(done, key=lambda one: one.value).number


def test_too_many_failures_in_a_row_end_the_search(url):
    found = trials_in(url, space={"x": "interval(-5,5)", "kind": "choice(raises,memory)"})
    with pytest.raises(
        TooManyFailuresError, match=r"3 trials in a row failed, the last one: .*; correct that, or raise search.max_failures"
    ):
        search(found, failures=3)(train)
    assert states(found) == ["FAIL"] * 3


def test_short_trainings_come_first_and_the_best_go_on(url):
    jobs: list[Job] = []
    found = trials_in(url, 9, {"x": "interval(-5,5)"})
    search(found, spaced(3, 9, 3))(lambda batch: jobs.extend(batch) or train(batch))
    assert [(job.epochs, job.resume is not None) for job in jobs] == [(1, False)] * 9 + [(3, True)] * 3 + [(9, True)]
    assert sorted(states(found)) == ["COMPLETE"] + ["PRUNED"] * 8
    assert found.best().user_attrs["epochs"] == 9
    assert jobs[-1].trial == found.best().number
    assert jobs[-1].settings == tuple(f"x={one.params['x']}" for one in found.study.trials if one.number == jobs[-1].trial)


def test_the_default_is_trained_to_its_end_whatever_others_reach(url):
    jobs: list[Job] = []
    found = trials_in(url, 8, {"x": "interval(-5,5)"})
    found.plan([{"x": -5.0}, {"x": 1.0}], default=True)
    search(found, spaced(2, 8, 4))(lambda batch: jobs.extend(batch) or train(batch))
    assert [job.trial for job in jobs if job.epochs == 8][:2] == [1, 0]
    assert found.study.trials[0].state == TrialState.COMPLETE
    assert found.study.trials[0].params == {"x": -5.0}


@pytest.mark.parametrize("total", [4, 5])  # the search ends before it can put them together, or after
def test_changes_that_helped_are_tried_together(total, url):
    study, _ = open_study(url, "search", ["maximize"])
    found = Trials(study, {"x": "interval(-5,5)", "y": "interval(-5,5)", "z": "interval(-5,5)"}, total)
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
    found = trials_in(url, 8, {"x": "interval(-5,5)"})
    bad = {5, 6, 7}
    with pytest.raises(TooManyFailuresError, match=r"3 trials in a row failed"):
        search(found, parallel=8, failures=3)(lambda batch: [Outcome(reason="no") if one.trial in bad else train_one(one) for one in batch])
    assert states(found) == ["COMPLETE"] * 5 + ["FAIL"] * 3


def test_what_was_reached_before_too_many_failures_is_kept(url):
    found = trials_in(url, 9, {"x": "interval(-5,5)"})
    with pytest.raises(TooManyFailuresError):
        search(found, spaced(2, 9, 9), failures=3)(
            lambda batch: [Outcome(reason="no") if one.trial > 4 else train_one(one) for one in batch]
        )
    assert states(found) == ["PRUNED"] * 5 + ["FAIL"] * 3
    assert found.best().number == max(range(5), key=lambda number: trials.value(found.study.trials[number]))


def test_trials_are_trained_together(url):
    sizes = []
    search(trials_in(url, 7), parallel=3)(lambda batch: sizes.append(len(batch)) or train(batch))
    assert sizes == [3, 3, 1]


def test_a_planned_trial_that_the_time_left_without_a_score_is_for_the_next_command(url):
    found = trials_in(url, 2, {"x": "interval(-5,5)"})
    found.plan([{"x": 3.0}], default=True)
    over = search(found)

    def run(batch):
        over.end = -math.inf
        return [Outcome() for _ in batch]

    over(run)
    assert states(found) == ["FAIL", "WAITING"]
    assert found.counted() == []
    search(found)(train)
    assert trials.is_default(found.study.trials[1])
    assert found.study.trials[1].params == {"x": 3.0}
    assert len(found.counted()) == 2


def test_a_trial_that_the_time_left_without_a_second_score_keeps_its_first(url):
    found = trials_in(url, 1, {"x": "interval(-5,5)"})
    search(found, spaced(2, 8, 4))(lambda batch: train(batch) if batch[0].epochs == 2 else [Outcome() for _ in batch])
    assert states(found) == ["PRUNED"]
    assert found.best().number == 0


def test_time_that_is_over_ends_the_search_and_keeps_the_best_so_far(url):
    found = trials_in(url, 50, {"x": "interval(-5,5)"})
    slow = search(found, spaced(3, 9, 3), seconds=4.0)

    def run(batch):
        time.sleep(0.5)
        return train(batch)

    slow(run)
    assert len(found.study.trials) < 50
    assert "RUNNING" not in states(found)
    assert found.best() is not None


def test_the_search_goes_on_to_its_total(url):
    search(trials_in(url, 5))(train)
    found = trials_in(url, 8)
    search(found)(train)
    assert len(found.study.trials) == 8
    search(found)(train)
    assert len(found.study.trials) == 8


def test_several_objectives_are_kept(url):
    found = trials_in(url, 6, {"x": "interval(-5,5)"}, name="nsga2", directions=("maximize", "minimize"))
    search(found)(lambda batch: [Outcome((train_one(job).values[0], 0.5), facts={"epochs": 4}) for job in batch])
    assert all(one.values[1] == 0.5 for one in found.study.trials)
    assert found.best().values[0] == max(one.values[0] for one in found.study.trials)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_finds_values(name, url):
    if name == "cmaes":
        pytest.importorskip("cmaes")
    found = trials_in(url, 10, {"x": "interval(-5,5)", "n": "range(1,4)"}, name=name)
    search(found)(lambda batch: [Outcome((-abs(one.trial),), facts={"epochs": 4}) for one in batch])
    assert states(found) == ["COMPLETE"] * 10
    assert len({tuple(one.params.values()) for one in found.study.trials}) > 5


def test_a_larger_total_goes_on_with_a_grid(url):
    for total, planned in ((2, ["a", "b"]), (9, ["a", "b", "c"])):
        found = trials_in(url, total, {"x": "choice(a,b,c)"}, name="grid")
        found.total = min(total, 3)
        found.plan([{"x": one} for one in "abc"])
        search(found)(lambda batch: [Outcome((0.0,), facts={"epochs": 4}) for _ in batch])
        assert [one.params["x"] for one in found.study.trials] == planned


def test_a_grid_has_every_step_of_a_range():
    values = [one["x"] for one in combinations(space_of({"x": "range(0.1,0.6,0.1)"}), 0)]
    assert sorted(values) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_a_grid_goes_through_every_combination(url):
    found = trials_in(url, 20, {"x": "choice(a,b,c)", "n": "interval(0,3)"}, name="grid")
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


def a_dozen(url, directions=("maximize",)) -> Trials:
    """Trials of which half are good, x alike in both halves."""
    found = trials_in(url, 12, {"kind": "choice(good,bad)", "x": "interval(-5,5)"}, directions=directions)
    found.plan([{"kind": ("bad", "good")[place % 2], "x": place // 2 * 2 - 5} for place in range(12)])
    return found


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_choice_that_matters_is_the_one_that_trials_differ_by(direction, url):
    found = a_dozen(url, (direction,))
    for trial in found.ask(12):
        found.complete(trial, [float(trial.params["kind"] == "good")])
    shares = importance(found)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["kind"] > 0.8


def test_the_best_trial_of_a_dozen_does_not_alone_say_what_matters(url):
    found = a_dozen(url)
    for trial in found.ask(12):
        found.complete(trial, [0.6 + 0.02 * (trial.params["kind"] == "good") + 0.001 * trial.params["x"]])
    shares = importance(found)
    assert shares["kind"] > shares["x"]


@pytest.mark.parametrize(
    ("values", "told"), [([0.3, 0.2], {"kind", "x"}), ([0.3, 0.2, -0.01], {"kind", "x"}), ([0.3], set()), ([-0.01], set())]
)
def test_trials_that_are_as_good_as_most_tell_nothing(values, told, url):
    found = trials_in(url, 12, {"kind": "choice(good,bad)", "x": "interval(-5,5)"})
    found.plan([{"kind": "good" if place < 2 else "bad", "x": (place * 9) % 11 - 5} for place in range(12)])
    for place, trial in enumerate(found.ask(12)):
        found.complete(trial, [dict(enumerate(values)).get(place, 0.0)])
    shares = importance(found)
    assert set(shares) == told
    assert shares.get("kind", 1.0) > 0.6


def test_few_trials_do_not_tell_what_matters(url):
    found = trials_in(url, 5)
    for trial in found.ask(5):
        found.complete(trial, [trial.params["x"]])
    assert importance(found) == {}
