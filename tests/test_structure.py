"""The house rules that a machine can keep."""

import ast
import configparser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "im2im"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Imports point down this list; what stands on one line are siblings, which do not import each other.
LEVELS = [
    {"__main__", "__init__"},
    {"api"},
    {"search"},
    {"app"},
    {"tuning", "planning"},
    {"ensemble"},
    {"saved"},
    {"resolvers", "building", "settings", "overrides"},
    {"stages"},
    {"rehearsal", "baselines"},
    {"frameworks", "callbacks", "data", "inference"},
    {"tasks"},
    {"io"},
    {
        "networks",
        "losses",
        "report",
        "normalization",
        "metrics",
        "checkpoint",
        "targets",
        "randomness",
        "hardware",
        "launching",
        "clustering",
        "postprocess",
        "overlap",
    },
    {"macenko", "statistics"},
    {
        "axes",
        "files",
        "affine",
        "nesting",
        "embedding",
        "grid",
        "ordering",
        "joining",
        "memory",
        "parallel",
        "ranks",
        "quiet",
        "console",
        "large",
        "order_statistics",
        "evenly",
    },
]
ENTRANCE = {"__main__", "api", "search", "app", "tuning", "planning", "ensemble", "saved", "resolvers", "building", "settings", "overrides"}


def unit(path: Path) -> str:
    """Give the folder or module of the package that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def level(name: str) -> int:
    return next(place for place, names in enumerate(LEVELS) if name in names)


def imported(path: Path) -> set[str]:
    """List the dotted names that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    here = unit(path)
    for name in imported(path):
        if name.startswith("im2im.") and not name.startswith("im2im.__"):
            there = name.split(".")[1]
            allowed = here == there or level(here) < level(there) or here == "__init__"
            assert allowed, f"{here} imports {name}"


@pytest.mark.parametrize("path", [path for path in MODULES if unit(path) not in ENTRANCE], ids=lambda path: str(path.relative_to(PACKAGE)))
def test_hydra_stays_at_the_entrance(path):
    assert not {name for name in imported(path) if name.split(".")[0] in {"hydra", "omegaconf"}}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert text.count("\n") <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            assert not body or body[-1].end_lineno - body[0].lineno < 50, node.name


def test_every_folder_is_packaged():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    folders = {f"im2im.{path.name}" for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert listed == {"im2im", "im2im.conf", "im2im.experiments", *folders}


def test_every_module_has_a_test_folder_or_file():
    tests = {name for path in (ROOT / "tests").rglob("test_*.py") for name in (path.name, path.parent.name)}
    tested_with_another = {"__init__", "affine", "statistics"}
    for name in {unit(path) for path in MODULES} - tested_with_another:
        assert name in tests or f"test_{name.strip('_')}.py" in tests, name
