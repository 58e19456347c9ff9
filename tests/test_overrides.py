import pytest
from hydra.errors import OverrideParseException

from im2im.overrides import is_sweep, paths_of, with_paths_as_text, with_plan_file


@pytest.mark.parametrize(
    ("value", "runs"),
    [
        ("outputs/2026-01-02/03-04-05", ["outputs/2026-01-02/03-04-05"]),
        ("[outputs/a,b.ckpt]", ["outputs/a", "b.ckpt"]),
        ("[ outputs/a , 'my runs/b' ]", ["outputs/a", "my runs/b"]),
        ("'my runs/a'", ["my runs/a"]),
        ('"a=b,c"', ["a=b,c"]),
        ('["a,b",c]', ["a,b", "c"]),
        ("[a]", ["a"]),
        ("7", ["7"]),
        ("null", []),
        ("", []),
        ("[]", []),
    ],
)
def test_runs_are_read_as_hydra_reads_them(value, runs):
    assert paths_of("run", value) == runs


def test_a_path_that_hydra_cannot_read_is_named_with_its_key():
    with pytest.raises(OverrideParseException) as caught:
        paths_of("input", "A/i[01].tif")
    assert caught.value.override == "input=A/i[01].tif"


@pytest.mark.parametrize(("value", "sweep"), [("A,B", True), ("choice(A,B)", True), ("A", False), ("[A,B]", False), ("'A,B'", False)])
def test_several_values_are_a_sweep(value, sweep):
    assert is_sweep("data.root", value) == sweep


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("data.root=2024", "data.root='2024'"),
        ("input=2024_05_01", "input='2024_05_01'"),
        ("output=nan", "output='nan'"),
        ("input=1e3", "input='1e3'"),
        ("init=true", "init='true'"),
        ("run=[2024,runs/b]", "run=['2024',runs/b]"),
        ("data.root=2024,2025_01,other", "data.root='2024','2025_01',other"),
        ("data.root=choice(2024,2025)", "data.root=choice('2024','2025')"),
        ("input=images/2024", "input=images/2024"),
        ("input='2024'", "input='2024'"),
        ("output=n_${hydra:job.num}", "output=n_${hydra:job.num}"),
        ("run=null", "run=null"),
        ("input=", "input="),
        ("input", "input"),
        ("seed=2024", "seed=2024"),
    ],
)
def test_paths_that_look_like_numbers_are_quoted(argument, text):
    assert with_paths_as_text([argument]) == [text]


@pytest.mark.parametrize(
    ("plan", "file"), [("mine.yaml", "mine.yaml"), ("a/b.yml", "a/b.yml"), ("outputs/run", "outputs/run/plan.yaml"), ("none", None)]
)
def test_a_plan_is_given_as_a_file_or_as_the_run_folder_that_holds_it(plan, file, tmp_path, monkeypatch):
    (tmp_path / "outputs" / "run").mkdir(parents=True)
    (tmp_path / "none").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = [f"plan={plan}"] if file is None else ["plan=auto", f"plan.file={file}"]
    assert with_plan_file(["seed=1", f"plan={plan}"]) == ["seed=1", *settings]
