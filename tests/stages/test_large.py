from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
import zarr
from rich.progress import Progress
from scipy import ndimage
from tests_shared import command

from im2im import load
from im2im.data.side import Side
from im2im.inference.tiling import TiledInference
from im2im.io import pyramid
from im2im.io.image import Image
from im2im.io.ome_zarr import create_zarr, open_zarr
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.networks.demand import Demand
from im2im.normalization import Identity
from im2im.stages import large, tiled_image
from im2im.stages.large import predict_large
from im2im.tasks.instance import Instance
from im2im.tasks.semantic import Semantic

LITTLE = ["inference.memory=1e-5", "inference.halo=receptive_field"]
SHAPES = {2: (2, 150, 131), 3: (24, 70, 75)}  # TYX, ZYX


@pytest.fixture(params=[2, 3], ids=["2D", "3D"])
def run(request):
    """A trained run and the shape of an image for it."""
    return request.getfixturevalue("trained" if request.param == 2 else "trained_3d"), SHAPES[request.param]


@pytest.fixture
def image(run, tmp_path):
    """An OME-Zarr of that shape."""
    array = np.random.default_rng(0).integers(0, 4000, run[1], np.uint16)
    axes = "TYX" if len(array) == 2 else "ZYX"
    path = tmp_path / "in" / "a.ome.zarr"
    path.parent.mkdir()
    create_zarr(path, array.shape, array.dtype, axes, (0.5, 0.2, 0.2))[...] = array
    return path


def predict(run, image, output, *settings):
    tile = "[64,64]" if "trained0" in str(run) else "[24,64,64]"
    where = [f"run={run}", f"input={image}", f"output={output}"]
    command(output.parent, "mode=predict", *where, "hardware=cpu", f"inference.tile={tile}", *settings)


def read(path) -> np.ndarray:
    return AutoReader()(path)[0].read()


@pytest.mark.parametrize(("suffix", "border"), [("ome.zarr", 0), ("ome.tif", 16), ("tif", 0)])
def test_an_image_larger_than_memory_is_predicted_as_one_that_fits(run, image, suffix, border, tmp_path):
    predict(run[0], image, tmp_path / "whole", f"mode.format={suffix}", f"inference.border={border}")
    predict(run[0], image, tmp_path / "tiles", f"mode.format={suffix}", f"inference.border={border}", *LITTLE)
    whole, tiles = (AutoReader()(tmp_path / folder / f"a.{suffix}")[0] for folder in ("whole", "tiles"))
    np.testing.assert_allclose(tiles.read(), whole.read(), rtol=1e-4, atol=0.02)
    assert (tiles.shape, tiles.axes, tiles.dtype, tiles.pixel_size) == (whole.shape, whole.axes, whole.dtype, whole.pixel_size)
    assert {path.name for path in (tmp_path / "tiles").iterdir()} == {f"a.{suffix}"}


def test_every_chunk_is_written_by_one_tile(run, image, tmp_path, monkeypatch):
    written = []
    put = tiled_image.TiledImage.put

    def noting(self, name, time, region, block, **facts):
        put(self, name, time, region, block, **facts)
        chunk, shape = self._chunk(), self.source.spatial_shape(self.image)
        written.extend(part.start % length for part, length in zip(region, chunk, strict=True))
        written.extend(part.stop % length for part, length, end in zip(region, chunk, shape, strict=True) if part.stop < end)

    monkeypatch.setattr(tiled_image.TiledImage, "put", noting)
    predict(run[0], image, tmp_path / "out", *LITTLE)
    assert zarr.open_group(str(tmp_path / "out" / "a.ome.zarr"), mode="r")["0"].nchunks > 4
    assert set(written) == {0}


def test_a_killed_prediction_goes_on_where_it_stopped(run, image, tmp_path, monkeypatch):
    predict(run[0], image, tmp_path / "whole", *LITTLE)
    write, count = tiled_image.TiledImage.write, []

    def failing(self, number, prediction):
        count.append(number)
        if len(count) == 5:
            raise KeyboardInterrupt
        write(self, number, prediction)

    monkeypatch.setattr(tiled_image.TiledImage, "write", failing)
    with pytest.raises(KeyboardInterrupt):
        predict(run[0], image, tmp_path / "out", *LITTLE)
    assert not (tmp_path / "out" / "a.ome.zarr").exists()
    assert (tmp_path / "out" / ".a.ome.zarr.unfinished" / "done").read_text() == "0\n1\n2\n3\n"
    predict(run[0], image, tmp_path / "out", *LITTLE)
    assert count[5:7] == [4, 5]
    np.testing.assert_array_equal(read(tmp_path / "out" / "a.ome.zarr"), read(tmp_path / "whole" / "a.ome.zarr"))


def test_a_prediction_that_is_killed_while_it_is_finished_goes_on(run, image, tmp_path, monkeypatch):
    predict(run[0], image, tmp_path / "whole", *LITTLE)
    make, count = large.add_pyramid, []

    def failing(path, axes, labels):
        make(path, axes, labels)
        count.append(path)
        if len(count) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(large, "add_pyramid", failing)
    monkeypatch.setattr(pyramid, "COARSEST", 16)
    with pytest.raises(KeyboardInterrupt):
        predict(run[0], image, tmp_path / "out", *LITTLE)
    predict(run[0], image, tmp_path / "out", *LITTLE)
    np.testing.assert_array_equal(read(tmp_path / "out" / "a.ome.zarr"), read(tmp_path / "whole" / "a.ome.zarr"))


