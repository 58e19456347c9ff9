import ast
import json
from dataclasses import replace
from pathlib import Path

from benchmarks import measure, page
from benchmarks.__main__ import SCRIPTS
from benchmarks.measure import Result, medians, ratio

HERE = Path(__file__).resolve().parents[1] / "benchmarks"
RESULT = Result(3, "stitching", "MONAI", 0.002, 0.008, "CPU s", 0.25, 0.3)


def test_every_row_has_a_script():
    assert sorted(row for rows in SCRIPTS.values() for row in rows) == list(range(1, page.ROWS + 1))
    for script in SCRIPTS:
        functions = [node.name for node in ast.parse((HERE / f"{script}.py").read_text()).body if isinstance(node, ast.FunctionDef)]
        assert "main" in functions


def test_works_take_turns():
    called = []
    medians(lambda: called.append("ours"), lambda: called.append("theirs"), runs=3)
    assert called == ["ours", "theirs"] * 4


def test_a_ratio_is_ours_to_the_peers(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setitem(measure.CLOCKS, "s", lambda: next(clock))

    def slow():
        next(clock)

    result = ratio(3, "a", "b", (lambda: None, slow), bar=0.6, unit="s", runs=1)
    assert (result.ours, result.theirs, result.figure, result.reached) == (1, 2, 0.5, True)
    assert not replace(result, bar=0.4).reached


def test_the_page_shows_every_figure_and_says_why_a_bar_is_missed(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "describe", lambda: {"machine": "any"})
    monkeypatch.setattr(page, "FEET", [])
    missed = replace(RESULT, row=6, figure=0.5, note="it is slow")
    page.write([RESULT, missed], tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "| 3 | stitching | 0.002 CPU s | 0.008 CPU s | MONAI | 0.25 | ≤ 0.3 | reached |" in text
    assert "| 0.5 | ≤ 0.3 | **missed** |" in text
    assert "- Row 6, stitching: it is slow" in text
    assert "Not measured yet: rows 1, 2, 4, 5, 7" in text


def test_the_page_of_this_repository_shows_the_kept_figures():
    text = (HERE.parent / "docs" / "benchmarks.md").read_text()
    kept = [Result(**row) for row in json.loads((HERE / "results.json").read_text())]
    assert kept
    assert all(page._line(result) in text for result in kept)
