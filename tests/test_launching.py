"""Training in two processes on the CPU."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from tests_shared import SMALL, command, newest
from tests_together import FRAMEWORKS, train

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 180  # a hang ends here
TWO = ["hardware=ddp", "hardware.accelerator=cpu", "hardware.workers=0", "hardware.precision=32-true"]
OURS = ["plan=none", *(setting for setting in SMALL if not setting.startswith(("hardware", "data.counts", "max_epochs")))]
NORM = "network.norm_layer={_target_:torch.nn.Identity,_partial_:true}"  # a batch norm would see the patches of one process alone
RUN = [*OURS, "data.counts={train:6,val:1,test:2}", "data.validation_patches=3", "max_epochs=2", NORM]


def environment(**variables: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        "HOME": "/nonexistent",
        "OMP_NUM_THREADS": "1",
        **variables,
    }


def im2im(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "im2im", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=SECONDS)


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> list[dict]:
    """What each of two processes has after training every framework."""
    folder = tmp_path_factory.mktemp("together")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    running = []
    for number in range(2):
        variables = environment(LOCAL_RANK=str(number), NODE_RANK="0", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        command = [sys.executable, str(ROOT / "tests" / "tests_together.py"), str(folder / f"{number}.pt")]
        running.append(subprocess.Popen(command, env=variables, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    try:
        for process in running:
            told = process.communicate(timeout=SECONDS)[1]
            assert process.returncode == 0, told[-3000:]
    finally:
        for process in running:
            process.kill()
    return [torch.load(folder / f"{number}.pt", weights_only=True) for number in range(2)]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_two_processes_end_with_the_weights_and_curves_of_one_with_twice_the_batch(name, both, tmp_path):
    first, second = (results[name] for results in both)
    assert all(torch.equal(value, second["weights"][key]) for key, value in first["weights"].items())
    assert first["epochs"] == second["epochs"]
    alone = train(name, 4, tmp_path)
    for key, value in alone["weights"].items():
        assert torch.allclose(value, first["weights"][key], atol=1e-5), key
    for wanted, found in zip(alone["epochs"], first["epochs"], strict=True):
        assert found == pytest.approx(wanted, rel=1e-4, abs=1e-4)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A training from the command line in two processes."""
    folder = tmp_path_factory.mktemp("run")
    done = im2im(folder, *RUN, *TWO)
    assert done.returncode == 0, done.stderr[-3000:]
    return newest(folder), done


def curve(folder: Path, column: str = "val/loss") -> list[float]:
    return pd.concat(pd.read_csv(path) for path in sorted(folder.glob("logs/*/metrics.csv")))[column].dropna().tolist()


def test_two_processes_make_one_run_and_speak_once(run):
    folder, done = run
    assert [path.name for path in folder.parents[2].glob("*/*/*")] == [folder.name]
    assert {path.name for path in folder.iterdir()} >= {"config.yaml", ".hydra", "checkpoints", "splits.csv", "report.html", "metrics.json"}
    assert [path.name for path in folder.glob("logs/*")] == ["version_0"]
    for line in ("images: 6 train", "2 processes × batch_size=2: 4 patches for each step", "ended after all 2 epochs", "report: "):
        assert (folder / "im2im.log").read_text().count(line) == done.stderr.count(line) == 1, line
    assert done.stdout.count("Pearson") == 1
    assert "Warning" not in done.stderr, done.stderr


