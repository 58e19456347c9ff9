"""Command lines of searches on images as small as they can be."""

import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, suppress
from pathlib import Path

import optuna
from tests_shared import command

HERE = Path(__file__).resolve().parents[1]
TINY = [
    "task=labelfree",
    "data.counts={train: 2, val: 1, test: 6}",
    "data.size=[32,32]",
    "patch_size=[32,32]",
    "data.patches_per_image=1",
    "network.channels=4",
    "plan=none",
    "hardware=cpu",
]
SEARCH = ["-m", "search=quick", "max_epochs=2", "search.rungs=2", "search.reduction=2", *TINY]


def environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}


def im2im(folder: Path, *arguments: str) -> str:
    """Run a command line that ends well within this process; gives what it tells."""
    told = io.StringIO()
    with redirect_stderr(told):
        command(folder, *arguments)
    return told.getvalue()


def im2im_alone(folder: Path, *arguments: str) -> None:
    """Run a command line that ends well in a process of its own, as one must that starts others."""
    process = im2im_beside(folder, *arguments)
    try:
        assert process.wait(timeout=300) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and what it started


def im2im_beside(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "im2im", *arguments], cwd=folder, env=environment(folder), start_new_session=True)


def trials_of(folder: Path) -> list[optuna.trial.FrozenTrial]:
    begun = list(folder.glob("multirun/*/*/space.yaml"))  # written after the study
    return optuna.load_study(study_name=None, storage=f"sqlite:///{folder}/multirun/search.sqlite").trials if begun else []


def telling(folder: Path, secret: bytes) -> list[Path]:
    """List the files that tell the place of a storage, which may have a password in it; the storage itself is there."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    (storage,) = [path for path in files if path.name == f"{secret.decode()}.sqlite"]
    return [path for path in files if path != storage and secret in path.read_bytes()]


def result(folder: Path) -> Path:
    return max(folder.glob("multirun/*/*"))