@pytest.mark.parametrize("change", [["inference.views=[[-1]]"], ["normalization=minmax"], []], ids=["views", "normalization", "pixels"])
def test_other_settings_begin_anew(change, trained, tmp_path, monkeypatch, capsys):
    array = np.random.default_rng(0).integers(0, 4000, (90, 90), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", array)
    write, count = tiled_image.TiledImage.write, []

    def failing(self, number, prediction):
        count.append(number)
        if len(count) == 3:
            raise KeyboardInterrupt
        write(self, number, prediction)

    monkeypatch.setattr(tiled_image.TiledImage, "write", failing)
    with pytest.raises(KeyboardInterrupt):
        predict(trained, tmp_path / "a.tif", tmp_path / "out", *LITTLE)
    if not change:
        tifffile.imwrite(tmp_path / "a.tif", array + 1)
    predict(trained, tmp_path / "a.tif", tmp_path / "out", *LITTLE, *change)
    assert "a.tif is predicted anew" in capsys.readouterr().err
    assert count[3] == 0


class Blobs:
    """Stands for a framework that finds the connected pieces of what it sees."""

    task, reads, outputs = Instance(), "source", ("labels",)

    def __init__(self, halo, tile):
        self.inference = TiledInference(tile=tile, halo=halo)

    def predictor(self):
        return self

    runs = ()

    def __call__(self, batch):
        return batch

    def demand(self, channels, shape):
        return Demand()

    def decode(self, output, name):
        return ndimage.label(output[0] > 0.5)[0][None].astype(np.uint16)


@pytest.mark.parametrize("shape", [(120, 97), (20, 60, 55)], ids=["2D", "3D"])
@pytest.mark.parametrize("times", [1, 2])
def test_objects_are_joined_across_tiles_and_numbered_once(shape, times, tmp_path):
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(times, *shape)), (0, *(2,) * len(shape)))
    masks = (smooth > smooth.std()).astype(np.uint8)
    masks[(0, *(slice(10, 12),) * (len(shape) - 1))] = 1  # one that crosses many tiles
    side = Side(AutoReader(), Selection(), Identity(), len(shape))
    image = Image.from_array(masks, "TYX" if len(shape) == 2 else "TZYX", "a.tif")
    tile = (24, 24) if len(shape) == 2 else (12, 24, 24)
    predict_large(Blobs([4] * len(shape), tile), side, image, {"labels": tmp_path / "a.ome.zarr"}, (), Progress(disable=True))
    (found,) = open_zarr(tmp_path / "a.ome.zarr")
    for time in range(times):
        labels = found.read()[time, 0].reshape(shape)
        expected, count = ndimage.label(masks[time])
        pairs = np.unique(np.stack([labels[expected > 0], expected[expected > 0]]), axis=1)
        assert pairs.shape[1] == count
        assert np.unique(labels).tolist() == list(range(count + 1))
        assert not labels[expected == 0].any()


def test_a_threshold_of_the_whole_image_is_refused():
    with pytest.raises(ValueError, match=r"does not fit into memory, got task.threshold=otsu; set a probability"):
        Semantic(lambda *_: torch.zeros(()), threshold="otsu").require_local()
    Semantic(lambda *_: torch.zeros(())).require_local()


def test_an_average_of_overlaps_is_refused(trained, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((90, 90), np.uint16))
    with pytest.raises(SystemExit):
        predict(trained, tmp_path / "a.tif", tmp_path / "out", *LITTLE, "inference.blending._target_=im2im.inference.blending.Gaussian")
    assert "are cropped, got Gaussian; set inference.blending._target_" in capsys.readouterr().err


def test_an_output_that_has_moved_to_its_place_is_finished(tmp_path):
    class Job:
        numbers_objects = staticmethod(lambda name: False)
        store = staticmethod(lambda name: tmp_path / "moved.zarr")

    (tmp_path / "a.ome.zarr").mkdir()
    large.finish(Job(), "labels", tmp_path / "a.ome.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]


@pytest.mark.parametrize(
    "change",
    [
        lambda framework, source: (framework, replace(source, normalization=Identity())),
        lambda framework, source: (framework, replace(source, selection=Selection(channels=0))),
        lambda framework, source: (framework, replace(source, reader=AutoReader("YX"))),
        lambda framework, source: (setattr(framework, "task", replace(framework.task, normalization=Identity())), (framework, source))[1],
        lambda framework, source: (setattr(framework, "record", {**framework.record, "target_scale": None}), (framework, source))[1],
    ],
    ids=["normalization", "selection", "reader", "task", "scale"],
)
def test_all_that_a_prediction_depends_on_is_summed_up(change, trained, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 20), np.uint8))
    (image,) = AutoReader()(tmp_path / "a.tif")
    model = load(trained)
    before = large._stamp(model.framework, model.source, image, ("prediction",))
    assert large._stamp(model.framework, model.source, image, ("prediction",)) == before
    framework, source = change(model.framework, model.source)
    assert large._stamp(framework, source, image, ("prediction",)) != before
