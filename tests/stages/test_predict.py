import shlex

import numpy as np
import pytest
import tifffile
from tests_shared import command

from im2im.io.reader import AutoReader


@pytest.fixture
def images(tmp_path):
    """A folder with one 2D image of odd size."""
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    tifffile.imwrite(
        folder / "a.ome.tif", rng.integers(0, 999, (37, 50), np.uint16), metadata={"axes": "YX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.2}
    )
    return folder


def read(path) -> np.ndarray:
    return AutoReader()(path)[0].read()


def test_the_command_printed_by_a_run_works_as_pasted(trained, tmp_path, capsys):
    log = (trained / "im2im.log").read_text()
    line = next(line.strip() for line in log.splitlines() if "mode=predict" in line)
    run = command(trained.parents[2], *shlex.split(line)[3:])
    assert len(list((trained / "predictions").glob("*.tif"))) == 2
    assert run


def test_names_and_pixel_sizes_are_carried_over(trained, images, im2im, tmp_path):
    im2im("mode=predict", f"run={trained}", f"input={images}", f"output={tmp_path}/out")
    written = AutoReader()(tmp_path / "out" / "a.ome.tif")[0]
    assert written.shape == (1, 1, 1, 37, 50)
    assert written.pixel_size[1:] == pytest.approx((0.2, 0.3))
    assert written.dtype == np.float32


def test_a_prediction_comes_in_the_intensities_of_the_training_targets(trained, images, im2im, tmp_path):
    im2im("mode=predict", f"run={trained}", f"input={images}", f"output={tmp_path}/out")
    prediction = read(tmp_path / "out" / "a.ome.tif")
    import torch

    scale = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)["im2im"]["target_scale"]
    assert scale["offset"][0] > 50
    assert abs(prediction.mean() - scale["offset"][0]) < 5 * scale["scale"][0]


