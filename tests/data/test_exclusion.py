from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from im2im.data.index import Files, Included
from im2im.data.side import Side
from im2im.io.image import Image
from im2im.io.pairing import Folders, Table, Tagged
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.normalization import Identity

CONF = Path(__file__).parents[2] / "conf"
MASK = np.repeat(np.uint8([0, 255]), 24) * np.ones((40, 1), np.uint8)


def side(name):
    return Side(AutoReader(), Selection(), Identity(), 2, name)


def configured(*settings):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose("config", ["patch_size=[8,8]", *settings]).data.module, _convert_="all")


def with_masks(folders, name="cost_map"):
    (folders / name).mkdir()
    for path in (folders / "source").iterdir():
        tifffile.imwrite(folders / name / path.name, MASK)
    return folders


def test_of_an_exclusion_mask_what_is_not_zero_is_excluded():
    mask = Image.from_array(np.uint16([[0, 1, 255], [7, 0, 60000]]), "YX")
    region = (slice(0, 1), slice(0, 1), slice(0, 1), slice(0, 2), slice(1, 3))
    included = Included(mask.load)(region)
    assert included.dtype == np.uint8
    assert included[0, 0, 0].tolist() == [[0, 0], [1, 0]]


@pytest.mark.parametrize(("exclusion", "expected"), [(True, 1 - MASK // 255), (False, MASK)])
def test_cost_map_files_say_what_is_included_or_what_is_excluded(folders, exclusion, expected):
    images = Files(Folders(with_masks(folders)), exclusion=exclusion)
    (entry,) = images.open(images.pairs()[0], side("source"), side("target"))
    np.testing.assert_array_equal(entry.cost_map.read()[0, 0, 0], expected)
    assert entry.cost_map.dtype == np.uint8


@pytest.mark.parametrize("layout", [Tagged, Table])
def test_the_other_layouts_have_exclusion_masks_too(layout, folders, tmp_path):
    with_masks(folders)
    root = tmp_path / "other"
    root.mkdir()
    if layout is Tagged:
        for role, tag in (("source", "IM"), ("target", "GT"), ("cost_map", "CM")):
            for path in (folders / role).iterdir():
                path.rename(root / f"{path.stem}_{tag}.tif")
    else:
        root = folders / "table.csv"
        names = sorted(path.name for path in (folders / "source").iterdir())
        pd.DataFrame({role: [f"{role}/{name}" for name in names] for role in ("source", "target", "cost_map")}).to_csv(root, index=False)
    images = Files(layout(root), exclusion=True)
    (entry,) = images.open(images.pairs()[0], side("source"), side("target"))
    np.testing.assert_array_equal(entry.cost_map.read()[0, 0, 0], 1 - MASK // 255)


def test_the_configuration_takes_folders_of_other_names(folders):
    with_masks(folders, "overlap")
    (folders / "source").rename(folders / "raw")
    names = ["data.folder_names.source=raw", "data.folder_names.cost_map=overlap", "data.exclusion=true"]
    data = configured("data=folders", f"data.root={folders}", *names)
    entry = data.entries("test")[0]
    np.testing.assert_array_equal(data.cutter.cost_map(entry)[0], 1 - MASK // 255)
    assert entry.target_scale is not None


def test_excluded_pixels_are_not_in_the_statistics_of_the_target(folders):
    data = configured("data=folders", f"data.root={with_masks(folders)}", "data.exclusion=true", "normalization=standard")
    entry = data.entries("test")[0]
    target = tifffile.imread(folders / "target" / f"{entry.name}.tif")[:, :24]
    assert entry.target_scale.offset == pytest.approx((target.mean(),))


def test_the_configuration_puts_patches_around_objects(folders):
    for path in (folders / "target").iterdir():
        labels = np.zeros((40, 48), np.uint8)
        labels[20, 30], labels[5, 40] = 1, 2
        tifffile.imwrite(path, labels)
    settings = ["normalization=none", "data.places._target_=im2im.data.objects.AroundObjects", "augmentation=none"]
    data = configured("data=folders", f"data.root={folders}", *settings)
    patches = data.training_patches(data.entries("train"))
    assert len(patches) == 8
    assert [patches[0, index]["target"][0, 4, 4] for index in range(4)] == [1, 2, 1, 2]


@pytest.mark.data
def test_crossing_worms_are_excluded(shared_data):
    data = configured("data=folders", f"data.root={shared_data}/worms_2d", "data.folder_names.cost_map=overlap", "data.exclusion=true")
    entry = next(entry for entry in data.entries("test") if entry.cost_map is not None)
    (overlap,) = AutoReader()(shared_data / "worms_2d" / "test" / "overlap" / entry.cost_map.path.name)
    assert set(np.unique(data.cutter.cost_map(entry))) <= {0, 1}
    np.testing.assert_array_equal(data.cutter.cost_map(entry)[0] == 0, overlap.read()[0, 0, 0] != 0)
