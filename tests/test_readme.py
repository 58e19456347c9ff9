import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def make_groups():
    spec = importlib.util.spec_from_file_location("make_groups", ROOT / "docs" / "make_groups.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_groups_is_up_to_date():
    assert make_groups().page(README) == README, "run python docs/make_groups.py"


def test_every_option_stands_in_the_table():
    options = [path.stem for path in (ROOT / "conf").glob("*/[!_]*.yaml")]
    missing = [option for option in options if f"`{option}`" not in README]
    assert options
    assert not missing, "docs/make_groups.py writes the table"


@pytest.mark.parametrize("target", re.findall(r"^make ([a-z-]+)", README, flags=re.MULTILINE) or ["missing"])
def test_every_make_command_of_the_readme_exists(target):
    done = subprocess.run(["make", "-n", target, "BIN=/tmp", "install="], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_continuous_integration_runs_the_test_command_of_the_readme():
    assert "make test" in README
    assert "make test\n" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)", README))
def test_every_link_of_the_readme_leads_somewhere(link):
    assert (ROOT / link).exists()
