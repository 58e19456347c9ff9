import shutil
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import tifffile

from im2im.data.augment import Augmentation
from im2im.data.datamodule import ImageData
from im2im.data.index import Entry, Files
from im2im.data.patches import Sampling
from im2im.data.side import Side
from im2im.io.image import Image
from im2im.io.pairing import Folders
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.normalization import Identity, Percentile, Standard


def data_of(root, *, patch_size=(8, 8), spatial_dims=2, memory=1.0, normalization=Standard()) -> ImageData:
    source, target = (Side(AutoReader(), Selection(), normalization, spatial_dims, name) for name in ("source", "target"))
    return ImageData(Files(Folders(root)), source, target, Sampling(patch_size, 1), Augmentation(), seed=0, workers=0, memory=memory)


@pytest.mark.parametrize(("patch_size", "spatial_dims", "better"), [((32, 32), 3, r"\[16,64,64\]"), ((8, 32, 32), 2, r"\[128,128\]")])
def test_a_patch_of_other_axes_than_the_images_is_refused(patch_size, spatial_dims, better, tmp_path):
    with pytest.raises(ValueError, match=rf"patch_size has {len(patch_size)} lengths but spatial_dims={spatial_dims}.*{better}"):
        data_of(tmp_path, patch_size=patch_size, spatial_dims=spatial_dims)


@pytest.mark.parametrize("spatial_dims", [1, 4])
def test_other_numbers_of_dimensions_are_refused(spatial_dims, tmp_path):
    with pytest.raises(ValueError, match=f"got spatial_dims={spatial_dims}; set spatial_dims=2 or 3"):
        data_of(tmp_path, spatial_dims=spatial_dims)


def readable(data, split) -> bool:
    try:
        data.source.array(data.entries(split)[0].source)
    except (OSError, ValueError):
        return False
    return True


@pytest.mark.parametrize(("images", "kept"), [(0, []), (4, ["train"]), (5, ["train", "val"]), (6, ["train", "val", "test"])])
def test_the_memory_is_that_of_all_splits_together(images, kept, folders):
    of_a_pair = 2 * 40 * 48 * 2 / 2**30
    data = data_of(folders, memory=images * of_a_pair)  # 4 for training, 1 for validation, 1 for test
    counts = {split: len(data.entries(split)) for split in ("train", "val", "test")}
    shutil.rmtree(folders)
    assert counts == {"train": 4, "val": 1, "test": 1}
    assert [split for split in counts if readable(data, split)] == kept


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize("opened", [False, True])
def test_images_of_other_channels_than_the_network_takes_are_refused(role, opened, folders):
    for path in (folders / role).iterdir():
        tifffile.imwrite(path, np.zeros((2, 40, 48), np.uint16), metadata={"axes": "CYX"})
    data = data_of(folders)
    if opened:
        data.entries("test")
    with pytest.raises(ValueError, match=rf"cell_\d.tif has 2 channels, the network takes 1; choose with data\.{role}_channels"):
        data.require_channels(1, 1) or data.entries("test")


def test_a_network_whose_targets_are_not_known_takes_any(folders):
    data = data_of(folders)
    data.require_channels(1)
    assert len(data.entries("test")) == 1


@pytest.mark.parametrize("normalization", [Standard(), Percentile(), Standard(per_channel=False)])
@pytest.mark.parametrize("channels", [1, 2])
def test_excluded_pixels_are_in_the_statistics_of_the_source_but_not_of_the_target(normalization, channels, folders):
    rng = np.random.default_rng(1)
    (folders / "cost_map").mkdir()
    images = {}
    for path in sorted((folders / "target").iterdir()):
        images[path.stem] = rng.integers(0, 9000, (channels, 40, 48), np.uint16)
        tifffile.imwrite(path, images[path.stem], metadata={"axes": "CYX"})
        tifffile.imwrite(folders / "cost_map" / path.name, np.repeat(np.uint8([0, 1]), 24)[None] * np.ones((40, 1), np.uint8))
    entry = data_of(folders, normalization=normalization).entries("test")[0]
    assert entry.target_scale == normalization.fit(images[entry.name][..., 24:].astype(np.float32))
    assert entry.source_scale == normalization.fit(tifffile.imread(folders / "source" / f"{entry.name}.tif")[None])


def labelled(root, **settings) -> ImageData:
    data = data_of(root, **settings)
    data.target = replace(data.target, normalization=Identity(), interpolation="nearest")
    return data


@pytest.mark.parametrize(("patch_size", "filled"), [((8, 8), False), ((64, 64), True)])
def test_labels_that_are_smaller_than_a_patch_come_with_a_cost_map(patch_size, filled, folders):
    data = labelled(folders, patch_size=patch_size)
    for loader in (data.train_dataloader(), data.val_dataloader()):
        assert ("cost_map" in next(iter(loader))) is filled


def test_labels_that_would_run_into_each_other_are_refused(folders):
    for path in (folders / "target").iterdir():
        tifffile.imwrite(path, np.full((40, 48), 2**24 + 1, np.uint32))
    with pytest.raises(ValueError, match=r"labels up to 16777217.*number its objects from 1 on"):
        labelled(folders).entries("train")


@pytest.mark.parametrize(
    ("size", "found"), [((0.5, 0.36, 0.3), [0.5, 0.36, 0.3]), ((2.0, None, None), [1.0] * 3), ((None, 0.5, 0.5), [1.0] * 3)]
)
def test_half_known_voxel_sizes_are_not_mixed_with_ones(size, found, folders, caplog):
    data = data_of(folders, patch_size=(1, 8, 8), spatial_dims=3)
    stack = Image.from_array(np.zeros((4, 5, 6)), "ZYX", pixel_size=size)
    data._first = Entry("a", stack, stack)
    assert data.voxel_size() == found
    assert ("set voxel_size=" in caplog.text) is (None in size)


def test_training_images_with_pixels_of_another_shape_are_told(folders, caplog):
    for at, path in enumerate(sorted((folders / "source").iterdir())):
        tifffile.imwrite(
            path, np.zeros((40, 48), np.uint16), imagej=True, resolution=(4, 4 + at % 2), metadata={"axes": "YX", "unit": "um"}
        )
    data_of(folders).entries("train")
    assert caplog.text.count("ratios differ") == 1


@pytest.mark.parametrize(("workers", "loaded", "start"), [(1, True, "forkserver"), (1, False, None), (0, True, None)])
def test_a_process_that_has_used_openvino_is_not_forked(workers, loaded, start, tmp_path, monkeypatch):
    for role in ("source", "target"):
        (tmp_path / role).mkdir()
        for number in range(5):
            tifffile.imwrite(tmp_path / role / f"{number}.tif", np.zeros((16, 16), np.uint8))
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    if loaded:
        monkeypatch.setitem(sys.modules, "openvino", ModuleType("openvino"))
    data = data_of(tmp_path)
    data.workers = workers
    context = data.train_dataloader().multiprocessing_context
    assert (context and context.get_start_method()) == start
