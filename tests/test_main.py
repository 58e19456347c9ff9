import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra.core.config_store import ConfigStore

from im2im.__main__ import store_experiments

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess:
    """Run a command line in a process of its own, as a user does."""
    return subprocess.run([sys.executable, "-m", "im2im", *arguments], cwd=folder, env=environment(), capture_output=True, text=True)


def environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"], ["--cfg", "job", "--resolve"]], ids=" ".join)
def test_help_and_configuration_come_without_torch(arguments, tmp_path):
    code = f"import sys; sys.argv = ['im2im', *{arguments!r}]\nfrom im2im.__main__ import main\nmain()\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "labelfree" in done.stdout or "fnet" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        "batch_size=0",
        "data=folders",
        "init=nowhere",
        "run=nowhere",
        "mode=predict",
        "mode=evaluate",
        "mode=trian",
        "task=label",
        "-m search=quick search.trials=0",
        "data=folders data.root=. plan=nofile.yaml",
        "-m search=quick data=folders data.root=. plan=nofile.yaml",
        "-m search=quick data=folders data.root=nowhere",
        "-m search=quick data=folders",
        "hydra.run.dir=old",
    ],
)
def test_wrong_settings_are_told_without_torch(arguments, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.yaml").touch()
    code = f"import sys; sys.argv = ['im2im', *{arguments.split()!r}]\nfrom im2im.__main__ import main\n" + (
        "try:\n    main()\nexcept BaseException as error:\n"
        "    if not isinstance(error, SystemExit):\n        sys.excepthook(type(error), error, None)\n"
        "    assert not {'torch', 'optuna'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert arguments.split()[-1].partition("=")[0] in done.stderr
    assert done.stderr.count("\n") == 1


FIRST_LINE = """
import os, sys
from im2im.__main__ import main

class Stderr:
    def write(self, text):
        print(text, 'torch' in sys.modules, flush=True)
        os._exit(0)
    def flush(self):
        pass

sys.stderr, sys.argv = Stderr(), ['im2im', *{arguments!r}]
main()
"""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["task=labelfree"], "mode train, task labelfree, data synthetic"),
        (["data=folders", "data.root=."], "mode train, task labelfree, data ."),
        (["-m", "seed=0,1"], "mode grid, task labelfree, data synthetic"),
        (["-m", "search=quick"], "mode search, task labelfree, data synthetic"),
        (["run=RUN", "mode=evaluate"], "run RUN, mode evaluate"),
        (["run=RUN", "mode=predict", "input=images", "output=new"], "run RUN, mode predict, input images"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_the_first_line_comes_before_torch(arguments, told, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "RUN" / "checkpoints").mkdir(parents=True)
    (tmp_path / "RUN" / "checkpoints" / "best.ckpt").touch()
    code = FIRST_LINE.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert f": {told}" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1].endswith("False")


@pytest.mark.parametrize(("arguments", "stored"), [(["--help"], False), (["--cfg", "job"], True)], ids=["help", "configuration"])
def test_experiments_are_only_names_in_the_help(arguments, stored, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["im2im", *arguments])
    monkeypatch.setattr(ConfigStore.instance(), "repo", {})
    store_experiments()
    experiments = ConfigStore.instance().repo["experiment"]
    assert "labelfree_3d.yaml" in experiments
    assert [bool(one.node) for one in experiments.values()] == [stored] * len(experiments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["network=fnett"], "network=fnett is no option; did you mean fnet?"),
        (["netwrk=fnet"], "netwrk is no setting of this configuration; did you mean network?"),
        (["batch_sise=3"], "batch_sise is no setting of this configuration; did you mean batch_size?"),
        (["data.patches_per_imag=3"], "did you mean data.patches_per_image?"),
        (["experiment=labelfre_3d"], "experiment=labelfre_3d is no option; did you mean labelfree_3d?"),
        (["data=folders"], "these settings have no value yet: data.root"),
        (["run=nowhere"], "there is nothing at run=nowhere"),
        (["run=nowhere", "mode=train", "plan=nowhere/plan.yaml"], "plan= cannot change a finished run, got run=nowhere; start a new"),
        (["data=folders", "data.root=.", "plan=."], "there is no file at plan=plan.yaml; give a plan.yaml, or a run folder that holds one"),
        (["mode=predict"], "mode=predict needs input="),
        (["mode=evaluate"], "mode=evaluate needs a trained network, got run=null; set run= to a run folder or .ckpt"),
        (
            ["mode=predict", "run=nowhere", "input=A/i[01].tif", "output=P"],
            "quote what has spaces or brackets, as in 'input=\"A/i[01].tif\"'",
        ),
        (["data=folders", "data.root=2024_05"], "there is no folder or table at data.root=2024_05"),
        (["network=[fnet"], "network=[fnet"),
        (["search=quick"], "a search makes many runs, got search= without -m; write python -m im2im -m search=quick"),
        (["-m", "search=quick", "search.trials=0"], "search.trials must be a whole number of at least 1, got 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_mistake_is_told_in_one_line(arguments, told, tmp_path):
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_the_traceback_comes_when_it_is_asked_for(tmp_path):
    code = [sys.executable, "-m", "im2im", "run=nowhere"]
    done = subprocess.run(code, cwd=tmp_path, env={**environment(), "HYDRA_FULL_ERROR": "1"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_runs_that_start_together_get_folders_of_their_own(tmp_path):
    (tmp_path / "outputs").mkdir()
    code = "import sys; sys.argv = ['im2im']; from im2im.__main__ import fresh_folder; print(fresh_folder('outputs/day/time'))"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in processes}) == 4


def test_a_part_of_an_experiment_is_swapped_with_its_settings(tmp_path):
    done = run("experiment=denoising_3d", "network=fnet", "normalization=standard", "--cfg", "job", folder=tmp_path)
    config = yaml.safe_load(done.stdout)
    assert "num_res_units" not in config["network"]
    assert config["network"]["_target_"].endswith("FNet")
    assert "low" not in config["normalization"]
    assert config["patch_size"] == [16, 64, 64]
