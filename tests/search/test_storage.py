import json
import math
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer

import optuna
import pytest

from im2im.search.storage import kept_pace, kept_space, kept_starts, open_study, shown, storage, write_down

ROOT = Path(__file__).resolve().parents[2]
OPENING = """
import sys, time, optuna
sys.path.insert(0, {root!r})
from im2im.search.storage import open_study
time.sleep(max(0, {at} - time.time()))
print(open_study({url!r}, "search", ["maximize"])[1])
"""


TAKING_OVER = """
import sys, time, optuna
sys.path.insert(0, {root!r})
from im2im.search.storage import kept_space, open_study, write_down
study, _ = open_study({url!r}, "search", ["maximize"])
time.sleep(max(0, {at} - time.time()))
space = kept_space(study, "asked")
print(space is None)
time.sleep(0.5)
write_down(study, space={{"x": "interval(0,1)"}})
"""


def opened(url):
    return open_study(url, "search", ["maximize"])


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_one_of_the_workers_that_start_together_begins_the_search(kind, tmp_path):
    url = f"sqlite:///{tmp_path}/search.sqlite" if kind == "sqlite" else f"{tmp_path}/search.log"
    code = OPENING.format(root=str(ROOT), at=time.time() + 4, url=url)
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sorted(one.communicate(timeout=120)[0].strip() for one in running) == ["False", "False", "True"]


def test_a_study_is_found_again_with_what_it_searches(tmp_path):
    url = f"sqlite:///{tmp_path}/search.sqlite"
    study, new = opened(url)
    assert new
    write_down(study, fingerprint={"images": 3}, starts=[{"x": 0.5}], asked="asked", pace=math.inf, space={"x": "interval(0,1)"})
    again, new = opened(url)
    assert not new
    assert kept_space(again, "asked") == {"x": "interval(0,1)"}
    assert kept_starts(again) == [{"x": 0.5}]
    assert kept_pace(again) == math.inf
    assert kept_pace(optuna.create_study()) is None  # of an earlier version
    assert json.loads(again.user_attrs["fingerprint"]) == {"images": 3}


def test_another_space_under_the_same_name_is_refused(tmp_path):
    study, _ = opened(f"sqlite:///{tmp_path}/search.sqlite")
    write_down(study, asked="asked", space={"x": "interval(0,1)"})
    with pytest.raises(
        ValueError, match=r"the search search was begun with another space, quality or search.speed; choose another search.name"
    ):
        kept_space(study, "other")


def test_a_study_whose_worker_died_before_it_wrote_is_begun_anew(tmp_path):
    url = f"sqlite:///{tmp_path}/search.sqlite"
    subprocess.run([sys.executable, "-c", OPENING.format(root=str(ROOT), at=0, url=url)], check=True)
    assert kept_space(opened(url)[0], "asked") is None


def test_one_of_the_workers_that_find_a_dead_one_takes_its_place(tmp_path):
    url = f"sqlite:///{tmp_path}/search.sqlite"
    subprocess.run([sys.executable, "-c", OPENING.format(root=str(ROOT), at=0, url=url)], check=True)
    code = TAKING_OVER.format(root=str(ROOT), at=time.time() + 5, url=url)
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sorted(one.communicate(timeout=120)[0].strip() for one in running) == ["False", "False", "True"]


class Clock:
    """Time that passes only while somebody sleeps, and what others do at some time."""

    def __init__(self, *doings):
        self.now, self.doings = 0.0, list(doings)

    def time(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        while self.doings and self.doings[0][0] <= self.now:
            self.doings.pop(0)[1]()


def test_a_worker_elsewhere_that_took_over_has_its_time_too(tmp_path, monkeypatch):
    study, _ = opened(f"sqlite:///{tmp_path}/search.sqlite")
    one, other = ({"host": host, "pid": 1, "begun": "1"} for host in ("elsewhere", "elsewhere too"))
    study.set_user_attr("worker", one)
    takes_over = (8.0, lambda: study.set_user_attr("worker", other))
    writes = (14.0, lambda: write_down(study, space={"x": "interval(0,1)"}))
    monkeypatch.setattr("im2im.search.workers.SILENT", 10.0)
    monkeypatch.setattr("im2im.search.storage.time", Clock(takes_over, writes))
    assert kept_space(study, "asked") == {"x": "interval(0,1)"}


def test_others_wait_for_the_worker_that_begins_a_study(tmp_path):
    url = f"sqlite:///{tmp_path}/search.sqlite"
    study, _ = opened(url)
    writing = Timer(1.0, write_down, [study], {"asked": "asked", "space": {"x": "interval(0,1)"}})
    writing.start()
    assert kept_space(opened(url)[0], "asked") == {"x": "interval(0,1)"}
    writing.join()


@pytest.mark.parametrize("url", ["nothing://x", "sqlite:////proc/no/search.sqlite"])
def test_a_storage_that_cannot_be_opened_is_named(url):
    with pytest.raises(ValueError, match=r"cannot be opened .*; correct search.storage"):
        storage(url)


@pytest.mark.parametrize("url", ["postgresql://me:secret@127.0.0.1:1/none", "mysql://me:secret@127.0.0.1:1/none"])
def test_databases_are_reached_by_the_drivers_of_the_extras(url, monkeypatch):
    asked = []
    monkeypatch.setattr("im2im.search.storage.RDBStorage", lambda url, **_: asked.append(url))
    storage(url)
    assert asked == [url.replace("postgresql:", "postgresql+psycopg:").replace("mysql:", "mysql+pymysql:")]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("sqlite:////a/b:c@d.sqlite", "sqlite:////a/b:c@d.sqlite"),
    ],
)
def test_passwords_are_not_shown(url, expected):
    assert shown(url) == expected
