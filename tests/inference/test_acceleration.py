"""Ways to compute faster, each and together."""

import logging
import os
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import tifffile
import torch
from tests_shared import command
from torch import nn

from im2im import load
from im2im.inference import engines
from im2im.inference.acceleration import Acceleration
from im2im.inference.checked import Checked, difference
from im2im.inference.tiling import TiledInference

ENGINES = [None, "compile", "openvino"]


def network(spatial_dims: int) -> nn.Module:
    torch.manual_seed(0)
    convolution, norm = {2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}[spatial_dims]
    made = nn.Sequential(convolution(1, 8, 3, padding=1), norm(8), nn.ReLU(), convolution(8, 1, 3, padding=1))
    made(torch.randn(4, 1, *[8] * spatial_dims))
    return made.eval()


def require(engine: str | None) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino")


@pytest.mark.parametrize("shape", [(1, 40, 40), (1, 3, 20, 20)], ids=["2D", "3D"])
def test_bfloat16_changes_a_prediction_little_and_says_by_how_much(shape, caplog):
    image, seen = torch.randn(shape), []
    made = network(len(shape) - 1)
    made[3].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with caplog.at_level(logging.INFO):
        found = TiledInference(precision="bf16", tile=(16,) * (len(shape) - 1))(made, image)
    exact = TiledInference()(made, image)
    assert 0 < difference(found, exact) < 0.02
    assert seen.count(torch.float32) == 2  # the first tile, and the whole image for this test
    assert caplog.text.count("inference.precision=bf16: differs from single precision by 0.00") == 1


@pytest.mark.parametrize("settings", list(product(ENGINES, [False, True], [None, "bf16"]))[1:], ids=str)
@pytest.mark.parametrize("shape", [(1, 40, 40), (1, 5, 20, 20)], ids=["2D", "3D"])
def test_each_way_alone_and_together_agrees_with_single_precision_on_every_tile(shape, settings, caplog):
    engine, fold, precision = settings
    require(engine)
    made, image, tile = network(len(shape) - 1), torch.randn(shape), (16,) * (len(shape) - 1)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    with caplog.at_level(logging.INFO):
        found = TiledInference(engine=engine, fold=fold, precision=precision, tile=tile, views=[[-1]])(made, image)
    exact = TiledInference(tile=tile, views=[[-1]])(made, image)
    reduced = precision and (engine != "openvino" or engines.openvino_computes_bfloat16())
    low, high = (1e-4, 0.02) if reduced else (0, 1e-5)
    assert low <= difference(found, exact) < high
    assert caplog.text.count("differs from single precision by") == 1
    assert all(f"inference.{name}={value}" in caplog.text for name, value in (("engine", engine), ("precision", precision)) if value)
    assert ("1 of 1 batch norms are folded" in caplog.text) == fold
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert [type(module).__name__ for module in made][1].startswith("BatchNorm")


def test_openvino_says_where_it_has_no_bfloat16(monkeypatch, caplog):
    require("openvino")
    monkeypatch.setattr(engines, "openvino_computes_bfloat16", lambda: False)
    made, image = network(2), torch.randn(1, 20, 20)
    with caplog.at_level(logging.INFO):
        found = TiledInference(engine="openvino", precision="bf16")(made, image)
    assert "it has no inference.precision=bf16 on this CPU, and computes in single precision" in caplog.text
    assert difference(found, TiledInference()(made, image)) < 1e-5


@pytest.mark.parametrize("engine", ENGINES)
def test_images_of_any_size_follow_one_another(engine):
    require(engine)
    made = network(2)
    for size in ((24, 24), (24, 40), (9, 16), (33, 17), (24, 24)):
        image = torch.randn(1, *size)
        assert difference(TiledInference(engine=engine, fold=True)(made, image), TiledInference()(made, image)) < 1e-5


@pytest.mark.parametrize("engine", ENGINES)
def test_other_weights_are_taken_up(engine):
    require(engine)
    made, image, inference = network(2), torch.randn(1, 20, 20), TiledInference(engine=engine, fold=True)
    inference(made, image)
    made[3].bias.data += 7  # which torch does not count as a change
    assert difference(inference(made, image), TiledInference()(made, image)) < 1e-5


def test_a_network_that_is_gone_leaves_nothing_behind():
    import gc
    import weakref

    made = network(2)
    TiledInference(fold=True, precision="bf16")(made, torch.randn(1, 20, 20))
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("settings", "without"),
    [
        ({"precision": "bf16"}, "inference.precision=null"),
        ({"fold": True}, "inference.fold=false"),
        ({"engine": "openvino", "precision": "bf16"}, "inference.precision=null inference.engine=null"),
    ],
    ids=str,
)
def test_a_large_difference_is_refused_each_time(settings, without):
    require(settings.get("engine"))
    made, inference = network(2), TiledInference(**settings, tolerance=1e-9)
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"more than inference.tolerance=1e-09; set {without}, or raise inference.tolerance"):
            inference(made, torch.randn(1, 20, 20))


