"""What runs on a GPU alone: training in mixed precision, prediction as on a CPU, and runs that move from one to the other."""

import json
import re

import numpy as np
import pytest
import tifffile
import torch
from tests_shared import SMALL, SMALL_3D, SMALL_GAN
from tests_tiny import SIZES, built, composed, evaluate_once, predict_once, tiny, train_once

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*"),
]
COMBINATIONS = [
    ("labelfree", "fcn", "fnet"),
    ("labelfree", "pix2pix", "unet"),
    ("modality", "pix2pixhd", "resnet"),
    ("synthesis", "cyclegan", "fnet"),
    ("semantic", "fcn", "dynunet"),
    ("instance", "embedseg", "branched_erfnet"),
]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(("task", "framework", "network"), COMBINATIONS)
def test_every_framework_trains_evaluates_and_predicts(task, framework, network, spatial_dims, precision, tmp_path):
    learner, data, batch = built(tiny(composed(f"task={task}", f"framework={framework}"), network, spatial_dims))
    steps = 20 if precision == "16-mixed" else 1  # the first ones find out how far gradients can be scaled
    train_once(learner, batch, tmp_path, accelerator="gpu", precision=precision, steps=steps)
    learner.to("cuda")
    evaluate_once(learner, data)
    predict_once(learner, data)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(("task", "framework", "network"), COMBINATIONS)
def test_a_prediction_is_that_of_a_cpu(task, framework, network, spatial_dims):
    learner, _, batch = built(tiny(composed(f"task={task}", f"framework={framework}"), network, spatial_dims))
    image = torch.randn(len(batch["source"][0]), *SIZES[spatial_dims])
    on_cpu, on_gpu = learner.predict(image), learner.to("cuda").predict(image)
    torch.testing.assert_close(on_gpu, on_cpu, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("settings", [SMALL, ["framework=pix2pix", *SMALL_3D, *SMALL_GAN]], ids=["2D", "3D"])
def test_a_run_goes_on_on_either_device_and_predicts_alike(settings, im2im, tmp_path):
    (tmp_path / "in").mkdir()
    shape = (8, 48, 40) if "spatial_dims=3" in settings else (48, 40)
    tifffile.imwrite(tmp_path / "in" / "a.tif", np.random.default_rng(0).integers(0, 999, shape, np.uint16))
    settings = [setting for setting in settings if setting != "hardware=cpu"]
    run = im2im("task=labelfree", *settings, "hardware=gpu", "hardware.workers=2")
    log = (run / "im2im.log").read_text()
    assert "training on cuda:0 in bf16-mixed" in log
    assert re.search(r"trained 1 epochs in \d+ s on cuda:0", log)
    predictions = []
    for device in ("cpu", "gpu"):
        im2im("mode=predict", f"run={run}", f"hardware={device}", f"input={tmp_path / 'in'}", f"output={tmp_path / device}")
        (written,) = (tmp_path / device).glob("*.tif*")
        predictions.append(tifffile.imread(written).astype(float))
    assert np.abs(predictions[0] - predictions[1]).max() < 0.02 * np.ptp(predictions[0])
    for epochs, device in ((2, "cpu"), (3, "gpu")):
        im2im(f"run={run}", "mode=train", f"max_epochs={epochs}", f"hardware={device}", "hardware.workers=0", "hardware.precision=32-true")
        assert json.loads((run / "metrics.json").read_text())["train"]["epochs"] == epochs
