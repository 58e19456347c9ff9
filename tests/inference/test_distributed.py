import os
import signal

import numpy as np
import pytest
import tifffile
from distributed import LocalCluster
from rich.progress import Progress
from tests_shared import command

from im2im import load
from im2im.inference import distributed
from im2im.inference.distributed import DaskInference
from im2im.inference.tiling import TiledInference
from im2im.io.reader import AutoReader
from im2im.stages.large import predict_large, prepare

TILES = {"tile": [64, 64], "halo": [24, 24]}


@pytest.fixture
def image(tmp_path):
    """A TIFF of many tiles."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 4000, (150, 131), np.uint16))
    return path


def read(path) -> np.ndarray:
    return AutoReader()(path)[0].read()


def test_workers_predict_what_one_process_predicts(trained, image, tmp_path):
    settings = ["inference.tile=[64,64]", "inference.halo=[24,24]", "mode.format=ome.zarr", "hardware=cpu", "inference.border=0"]
    where = ["mode=predict", f"run={trained}", f"input={image}"]
    command(tmp_path, *where, f"output={tmp_path / 'alone'}", "inference.memory=1e-5", *settings)
    command(tmp_path, *where, f"output={tmp_path / 'together'}", "inference=dask", "inference.workers=2", *settings)
    found, expected = (read(tmp_path / name / "a.ome.zarr") for name in ("together", "alone"))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_the_tiles_of_a_lost_worker_are_done_again(trained, image, tmp_path):
    model = load(trained)
    (opened,) = model.source.open(image)
    model.framework.inference = TiledInference(**TILES, memory=1e-5)
    predict_large(model.framework, model.source, opened, {"intensities": tmp_path / "alone.ome.zarr"}, (), Progress(disable=True))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        model.framework.inference = DaskInference(**TILES, scheduler=cluster.scheduler_address)
        job = prepare(model.framework, model.source, opened, ("intensities",), tmp_path / "unfinished", ())
        done = []
        for number in model.framework.inference.work(job, list(job.numbers)):
            done.append(number)
            if len(done) == 3:
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
    assert sorted(done) == list(job.numbers)
    found = read(job.store("intensities"))
    np.testing.assert_allclose(found, read(tmp_path / "alone.ome.zarr"), rtol=1e-5, atol=1e-3)


def test_a_scheduler_that_does_not_answer_is_named(trained, image, tmp_path, capsys):
    where = [f"run={trained}", f"input={image}", f"output={tmp_path / 'out'}", "hardware=cpu"]
    with pytest.raises(SystemExit):
        command(tmp_path, "mode=predict", *where, "inference=dask", "inference.tile=[64,64]", "inference.scheduler=tcp://127.0.0.1:1")
    assert "got inference.scheduler=tcp://127.0.0.1:1; start one, or set it to null" in capsys.readouterr().err


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="got 0; raise inference.workers"):
        DaskInference(workers=0)


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ValueError, match=r'pip install "microscopy-im2im\[dask\]"'), distributed.DaskInference()._client():
        pass


@pytest.mark.parametrize(("settings", "share"), [({"workers": 4}, 4), ({"scheduler": "tcp://host:8786"}, 1)])
def test_workers_that_are_started_here_share_the_memory(settings, share):
    assert DaskInference(memory=1.0, **settings).budget() == 1e9 // share