def test_what_is_not_a_number_is_refused():
    made = network(2)
    made[0].weight.data.fill_(torch.nan)
    with pytest.raises(ValueError, match="differs from single precision by nan"):
        TiledInference(precision="bf16")(made, torch.randn(1, 20, 20))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "fp16"}, "CPUs do not compute in half"),
        ({"precision": "int8"}, "got int8; set inference.precision"),
        ({"engine": "tensorrt"}, "compile, openvino or null .* got tensorrt; change inference.engine"),
    ],
    ids=str,
)
def test_what_nothing_computes_in_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TiledInference(**settings)(network(2), torch.randn(1, 20, 20))


def test_openvino_says_how_it_is_installed_and_stays_off_gpus(monkeypatch):
    with pytest.raises(ValueError, match=r"OpenVINO computes on CPUs, got cuda; set inference.engine=null"):
        Acceleration(engine="openvino", device=torch.device("cuda"))(network(2), 0.1)
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'needs OpenVINO; pip install "microscopy-im2im\[openvino\]", or set inference.engine=null'):
        TiledInference(engine="openvino")(network(2), torch.randn(1, 20, 20))


class Bessel(nn.Module):
    """Has a layer that OpenVINO does not know."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(image)


def test_a_layer_that_openvino_does_not_know_is_refused_in_one_line():
    require("openvino")
    with pytest.raises(ValueError, match=r"OpenVINO cannot compute the network, got: [^\n]*; set inference.engine=null$"):
        TiledInference(engine="openvino")(Bessel(), torch.randn(1, 20, 20))


WITHOUT_COMPILER = """
import torch
from im2im.inference.tiling import TiledInference
network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.ReLU()).eval()
TiledInference(engine="compile")(network, torch.randn(1, 20, 20))
"""


def test_without_a_compiler_compiling_is_refused_in_one_line():
    environment = {**os.environ, "CXX": "/nowhere/g++", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
    done = subprocess.run([sys.executable, "-c", WITHOUT_COMPILER], capture_output=True, text=True, check=False, env=environment)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: torch cannot compile the network here, got: InvalidCxxCompiler: No working C++ compiler")
    assert last.endswith("; set inference.engine=null")


def test_functions_that_are_no_modules_are_refused():
    with pytest.raises(ValueError, match=r"only modules of torch .* set inference.fold=false"):
        TiledInference(fold=True)(lambda batch: batch, torch.randn(1, 20, 20))


def test_a_constant_prediction_is_compared_as_it_is():
    assert difference(torch.full((3,), 1.5), torch.ones(3)) == 0.5


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_and_an_ensemble_predict_faster(engine, trained, tmp_path):
    require(engine)
    image = np.random.default_rng(0).integers(0, 4000, (64, 50), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image)
    where = [f"run=[{trained},{trained}]", f"input={tmp_path / 'a.tif'}", "hardware=cpu"]
    asked = ["inference.precision=bf16", "inference.fold=true", f"inference.engine={engine or 'null'}", "inference.tolerance=0.3"]
    run = command(tmp_path, "mode=predict", *where, f"output={tmp_path / 'out'}", *asked)
    found, exact = torch.from_numpy(tifffile.imread(tmp_path / "out" / "a.tif")), torch.from_numpy(load(trained).predict(image))
    assert 0 < difference(found, exact) < 0.2  # the network is hardly trained, and its output nearly constant
    log = (run / "im2im.log").read_text()
    assert log.count("differs from single precision by") == 1
    assert log.count("14 of 14 batch norms are folded") == 2  # of either run


def test_workers_of_dask_predict_faster(trained, tmp_path):
    pytest.importorskip("distributed")
    image = np.random.default_rng(0).integers(0, 4000, (64, 96), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image)
    where = [f"run={trained}", f"input={tmp_path / 'a.tif'}", "hardware=cpu", "inference=dask", "inference.workers=1", "inference.border=0"]
    command(
        tmp_path,
        "mode=predict",
        *where,
        f"output={tmp_path / 'out'}",
        "inference.fold=true",
        "inference.tile=[64,64]",
        "inference.halo=receptive_field",
    )
    found, exact = torch.from_numpy(tifffile.imread(tmp_path / "out" / "a.tif")), torch.from_numpy(load(trained).predict(image))
    assert difference(found, exact) < 1e-4


def test_engines_cost_nothing_where_none_is_asked_for():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, im2im.inference.tiling; print([m for m in ('torch._inductor', 'openvino') if m in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_blank_first_tile_says_nothing_about_the_next_one():
    exact = nn.Conv2d(1, 1, 3, padding=1)
    checked = Checked(exact, lambda batch: exact(batch) + batch, 0.1, "any", ("asked", "without"))
    checked(torch.zeros(1, 1, 16, 16))
    with pytest.raises(ValueError, match="with asked a prediction differs"):
        checked(torch.randn(1, 1, 16, 16))