@pytest.mark.parametrize("name", ["best.ckpt", "moved.ckpt"])
def test_a_checkpoint_alone_predicts_the_same(name, trained, images, im2im, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    checkpoint = tmp_path / "elsewhere" / name
    checkpoint.write_bytes((trained / "checkpoints" / "best.ckpt").read_bytes())
    im2im("mode=predict", f"run={trained}", f"input={images}", f"output={tmp_path}/one")
    im2im("mode=predict", f"run={checkpoint}", f"input={images}", f"output={tmp_path}/two")
    assert np.array_equal(read(tmp_path / "one" / "a.ome.tif"), read(tmp_path / "two" / "a.ome.tif"))


def test_tiles_give_the_same_picture_as_the_whole(trained, images, im2im, tmp_path):
    tifffile.imwrite(images / "a.ome.tif", np.random.default_rng(0).integers(0, 999, (150, 170), np.uint16))
    im2im("mode=predict", f"run={trained}", f"input={images}", f"output={tmp_path}/one")
    im2im("mode=predict", f"run={trained}", f"input={images}", f"output={tmp_path}/two", "inference.tile=[96,96]", "inference.overlap=0.7")
    assert read(tmp_path / "two" / "a.ome.tif") == pytest.approx(read(tmp_path / "one" / "a.ome.tif"), rel=1e-3)


def test_what_exists_is_not_overwritten_unless_asked(trained, images, im2im, tmp_path, capsys):
    settings = ["mode=predict", f"run={trained}", f"input={images}/*.tif", f"output={tmp_path}/out"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.ome.tif").write_text("mine")
    with pytest.raises(SystemExit):
        im2im(*settings)
    assert "mode.overwrite=true" in capsys.readouterr().err
    assert (tmp_path / "out" / "a.ome.tif").read_text() == "mine"
    im2im(*settings, "mode.overwrite=true")
    assert read(tmp_path / "out" / "a.ome.tif").shape[-2:] == (37, 50)


def test_an_unreadable_file_is_named_and_the_others_are_predicted(trained, images, im2im, tmp_path, capsys):
    (images / "b.tif").write_bytes(b"II*\0 truncated")
    with pytest.raises(SystemExit):
        im2im("mode=predict", f"run={trained}", f"input={images}", f"output={tmp_path}/out")
    assert "b.tif" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.ome.tif"]


@pytest.mark.parametrize(
    ("array", "axes", "kept"),
    [
        ((3, 20, 24), "TYX", (3, 1, 1, 20, 24)),
        ((2, 20, 24), "ZYX", None),
        ((2, 20, 24), "CYX", None),
    ],
    ids=["time", "stack", "channels"],
)
def test_every_time_point_is_predicted_and_dimensions_that_do_not_fit_are_refused(array, axes, kept, trained, im2im, tmp_path, capsys):
    path = tmp_path / "x.ome.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 999, array, np.uint16), metadata={"axes": axes})
    settings = ["mode=predict", f"run={trained}", f"input={path}", f"output={tmp_path}/out"]
    if kept:
        im2im(*settings)
        assert AutoReader()(tmp_path / "out" / "x.ome.tif")[0].shape == kept
    else:
        with pytest.raises(SystemExit):
            im2im(*settings)
        told = capsys.readouterr().err
        assert ("spatial_dims" if axes == "ZYX" else "data.source_channels") in told


def test_each_time_point_is_predicted_as_if_alone(trained, im2im, tmp_path):
    movie = np.random.default_rng(0).integers(0, 999, (2, 32, 32), np.uint16)
    tifffile.imwrite(tmp_path / "movie.ome.tif", movie, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "second.ome.tif", movie[1], metadata={"axes": "YX"})
    im2im("mode=predict", f"run={trained}", f"input={tmp_path}/*.ome.tif", f"output={tmp_path}/out")
    assert np.array_equal(read(tmp_path / "out" / "movie.ome.tif")[1], read(tmp_path / "out" / "second.ome.tif")[0])


def test_a_projection_or_chosen_channel_makes_a_stack_fit(trained, im2im, tmp_path):
    stack = np.random.default_rng(0).integers(0, 999, (4, 2, 32, 32), np.uint16)
    tifffile.imwrite(tmp_path / "x.ome.tif", stack, metadata={"axes": "ZCYX"})
    tifffile.imwrite(tmp_path / "y.ome.tif", stack.max(0)[1], metadata={"axes": "YX"})
    im2im(
        "mode=predict",
        f"run={trained}",
        f"input={tmp_path}/x.ome.tif",
        f"output={tmp_path}/out",
        "data.project=max",
        "data.source_channels=[1]",
    )
    im2im("mode=predict", f"run={trained}", f"input={tmp_path}/y.ome.tif", f"output={tmp_path}/out")
    one, other = (read(tmp_path / "out" / name) for name in ("x.ome.tif", "y.ome.tif"))
    assert np.array_equal(one, other)


def test_a_time_lapse_of_stacks_is_predicted(trained_3d, im2im, tmp_path):
    array = np.random.default_rng(0).integers(0, 999, (2, 5, 20, 24), np.uint16)
    tifffile.imwrite(tmp_path / "x.ome.tif", array, metadata={"axes": "TZYX", "PhysicalSizeZ": 1.5})
    im2im("mode=predict", f"run={trained_3d}", f"input={tmp_path}/x.ome.tif", f"output={tmp_path}/out")
    written = AutoReader()(tmp_path / "out" / "x.ome.tif")[0]
    assert written.shape == (2, 1, 5, 20, 24)
    assert written.pixel_size[0] == pytest.approx(1.5)


@pytest.mark.parametrize(("format", "name"), [("tif", "x.tif"), ("ome.tif", "x.ome.tif"), ("ome.zarr", "x.ome.zarr")])
def test_the_format_can_be_chosen(format, name, trained, im2im, tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((20, 24), np.uint8))
    im2im("mode=predict", f"run={trained}", f"input={tmp_path}/x.tif", f"output={tmp_path}/out", f"mode.format={format}")
    assert AutoReader()(tmp_path / "out" / name)[0].shape[-2:] == (20, 24)


@pytest.mark.parametrize("pixels", [np.full((32, 32), 7.0, np.float32), np.full((32, 32), np.nan, np.float32)], ids=["constant", "nan"])
def test_blank_and_broken_images_give_finite_predictions(pixels, trained, im2im, tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", pixels)
    im2im("mode=predict", f"run={trained}", f"input={tmp_path}/x.tif", f"output={tmp_path}/out")
    assert np.isfinite(read(tmp_path / "out" / "x.tif")).all()


def test_an_output_folder_that_cannot_be_written_is_named(trained, images, im2im, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(SystemExit):
        im2im("mode=predict", f"run={trained}", f"input={images}", f"output={tmp_path}/taken")
    assert f"{tmp_path}/taken" in capsys.readouterr().err


def test_a_full_disk_is_told_and_leaves_nothing_half_written(trained, images, im2im, tmp_path, capsys, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "TiffWriter", full)
    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(SystemExit):
        im2im("mode=predict", f"run={trained}", f"input={images}", f"output={tmp_path}/out")
    assert "No space left" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_two_inputs_of_one_name_do_not_overwrite_each_other(trained, im2im, tmp_path, capsys):
    for folder, value in (("p", 1), ("q", 2)):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "a.tif", np.random.default_rng(value).integers(0, 99, (32, 32), np.uint8))
    with pytest.raises(SystemExit):
        im2im("mode=predict", f"run={trained}", f'input="{tmp_path}/[pq]/a.tif"', f"output={tmp_path}/out", "mode.overwrite=true")
    assert "as another input is" in capsys.readouterr().err


def test_a_run_trained_in_bfloat16_elsewhere_predicts_here(trained_3d, im2im, tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((8, 32, 32), np.uint8))
    im2im("mode=predict", f"run={trained_3d}", f"input={tmp_path}/x.tif", f"output={tmp_path}/out", "hardware.precision=bf16-mixed")
    assert (tmp_path / "out" / "x.tif").exists()
