import numpy as np
import pandas as pd
import pytest
import tifffile
from tests_shared import SMALL

from im2im.data.index import Files, Synthetic
from im2im.data.synthetic import SyntheticCells
from im2im.io.pairing import Folders

TRAINING = [setting for setting in SMALL if not setting.startswith(("data.size", "data.counts"))]


def add_image(folders, name):
    for role in ("source", "target"):
        tifffile.imwrite(folders / role / name, np.arange(40 * 48, dtype=np.uint16).reshape(40, 48))


def split_of(run):
    return pd.read_csv(run / "splits.csv").set_index("name").split.to_dict()


def test_simulated_cells_take_no_folder():
    with pytest.raises(ValueError, match=r"data=synthetic takes no data\.root, got DATA; add data=folders"):
        Synthetic(SyntheticCells(), {"train": 1}, root="DATA")


def test_a_folder_without_its_layout_is_refused_on_the_command_line(folders, im2im, capsys):
    with pytest.raises(SystemExit):
        im2im(f"data.root={folders}", *SMALL)
    assert "add data=folders" in capsys.readouterr().err.strip().splitlines()[-1]


def test_images_that_came_later_do_not_change_a_split_that_is_kept(folders, im2im):
    first = im2im("data=folders", f"data.root={folders}", *TRAINING)
    for index in range(4):
        add_image(folders, f"aa_{index}.tif")
    second = im2im("data=folders", f"data.root={folders}", *TRAINING, f"data.splits={first}/splits.csv")
    assert split_of(second) == split_of(first)
    assert (second / "metrics.csv").read_text() == (first / "metrics.csv").read_text()


def test_a_kept_split_says_nothing_about_other_data(folders):
    assert {pair.split for pair in Files(Folders(folders), splits="no such file").pairs(evaluating=True)} == {"test"}


def test_a_run_goes_on_with_its_own_split_when_images_were_added(folders, im2im):
    first = im2im("data=folders", f"data.root={folders}", *TRAINING)
    for index in range(4):
        add_image(folders, f"aa_{index}.tif")
    assert (im2im("mode=evaluate", f"run={first}") / "metrics.csv").read_text() == (first / "metrics.csv").read_text()
    before = split_of(first)
    assert split_of(im2im(f"run={first}", "max_epochs=2")) == before


def test_a_folder_of_built_in_images_holds_what_was_asked_for(tmp_path):
    cells = SyntheticCells(size=(32, 32))
    Synthetic(cells, {"train": 1}, source="noisy", target="classes", folder=str(tmp_path / "new")).pairs()
    written = {path.parent.name for path in (tmp_path / "new").rglob("*.tif")}
    assert written == {"source", "target", "mask", "instances", "noisy", "classes"}


def test_a_folder_of_built_in_images_serves_several_tasks(tmp_path):
    for target in ("classes", "noisy", "target"):
        Synthetic(SyntheticCells(size=(32, 32)), {"train": 1}, target=target, folder=str(tmp_path / "new")).pairs()
    written = {path.parent.name for path in (tmp_path / "new").rglob("*.tif")}
    assert written == {"source", "target", "mask", "instances", "noisy", "classes"}
