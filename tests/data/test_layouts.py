"""Every layout from the command line to scored images."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from tests_shared import SMALL

TRAINING = [setting for setting in SMALL if not setting.startswith(("data.size", "data.counts"))]


def scored(run) -> int:
    return json.loads((run / "metrics.json").read_text())["test"]["pearson"]["n"]


@pytest.mark.data
@pytest.mark.parametrize(("name", "settings"), [("labelfree_2d", []), ("labelfree_3d", ["spatial_dims=3", "patch_size=[16,32,32]"])])
def test_the_real_images_train_and_are_scored(name, settings, shared_data, im2im):
    training = [setting for setting in TRAINING if not setting.startswith("patch_size")] if settings else TRAINING
    run = im2im("data=folders", f"data.root={shared_data / name}", *training, *settings, "trainer=debug")
    assert scored(run) == len(list((shared_data / name / "test" / "source").iterdir()))


def test_tagged_files_in_one_folder(folders, im2im, tmp_path):
    root = tmp_path / "tagged"
    root.mkdir()
    for role, tag in (("source", "IM"), ("target", "GT")):
        for path in (folders / role).iterdir():
            path.rename(root / f"{path.stem}_{tag}.tif")
            tifffile.imwrite(root / f"{path.stem}_CM.tif", np.ones((40, 48), np.uint8))
    run = im2im("data=tagged", f"data.root={root}", *TRAINING)
    assert scored(run) == 1
    assert pd.read_csv(run / "splits.csv").cost_map.str.endswith("_CM.tif").all()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_with_splits(suffix, folders, im2im):
    names = [f"cell_{index}.tif" for index in range(6)]
    parts = ["train", "train", "val", "test", "test", "test"]
    table = pd.DataFrame({"source": [f"source/{name}" for name in names], "target": [f"target/{name}" for name in names], "split": parts})
    path = folders / f"pairs.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    run = im2im("data=table", f"data.root={path}", *TRAINING)
    assert scored(run) == 3
    assert pd.read_csv(run / "metrics.csv").image.tolist() == ["cell_3", "cell_4", "cell_5"]


def test_groups_stay_together(folders, im2im):
    run = im2im("data=folders", f"data.root={folders}", *TRAINING, "data.group='cell_([0-9])'", "trainer=debug")
    splits = pd.read_csv(run / "splits.csv")
    assert splits.groupby("group").split.nunique().max() == 1
    assert set(splits.split) == {"train", "val", "test"}


def test_simulated_cells_written_to_a_folder_train_like_those_in_memory(im2im, tmp_path):
    first = im2im(*SMALL, f"data.folder={tmp_path}/cells")
    second = im2im("data=folders", f"data.root={tmp_path}/cells", *TRAINING)
    assert (first / "metrics.csv").read_text() == (second / "metrics.csv").read_text()


def test_too_few_images_to_hold_one_out_are_said(folders, im2im):
    for role in ("source", "target"):
        (folders / "train" / role).mkdir(parents=True)
        (folders / "test" / role).mkdir(parents=True)
        (folders / role / "cell_0.tif").rename(folders / "train" / role / "cell_0.tif")
        (folders / role / "cell_1.tif").rename(folders / "test" / role / "cell_1.tif")
        for path in (folders / role).iterdir():
            path.unlink()
        (folders / role).rmdir()
    run = im2im("data=folders", f"data.root={folders}", *TRAINING)
    assert "too few images to hold one out" in (run / "im2im.log").read_text()
    assert scored(run) == 1


def test_images_beyond_the_memory_are_read_patch_by_patch_with_the_same_result(folders, im2im):
    kept = im2im("data=folders", f"data.root={folders}", *TRAINING)
    read = im2im("data=folders", f"data.root={folders}", *TRAINING, "data.memory=0")
    assert (kept / "metrics.csv").read_text() == (read / "metrics.csv").read_text()


def test_workers_change_nothing(folders, im2im):
    alone = im2im("data=folders", f"data.root={folders}", *TRAINING)
    helped = im2im("data=folders", f"data.root={folders}", *TRAINING, "hardware.workers=2")
    assert (alone / "metrics.csv").read_text() == (helped / "metrics.csv").read_text()


def test_a_grid_of_runs_makes_a_folder_for_each(folders, im2im, tmp_path):
    im2im("-m", "data=folders", f"data.root={folders}", *TRAINING, "trainer=debug", "normalization=standard,percentile")
    runs = sorted(path.parent for path in tmp_path.glob("multirun/*/*/*/metrics.json"))
    assert [run.name for run in runs] == ["0", "1"]
    assert "Percentile" in (runs[1] / "config.yaml").read_text()
