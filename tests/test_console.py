import io
import logging

from im2im import __version__
from im2im.console import ONLY_FILE, ConsoleHandler, opening


def test_the_first_line_names_what_was_given_alone():
    assert opening({"mode": "train", "task": "labelfree", "run": None, "data": "../labelfree"}) == (
        f"im2im {__version__}: mode train, task labelfree, data ../labelfree"
    )


def test_lines_go_to_what_stderr_is_at_that_moment(monkeypatch):
    log, handler = logging.Logger("test"), ConsoleHandler()
    log.addHandler(handler)
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stderr", first)
    log.info("one")
    monkeypatch.setattr("sys.stderr", second)
    log.info("two")
    log.info("three", extra=ONLY_FILE)
    assert (first.getvalue(), second.getvalue()) == ("one\n", "two\n")
