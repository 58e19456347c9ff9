"""Row 15: an epoch of fnet in 2D (8 channels, 88 patches of 128²) against mmv-im2im 0.8.1 as it is shipped, each from its command line.

The peer runs in an environment of its own, whose Python ``MMV_PYTHON`` names::

    python -m venv .venv-mmv && .venv-mmv/bin/pip install torch==2.13.0
    .venv-mmv/bin/pip install "lightning<2.7" monai==1.6.1 pandas scikit-image protobuf pyrallis scikit-learn tensorboard numba pydantic
    .venv-mmv/bin/pip install fastapi uvicorn botocore bioio bioio-ome-tiff bioio-ome-zarr pydantic-zarr bioio-tifffile ngff-zarr tifffile
    .venv-mmv/bin/pip install ome-types imageio zarr gudhi==3.11.0
    .venv-mmv/bin/pip install --no-deps mmv-im2im==0.8.1 torch_topological==0.1.9 bioio-lif

Its preset needs two changes to run on a CPU: ``EnsureChannelFirstd`` for the removed ``AddChanneld``, and a ``torch.cuda.synchronize`` that
does nothing. CPU seconds of an epoch are those of a long training less those of a short one.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile
import yaml

from benchmarks.measure import Result, report

IMAGES, SIZE, SHORT, LONG = 22, 256, 2, 6
DRIVER = """
import sys, torch
torch.cuda.synchronize = lambda *arguments: None
torch.set_num_threads(1)
sys.argv = ["run_im2im", "--config", sys.argv[1]]
from mmv_im2im.bin.run_im2im import main
main()
"""


def transform(name: str, **params: object) -> dict[str, object]:
    """Give a step of the peer's configuration."""
    return {"module_name": "monai.transforms", "func_name": name, "params": {"keys": ["IM", "GT"], **params}}


def configuration(data: Path, epochs: int, detect_anomaly: bool) -> dict[str, object]:
    """Give the peer's label-free training in 2D."""
    loader = {"dataloader_params": {"batch_size": 1, "num_workers": 0}}
    steps = [
        transform("LoadImaged", dimension_order_out="YX", C=0, T=0, Z=0),
        transform("EnsureChannelFirstd", channel_dim="no_channel"),
        transform("ScaleIntensityRangePercentilesd", lower=0.5, upper=99.5, b_min=-1, b_max=1),
        transform("RandSpatialCropSamplesd", random_size=False, num_samples=4, roi_size=[128, 128]),
        transform("EnsureTyped"),
    ]
    network = {"depth": 4, "mult_chan": 8}
    return {
        "mode": "train",
        "data": {
            "category": "pair",
            "data_path": str(data),
            "dataloader": {"train": loader, "val": loader, "train_val_ratio": 0.05},
            "preprocess": steps,
            "augmentation": [transform("RandFlipd", prob=0.5)],
        },
        "model": {
            "framework": "FCN",
            "net": {"module_name": "mmv_im2im.models.nets.fnet_nn_2d", "func_name": "Net", "params": network},
            "criterion": {"module_name": "torch.nn", "func_name": "MSELoss", "params": {"reduction": "mean"}},
            "optimizer": {"module_name": "torch.optim", "func_name": "Adam", "params": {"lr": 0.001}},
            "scheduler": {"module_name": "torch.optim.lr_scheduler", "func_name": "ExponentialLR", "params": {"gamma": 0.98}},
        },
        "trainer": {
            "verbose": False,
            "params": {"accelerator": "cpu", "devices": 1, "precision": 32, "max_epochs": epochs, "detect_anomaly": detect_anomaly},
        },
    }


def cpu_seconds(command: list[str], folder: Path) -> float:
    """Give what a process takes, with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peer(python: str, folder: Path, epochs: int, detect_anomaly: bool) -> float:
    """Train the peer."""
    path = folder / "mmv.yaml"
    path.write_text(yaml.safe_dump(configuration(folder / "tagged", epochs, detect_anomaly)))
    return cpu_seconds([python, "-c", DRIVER, str(path)], folder)


def ours(folder: Path, epochs: int) -> float:
    """Train ours on the same images, likewise in single precision."""
    root = Path(__file__).resolve().parents[1]
    settings = ["task=labelfree", "data=tagged", f"data.root={folder / 'tagged'}", "network.channels=8", "hardware=cpu", "batch_size=4"]
    more = [
        "data.patches_per_image=4",
        "data.fractions={val:0.05,test:0.05}",
        f"max_epochs={epochs}",
        f"hydra.run.dir={folder}/run_{epochs}",
    ]
    os.environ["PYTHONPATH"] = str(root)
    seconds = cpu_seconds([sys.executable, "-m", "im2im", *settings, *more], folder)
    subprocess.run(["rm", "-r", str(folder / f"run_{epochs}")], check=True)
    return seconds


def main() -> list[Result]:
    """Compare, in turns; nothing where there is no environment for the peer."""
    python = os.environ.get("MMV_PYTHON")
    if not python:
        print("row 15 is not measured: MMV_PYTHON names no Python with mmv-im2im 0.8.1")
        return []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tagged").mkdir()
        rng = np.random.default_rng(0)
        for index in range(IMAGES + 2):  # one each is held out
            for role in ("IM", "GT"):
                tifffile.imwrite(folder / "tagged" / f"cell{index:02d}_{role}.tif", rng.integers(0, 4000, (SIZE, SIZE), np.uint16))
        runs = [
            [work(epochs) for epochs in (LONG, SHORT)]
            for work in (
                lambda epochs: ours(folder, epochs),
                lambda epochs: peer(python, folder, epochs, True),
                lambda epochs: peer(python, folder, epochs, False),
            )
        ]
    mine, shipped, without = ((long - short) / (LONG - SHORT) for long, short in runs)
    return [
        Result(15, "an epoch of fnet, 88 patches of 128²", "mmv-im2im 0.8.1", mine, shipped, "CPU s", mine / shipped, 0.7),
        Result(15, "the same", "mmv-im2im 0.8.1 without detect_anomaly", mine, without, "CPU s", mine / without, 1.0),
    ]


if __name__ == "__main__":
    report(main())
