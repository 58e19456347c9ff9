"""The built-in data as they are served."""

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from im2im.data import synthetic
from im2im.data.roles import number_objects
from im2im.data.simulation import Specimen
from im2im.data.synthetic import SyntheticCells, write_folder

SIZES = {2: (160, 192), 3: (16, 96, 80)}
ROLES = {"source": np.uint16, "target": np.uint16, "mask": np.uint8, "instances": np.uint16}


@pytest.fixture(scope="module", params=[(2, "brightfield"), (2, "phase"), (3, "brightfield"), (3, "phase")], ids=str)
def cells(request) -> SyntheticCells:
    spatial_dims, contrast = request.param
    return SyntheticCells(spatial_dims, SIZES[spatial_dims], contrast, seed=4)


@pytest.fixture(scope="module")
def samples(cells) -> list[dict[str, np.ndarray]]:
    return [cells(index) for index in range(4)]


def test_arrays_have_the_size_and_the_types_that_are_promised(cells, samples):
    assert {role: image.dtype for role, image in samples[0].items()} == ROLES
    assert {image.shape for sample in samples for image in sample.values()} == {cells.size}


def test_an_image_follows_from_seed_and_index_alone(cells, samples):
    again = SyntheticCells(cells.spatial_dims, cells.size, cells.contrast, seed=4)(2)
    for role, image in again.items():
        np.testing.assert_array_equal(image, samples[2][role])


def test_other_indices_and_seeds_give_other_images(cells, samples):
    other_seed = SyntheticCells(cells.spatial_dims, cells.size, cells.contrast, seed=5)(2)
    for other in (samples[3], other_seed):
        overlap = np.mean(samples[2]["mask"][other["mask"] > 0])
        assert overlap < 0.6
        assert abs(np.corrcoef(samples[2]["source"].ravel(), other["source"].ravel())[0, 1]) < 0.3


def test_contrast_changes_the_source_alone():
    brightfield, phase = (SyntheticCells(2, (96, 96), contrast)(1) for contrast in ("brightfield", "phase"))
    assert not np.array_equal(brightfield["source"], phase["source"])
    for role in ("target", "mask", "instances"):
        np.testing.assert_array_equal(brightfield[role], phase[role])


def test_the_mask_is_the_union_of_the_instances(samples):
    for sample in samples:
        assert sample["mask"].any()
        np.testing.assert_array_equal(sample["mask"], sample["instances"] > 0)


def test_instances_are_connected_and_numbered_without_gaps(samples):
    for sample in samples:
        numbers = np.unique(sample["instances"])
        np.testing.assert_array_equal(numbers, np.arange(len(numbers)))
        for number in numbers[1:]:
            assert ndimage.label(sample["instances"] == number, np.ones((3,) * sample["instances"].ndim))[1] == 1


def test_an_object_cut_in_pieces_keeps_the_largest():
    labels = np.array([[7, 0, 7, 7], [7, 0, 7, 7], [0, 0, 0, 0], [3, 3, 0, 0]])
    assert number_objects(labels).tolist() == [[0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 0, 0], [1, 1, 0, 0]]


def test_nuclei_are_brighter_than_their_surroundings_in_the_target(samples):
    for sample in samples:
        inside = sample["mask"] > 0
        dark = np.percentile(sample["target"][~inside], 50)
        assert np.median(sample["target"][inside]) - 100 > 2 * (dark - 100)


def test_the_source_alone_does_not_show_where_the_stain_is(samples):
    correlations = [np.corrcoef(sample["source"].ravel(), sample["target"].ravel())[0, 1] for sample in samples]
    assert np.abs(correlations).max() < 0.3


def test_exposure_and_staining_differ_from_image_to_image(samples):
    for role in ("source", "target"):
        bright = [np.percentile(sample[role], 99.0) for sample in samples]
        assert max(bright) > 1.3 * min(bright)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("contrast", ["brightfield", "phase"])
def test_a_field_without_cells_shows_photon_noise_and_no_fringes(spatial_dims, contrast, monkeypatch):
    def empty(rng, shape, spacing):
        return Specimen(*(np.zeros(shape, dtype) for dtype in (np.float32, np.float32, np.float32, int)))

    def excess(cells: SyntheticCells) -> float:
        source = cells(0)["source"].astype(float)
        of_neighbours = np.var(np.diff(source, n=2, axis=-1)) / 6  # second differences: shading cancels
        return of_neighbours / (2 * (source.mean() - 100))

    cells = SyntheticCells(spatial_dims, SIZES[spatial_dims], contrast)
    with_cells = excess(cells)
    monkeypatch.setattr(synthetic, "grow", empty)
    assert excess(cells) == pytest.approx(1, abs=0.05)
    assert with_cells > 1.5
    assert not cells(0)["instances"].any()


