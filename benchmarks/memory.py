"""Row 4: peak memory of predicting planes of 2048² to 16384², tile by tile from OME-Zarr to OME-Zarr, against MONAI's sliding window.

Every prediction is a process of its own, from the command line; what it takes beside a plane of 512² counts.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import Result, report
from im2im.io.ome_zarr import create_zarr

SMALL = ["network.channels=2", "network.depth=2", "patch_size=[64,64]", "max_epochs=1", "data.size=[64,64]", "hardware=cpu"]
COUNTS = "data.counts={train:2,val:1,test:1}"
MEMORY = 0.1  # GB that prediction may take

PEAK = "import re; print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
OURS = f"import sys; from im2im.__main__ import main; main(); {PEAK}"
MONAI = f"""
import sys, torch, zarr, im2im
from monai.inferers import sliding_window_inference
model = im2im.load(sys.argv[1])
image = torch.from_numpy(zarr.open_array(sys.argv[2] + "/0", mode="r")[...].astype("float32"))[None, None]
with torch.no_grad():
    found = sliding_window_inference((image - image.mean()) / image.std(), (512, 512), 1, model.framework.network, overlap=0.25)
zarr.save_array(sys.argv[3], found.numpy())
{PEAK}
"""
NOTE = "four times the pixels take some percent more: tiles and chunks are listed, and the allocator keeps what it had"


def peak(code: str, *arguments: str) -> float:
    """Run Python code in a process of its own, which prints its peak memory in kB last; gives MB."""
    told = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True).stdout
    return int(told.split()[-1]) / 1e3


def plane(folder: Path, size: int) -> Path:
    """Make an OME-Zarr of noise, chunk by chunk."""
    path, rng = folder / f"plane_{size}.ome.zarr", np.random.default_rng(0)
    array = create_zarr(path, (size, size), np.dtype(np.uint16), "YX")
    for row in range(0, size, 512):
        array[row : row + 512] = rng.integers(0, 4000, (min(512, size), size), np.uint16)
    return path


def ours(run: Path, image: Path, folder: Path) -> float:
    """Predict as users do."""
    settings = [
        f"run={run}",
        f"input={image}",
        f"output={folder}",
        f"inference.memory={MEMORY}",
        f"hydra.run.dir={folder}.run",
        "hardware=cpu",
    ]
    return peak(OURS, "mode=predict", *settings)


def main() -> list[Result]:
    """Compare growth from 512² on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = folder / "run"
        subprocess.run(
            [sys.executable, "-m", "im2im", "task=labelfree", *SMALL, COUNTS, f"hydra.run.dir={run}"], check=True, capture_output=True
        )
        sizes = (512, 2048, 8192, 16384)
        images = {size: plane(folder, size) for size in sizes}
        mine = {size: ours(run, images[size], folder / f"out_{size}") for size in sizes}
        theirs = {size: peak(MONAI, str(run), str(images[size]), str(folder / f"monai_{size}")) for size in sizes[:3]}
    grown = {size: mine[size] - mine[512] for size in sizes[1:]}
    peer = theirs[8192] - theirs[512]
    print(
        {
            **{f"ours {size}": round(value) for size, value in mine.items()},
            **{f"MONAI {size}": round(value) for size, value in theirs.items()},
        }
    )
    return [
        Result(4, "memory of predicting 8192², beside 512²", "MONAI", grown[8192], peer, "MB", grown[8192] / peer, 0.2),
        Result(
            4, "the same of 16384² and of 8192², all in all", "8192²", mine[16384], mine[8192], "MB", mine[16384] / mine[8192], 1.05, NOTE
        ),
    ]


if __name__ == "__main__":
    report(main())
