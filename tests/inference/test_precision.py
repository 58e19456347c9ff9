import logging

import numpy as np
import pytest
import tifffile
import torch
from tests_shared import command
from torch import nn

from im2im import load
from im2im.inference.precision import difference
from im2im.inference.tiling import TiledInference

CPU = torch.device("cpu")


def network(spatial_dims: int) -> nn.Module:
    torch.manual_seed(0)
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[spatial_dims]
    return nn.Sequential(convolution(1, 8, 3, padding=1), nn.ReLU(), convolution(8, 1, 3, padding=1)).eval()


@pytest.mark.parametrize("shape", [(1, 40, 40), (1, 3, 20, 20)], ids=["2D", "3D"])
def test_bfloat16_changes_a_prediction_little_and_says_by_how_much(shape, caplog):
    image, seen = torch.randn(shape), []
    made = network(len(shape) - 1)
    made.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with caplog.at_level(logging.INFO):
        found = TiledInference(precision="bf16", tile=(16,) * (len(shape) - 1))(made, image)
    exact = TiledInference()(made, image)
    assert 0 < difference(found, exact) < 0.02
    assert seen.count(torch.float32) == 2  # the first tile, and the whole image for this test
    assert caplog.text.count("inference.precision=bf16: differs from single precision by 0.00") == 1


def test_a_large_difference_is_refused_each_time():
    made, inference = network(2), TiledInference(precision="bf16", tolerance=1e-6)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"more than inference.tolerance=1e-06; set inference.precision=null, or raise"):
            inference(made, torch.randn(1, 20, 20))


def test_what_is_not_a_number_is_refused():
    made = network(2)
    made[0].weight.data.fill_(torch.nan)
    with pytest.raises(ValueError, match="differs from single precision by nan"):
        TiledInference(precision="bf16")(made, torch.randn(1, 20, 20))


@pytest.mark.parametrize(("precision", "message"), [("fp16", "CPUs do not compute in half"), ("int8", "got int8; set inference.precision")])
def test_what_the_device_does_not_compute_in_is_refused(precision, message):
    with pytest.raises(ValueError, match=message):
        TiledInference(precision=precision)(network(2), torch.randn(1, 20, 20))


def test_a_constant_prediction_is_compared_as_it_is():
    assert difference(torch.full((3,), 1.5), torch.ones(3)) == 0.5


def test_a_run_predicts_in_bfloat16(trained, tmp_path):
    image = np.random.default_rng(0).integers(0, 4000, (64, 50), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image)
    where = [f"run={trained}", f"input={tmp_path / 'a.tif'}", "hardware=cpu"]
    run = command(tmp_path, "mode=predict", *where, f"output={tmp_path / 'out'}", "inference.precision=bf16")
    found, exact = torch.from_numpy(tifffile.imread(tmp_path / "out" / "a.tif")), torch.from_numpy(load(trained).predict(image))
    assert 0 < difference(found, exact) < 0.2  # the network is hardly trained, and its output nearly constant
    assert "inference.precision=bf16: differs from single precision by" in (run / "im2im.log").read_text()