def test_defaults_are_256_squared_and_a_stack_of_24_planes():
    assert SyntheticCells().shape == (256, 256)
    assert SyntheticCells(spatial_dims=3).shape == (24, 128, 128)
    assert SyntheticCells().pixel_size == (1.0, 0.3, 0.3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spatial_dims": 4}, "got 4; set spatial_dims to 2 or 3"),
        ({"contrast": "dic"}, "got 'dic'; set data.contrast to one of brightfield, phase"),
        ({"size": (24, 64, 64)}, r"needs 2 positive lengths, got \(24, 64, 64\); change data.size or spatial_dims"),
        ({"size": (0, 64)}, r"got \(0, 64\)"),
        ({"seed": -1}, "got -1; set seed"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SyntheticCells(**settings)


@pytest.mark.parametrize(("spatial_dims", "size", "axes"), [(2, (32, 40), "YX"), (3, (4, 32, 40), "ZYX")])
def test_a_folder_holds_each_split_and_role_with_pixel_sizes(tmp_path, spatial_dims, size, axes):
    cells = SyntheticCells(spatial_dims, size)
    write_folder(cells, tmp_path / "data", {"train": 2, "test": 1})
    written = {path.relative_to(tmp_path / "data").as_posix() for path in (tmp_path / "data").rglob("*.tif")}
    names = ("train/{}/cells_000.tif", "train/{}/cells_001.tif", "test/{}/cells_002.tif")
    assert written == {name.format(role) for name in names for role in ROLES}

    for role, image in cells(2).items():
        with tifffile.TiffFile(tmp_path / "data" / "test" / role / "cells_002.tif") as file:
            assert file.series[0].axes == axes
            assert file.imagej_metadata["unit"] == "um"
            assert file.imagej_metadata.get("spacing", 1.0) == 1.0
            across, per = file.pages[0].tags["XResolution"].value
            assert per / across == pytest.approx(0.3)
            np.testing.assert_array_equal(file.asarray(), image)
            assert file.asarray().dtype == ROLES[role]


@pytest.mark.parametrize(("spatial_dims", "size", "axes"), [(2, (32, 40), "YXS"), (3, (4, 32, 40), "ZYXS")])
def test_other_roles_are_written_when_asked_for_colour_as_rgb(tmp_path, spatial_dims, size, axes):
    cells = SyntheticCells(spatial_dims, size)
    for _ in range(2):  # the second time on top of the first
        write_folder(cells, tmp_path, {"train": 1}, roles=("stained", "classes"))
    assert {path.parent.name for path in tmp_path.rglob("*.tif")} == {"stained", "classes"}
    with tifffile.TiffFile(tmp_path / "train" / "stained" / "cells_000.tif") as file:
        assert file.series[0].axes == axes
        np.testing.assert_array_equal(np.moveaxis(file.asarray(), -1, 0), cells(0, ("stained",))["stained"])


def test_a_folder_with_files_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"not empty, got .*; set data.folder to a new folder"):
        write_folder(SyntheticCells(size=(32, 32)), tmp_path, {"train": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_images_that_are_there_already_are_left_and_missing_ones_added(tmp_path):
    cells = SyntheticCells(size=(32, 32))
    write_folder(cells, tmp_path, {"train": 2, "test": 1})
    files = sorted(tmp_path.rglob("*.tif"))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    files[-1].unlink()
    write_folder(cells, tmp_path, {"train": 2, "test": 1})
    assert sorted(tmp_path.rglob("*.tif")) == files
    assert all(path.stat().st_mtime_ns == before[path][0] for path in files if path.parents[1] != files[-1].parents[1])
    assert all(path.read_bytes() == content for path, (_, content) in before.items())


@pytest.mark.parametrize(("settings", "splits"), [({"seed": 1}, {"train": 2}), ({"size": (16, 16)}, {"train": 2}), ({}, {"test": 2})])
def test_a_folder_of_other_simulated_images_is_refused(settings, splits, tmp_path):
    write_folder(SyntheticCells(**{"size": (32, 32)}), tmp_path, {"train": 2})
    with pytest.raises(ValueError, match=r"not empty, got .*; set data.folder to a new folder"):
        write_folder(SyntheticCells(**{"size": (32, 32), **settings}), tmp_path, splits)


def test_half_a_file_is_never_there(tmp_path, monkeypatch):
    def fail(path, *arguments, **settings):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(tifffile, "imwrite", fail)
    with pytest.raises(OSError, match="disk full"):
        write_folder(SyntheticCells(size=(32, 32)), tmp_path, {"train": 1})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
