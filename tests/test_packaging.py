import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from tests_shared import SMALL

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, folder: Path, **variables: str) -> str:
    environment = {
        key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_", "REQUESTS_")) or "proxy" in key.lower()
    }
    environment |= {"PATH": os.environ["PATH"], "HOME": str(folder), "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run("git", "clone", "-q", ROOT, folder / "clone", folder=folder)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, folder / "clone", folder=folder)
    return next(folder.glob("microscopy_im2im-*.whl"))


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory) -> Path:
    """A new environment with the wheel; the tested packages come from the one that runs the tests, the sources do not."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", wheel, folder=folder)
    site = next((folder / "venv" / "lib").glob("python*/site-packages"))
    (site / "tested_set.pth").write_text(next(path for path in sys.path if path.endswith("site-packages")) + "\n")
    return folder


@pytest.mark.slow
def test_a_built_wheel_composes_and_trains_without_the_sources(fresh):
    python = fresh / "venv" / "bin" / "python"
    where = run(python, "-c", "import im2im; print(im2im.__file__)", folder=fresh).strip()
    assert where.startswith(str(fresh))
    composed = run(python, "-m", "im2im", "--cfg", "job", "experiment=labelfree_2d", "data.root=x", folder=fresh)
    assert "_target_: im2im.networks.fnet.FNet" in composed
    run(fresh / "venv" / "bin" / "im2im", *SMALL, "trainer=debug", folder=fresh)
    assert list(fresh.glob("outputs/*/*/report.html"))


def test_a_plain_clone_composes(tmp_path):
    told = run(sys.executable, "-m", "im2im", "--cfg", "job", folder=tmp_path, PYTHONPATH=str(ROOT))
    assert "_target_: im2im.networks.fnet.FNet" in told