def test_the_curve_is_that_of_one_process_with_twice_the_batch(run, tmp_path):
    alone = command(tmp_path, *RUN, "hardware=cpu", "batch_size=4")
    assert curve(run[0]) == pytest.approx(curve(alone), rel=1e-3)
    assert curve(run[0], "train/loss") == pytest.approx(curve(alone, "train/loss"), rel=1e-3)


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        pytest.param("{rank: 0}", "the disk is full", marks=pytest.mark.slow),
        ("{rank: 1}", "process 2 of 2: the disk is full"),
        pytest.param("{rank: 1, code: 3}", "process 2 of 2: ended with code 3", marks=pytest.mark.slow),
    ],
)
def test_a_process_that_fails_ends_all_with_one_line(failing, told, tmp_path):
    start = time.monotonic()
    done = im2im(tmp_path, *RUN, *TWO, f"+callbacks.fail={{_target_: tests_failing.Fail, {failing[1:]}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == told
    assert done.stderr.count("\n") == 5, done.stderr  # what starts, images, device, few steps, error
    assert time.monotonic() - start < SECONDS / 2


@pytest.mark.slow
def test_a_training_goes_on_in_one_process_and_in_two(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run[0], folder)
    for epochs, hardware in ((3, TWO), (4, ["hardware=cpu"]), (5, TWO)):
        done = im2im(tmp_path, f"run={folder}", "mode=train", f"max_epochs={epochs}", *hardware)
        assert done.returncode == 0, done.stderr
    assert len(curve(folder)) == 5
    whole = im2im(tmp_path, *RUN, *TWO, "max_epochs=3", "scheduler=constant", f"hydra.run.dir={tmp_path}/whole")
    half = im2im(tmp_path, *RUN, *TWO, "max_epochs=2", "scheduler=constant", f"hydra.run.dir={tmp_path}/half")
    rest = im2im(tmp_path, f"run={tmp_path}/half", "mode=train", "max_epochs=3", *TWO)
    assert [done.returncode for done in (whole, half, rest)] == [0, 0, 0], rest.stderr
    assert curve(tmp_path / "half") == curve(tmp_path / "whole")


@pytest.mark.slow
def test_jobs_that_submitit_starts_train_in_two_processes(tmp_path):
    done = im2im(tmp_path, "-m", "hydra/launcher=submitit_local", "learning_rate=0.001,0.002", *RUN, *TWO)
    assert done.returncode == 0, done.stderr
    runs = [path.parent for path in tmp_path.glob("multirun/*/*/*/metrics.json")]
    assert sorted(path.name for path in runs) == ["0", "1"]
    assert all((path / "im2im.log").read_text().count("all 2 epochs") == 1 for path in runs)


@pytest.mark.slow
def test_each_job_of_a_sweep_starts_its_own_processes(tmp_path):
    done = im2im(tmp_path, "-m", "learning_rate=0.001,0.002", *RUN, *TWO)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("multirun/*/*/*/metrics.json"))) == 2
    assert done.stdout.count("Pearson") == 2


@pytest.mark.slow
def test_processes_that_srun_started_make_one_run(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    job = {"JOB_ID": "7", "JOB_NAME": "cells", "JOB_NUM_NODES": "1", "NODELIST": "localhost", "NODEID": "0"}
    tasks = {"NTASKS": "2", "NTASKS_PER_NODE": "2", "STEP_NUM_TASKS": "2"}
    slurm = {f"SLURM_{name}": value for name, value in (job | tasks).items()}
    shared = {**slurm, "MASTER_PORT": port, "TMPDIR": str(tmp_path)}
    starting = [sys.executable, "-m", "im2im", *RUN, "hardware=slurm", *TWO[1:]]
    running = [
        subprocess.Popen(
            starting,
            cwd=tmp_path,
            env=environment(SLURM_PROCID=rank, SLURM_LOCALID=rank, **shared),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    told = [process.communicate(timeout=SECONDS) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert told[1] == ("", "")
    assert len(list(tmp_path.glob("outputs/*/*"))) == 1
    assert not list(tmp_path.glob("im2im-*"))


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (["-m", "seed=0,1"], {"WORLD_SIZE": "2"}, "a sweep starts its own jobs"),
        ([*OURS, "hardware=cpu"], {"SLURM_PROCID": "1"}, "several processes were started, got hardware.devices=1; set hardware=slurm"),
        ([*OURS, "hardware=cpu", "hardware.devices=0"], {}, "hardware.devices is a number, a list of GPUs or auto, got 0"),
    ],
)
def test_what_cannot_train_together_is_told_in_one_line(arguments, variables, told, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "im2im", *arguments], cwd=tmp_path, env=environment(**variables), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_evaluation_of_a_run_in_two_processes_is_done_by_one(run, tmp_path):
    for process, expected in (("0", True), ("1", False)):
        done = subprocess.run(
            [sys.executable, "-m", "im2im", f"run={run[0]}", "mode=evaluate", *TWO, f"hydra.run.dir={tmp_path}/{process}"],
            cwd=tmp_path,
            env=environment(LOCAL_RANK=process, WORLD_SIZE="2", TMPDIR=str(tmp_path)),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert ("Pearson" in done.stdout) == (tmp_path / process / "metrics.json").is_file() == expected
