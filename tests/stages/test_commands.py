import sys
from pathlib import Path

import pytest

from im2im.stages.commands import _override, interpreter


@pytest.mark.parametrize(
    ("path", "written"),
    [("runs/a", "run=runs/a"), ("my runs/a", "'run=\"my runs/a\"'"), ("a=b,c", "'run=\"a=b,c\"'")],
)
def test_paths_are_quoted_where_the_shell_or_hydra_needs_it(path, written):
    assert _override("run", Path(path)) == written


def test_several_runs_stand_in_brackets():
    assert _override("run", Path("runs/a"), Path("my runs/b")) == "'run=[runs/a,\"my runs/b\"]'"


def test_a_path_inside_the_working_folder_is_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _override("run", tmp_path / "outputs" / "x") == "run=outputs/x"
    assert _override("run", tmp_path.parent / "x") == f"run={tmp_path.parent / 'x'}"


def test_an_environment_that_is_not_activated_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", "/nonexistent")
    assert interpreter() == ".venv/bin/python"
    monkeypatch.setenv("PATH", str(python.parent))
    assert interpreter() == "python"
