"""Several runs that predict together."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
import yaml
from tests_shared import SMALL, command

import im2im as package
from im2im.affine import Affine


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """A run like ``trained`` whose weights are others altogether."""
    run = command(tmp_path_factory.mktemp("second"), "task=labelfree", "seed=1", "inference.border=0", *SMALL)
    state, generator = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True), torch.Generator().manual_seed(0)
    for name, value in state["state_dict"].items():
        if name.endswith("weight"):
            value.add_(torch.randn(value.shape, generator=generator), alpha=0.5)
    torch.save(state, run / "checkpoints" / "best.ckpt")
    return run


@pytest.fixture
def picture(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.random.default_rng(0).integers(0, 999, (40, 48), np.uint16))
    return tmp_path / "x.tif"


def normalized(run, image) -> np.ndarray:
    return package.load(run).predict(image, output="normalized")


def altered(run, folder, key: str, value):
    """A checkpoint alone, of which one setting says something else."""
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    config = yaml.safe_load(state["im2im"]["config"])
    node = config
    *parents, last = key.split(".")
    for parent in parents:
        node = node[parent]
    node[last] = value
    state["im2im"]["config"] = yaml.safe_dump(config)
    torch.save(state, folder / "altered.ckpt")
    return folder / "altered.ckpt"


def test_the_mean_of_both_runs_is_predicted_in_the_intensities_of_the_first(trained, second, picture, im2im, tmp_path):
    one, other = (normalized(run, picture) for run in (trained, second))
    assert np.abs(one - other).max() > 0.1
    scale = Affine.from_dict(package.load(trained).framework.record["target_scale"])
    wanted = scale.invert(((one + other) / 2)[None])[0]
    im2im("mode=predict", f"run=[{trained},{second}]", f"input={picture}", f"output={tmp_path}/out")
    assert tifffile.imread(tmp_path / "out" / "x.tif") == pytest.approx(wanted, rel=1e-4)
    assert package.load([trained, second]).predict(picture) == pytest.approx(wanted, rel=1e-4)


def test_the_mean_of_both_runs_is_scored(trained, second, folders, im2im):
    run = im2im("mode=evaluate", f"run=[{trained},{second}]", "data=folders", f"data.root={folders}")
    rows = pd.read_csv(run / "metrics.csv").set_index("image")
    source, target = (tifffile.imread(folders / role / "cell_2.tif") for role in ("source", "target"))
    mean = (normalized(trained, source) + normalized(second, source)) / 2
    assert rows.pearson["cell_2"] == pytest.approx(np.corrcoef(mean.ravel(), target.ravel())[0, 1], abs=1e-4)
    assert json.loads((run / "metrics.json").read_text())["test"]["pearson"]["n"] == 6
    assert yaml.safe_load((run / "config.yaml").read_text())["run"] == [str(trained), str(second)]
    assert f"'run=[{trained},{second}]'" in (run / "im2im.log").read_text()  # the command for predictions


def test_one_run_in_brackets_is_that_run(trained, picture, im2im, tmp_path):
    im2im("mode=predict", f"run=[{trained}]", f"input={picture}", f"output={tmp_path}/out")
    assert np.array_equal(tifffile.imread(tmp_path / "out" / "x.tif"), package.load(trained).predict(picture))
    assert np.array_equal(package.load([trained]).predict(picture), package.load(trained).predict(picture))


@pytest.mark.parametrize("mode", [[], ["mode=train"]], ids=["no mode", "mode=train"])
def test_several_runs_are_not_trained(mode, trained, second, im2im):
    with pytest.raises(ValueError, match=r"several runs predict or evaluate together, got run=.* for mode=train; go on with one of them"):
        im2im(*mode, f"run=[{trained},{second}]")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("normalization", {"_target_": "im2im.normalization.Standard", "per_channel": True}),
        ("task.normalization", {"_target_": "im2im.normalization.Standard", "per_channel": True}),
        ("spatial_dims", 3),
    ],
)
def test_runs_that_do_not_agree_are_refused_in_one_line(key, value, trained, second, picture, im2im, tmp_path, capsys):
    other = altered(second, tmp_path, key, value)
    with pytest.raises(SystemExit):
        im2im("mode=predict", f"run=[{trained},{other}]", f"input={picture}", f"output={tmp_path}/out")
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"runs of an ensemble must agree in {key}, got " in line
    assert "HYDRA_FULL_ERROR" not in line
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match=f"must agree in {key}"):
        package.load([trained, other])


def test_every_run_is_tiled_as_the_first_one_is(trained, second, im2im, tmp_path, picture):
    framework = package.load([trained, altered(second, tmp_path, "inference.overlap", 0.9)]).framework
    assert framework.others[0].inference == framework.inference
    assert framework.inference.overlap != 0.9


def test_further_runs_build_foreign_classes_only_when_they_are_trusted(trained, second, tmp_path):
    other = altered(second, tmp_path, "reader", {"_target_": "pathlib.PurePath"})
    with pytest.raises(ValueError, match="set trust=true"):
        package.load([trained, other])
    assert package.load([trained, other], trust=True).framework.others


def test_a_run_that_is_not_there_is_named(trained, im2im, picture, tmp_path):
    with pytest.raises(ValueError, match="there is nothing at run=nowhere"):
        im2im("mode=predict", f"run=[{trained},nowhere]", f"input={picture}", f"output={tmp_path}/out")


def test_a_run_that_was_trained_on_a_test_image_is_not_scored_on_it(folders, im2im):
    small = [setting for setting in SMALL if not setting.startswith(("data.size", "data.counts"))]
    runs = [im2im("task=labelfree", "data=folders", f"data.root={folders}", f"seed={seed}", *small) for seed in (0, 1)]
    tested, *_ = [set(table[table["split"] == "test"]["name"]) for table in (pd.read_csv(run / "splits.csv") for run in runs)]
    assert tested & set(pd.read_csv(runs[1] / "splits.csv").query("split != 'test'")["name"])
    with pytest.raises(SystemExit):
        im2im("mode=evaluate", f"run=[{runs[0]},{runs[1]}]")
    log = max(folders.parent.glob("outputs/*/*/im2im.log"), key=lambda path: path.stat().st_mtime_ns).read_text()
    assert "was trained on" in log
    assert "data.splits=" in log


def test_a_run_from_before_voxel_size_existed_predicts(trained, picture, im2im, tmp_path):
    state = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)
    config = yaml.safe_load(state["im2im"]["config"])
    config.pop("voxel_size")
    state["im2im"]["config"] = yaml.safe_dump(config)
    torch.save(state, tmp_path / "old.ckpt")
    im2im("mode=predict", f"run={tmp_path}/old.ckpt", f"input={picture}", f"output={tmp_path}/old")
    assert (tmp_path / "old" / "x.tif").is_file()
