"""Searches of something that costs nothing to train, by one worker or by several processes."""

import math
import subprocess
import sys
import time
from pathlib import Path

from optuna.trial import TrialState

from im2im.search.halving import Rungs
from im2im.search.samplers import sampler
from im2im.search.search import Job, Outcome, Search
from im2im.search.storage import open_study
from im2im.search.trials import Trials

SPACE = {"x": "interval(-5,5)", "kind": "choice(good,bad,raises,nan,memory)"}
WHOLE = Rungs((4,), 3)


def trials_in(url, trials=20, space=SPACE, name="tpe", seed=0, directions=("maximize",)) -> Trials:
    study, _ = open_study(url, "search", directions)
    found = Trials(study, space, trials)
    study.sampler = sampler(name, seed)
    return found


def states(found: Trials) -> list[str]:
    return [one.state.name for one in found.study.trials]


def train(jobs):
    """Train jobs."""
    return [train_one(job) for job in jobs]


def train_one(job: Job) -> Outcome:
    """Give the quality of x, or fail in the way that is chosen."""
    settings = dict(setting.split("=") for setting in job.settings)
    kind = settings.get("kind", "good")
    if kind == "raises":
        return Outcome(reason="the loss is no number")
    if kind == "memory":
        return Outcome(reason="out of memory: DefaultCPUAllocator")
    value = -((float(settings["x"]) - 1) ** 2) - (kind == "bad") - 1 / job.epochs
    return Outcome((math.nan if kind == "nan" else value,), facts={"epochs": job.epochs, "folder": f"trials/{job.trial}"})


def search(found: Trials, plan=WHOLE, parallel=1, seconds=math.inf, failures=100) -> Search:
    return Search(found, plan, parallel, time.monotonic() + seconds, failures)


WORKER = """
import sys, time
sys.path[:0] = {path}
from tests_searching import Trials, WHOLE, trials_in, search, train
found = trials_in({url!r}, 12, {{"x": "interval(-5,5)"}}, seed={seed})
found.study.set_user_attr("ready {seed}", True)
while sum(name.startswith("ready") for name in found.study.user_attrs) < {workers}:
    time.sleep(0.05)
search(found)(lambda batch: time.sleep(600 if batch[0].trial == {hangs} else 0.02) or train(batch))
"""


def worker(url, seed, workers=1, hangs=None) -> subprocess.Popen:
    """Start a worker that begins when so many are ready, and hangs in one trial."""
    path = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    return subprocess.Popen([sys.executable, "-c", WORKER.format(path=path, url=url, seed=seed, workers=workers, hangs=hangs)])


def two_workers(url):
    running = [worker(url, seed, workers=2) for seed in (1, 2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    found = trials_in(url, 12, {"x": "interval(-5,5)"})
    done = [one for one in found.study.trials if one.state == TrialState.COMPLETE]
    assert len(done) == 12
    assert len({one.params["x"] for one in done}) == 12
    assert len({one.user_attrs["worker"]["pid"] for one in done}) == 2
