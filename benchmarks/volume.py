"""A volume of 8 GB predicted under a limit of 2 GB of memory: ``python -m benchmarks.volume FOLDER`` makes the volume and the run.

The limit is the system's to set, by a control group or a container. The volume is made of simulated cells, chunk by chunk.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from im2im.data.synthetic import SyntheticCells
from im2im.io.ome_zarr import create_zarr

SHAPE, BLOCK = (256, 4096, 4096), (32, 256, 256)
SETTINGS = ["spatial_dims=3", "network.channels=4", "network.depth=2", "patch_size=[16,64,64]", "max_epochs=4", "hardware=cpu"]


def volume(path: Path) -> None:
    """Write cells, a few blocks of them again and again, each time at another brightness."""
    cells = SyntheticCells(3, BLOCK, "brightfield", 0)
    blocks = [cells(number, ("source",))["source"] for number in range(6)]
    array, rng = create_zarr(path, SHAPE, np.dtype(np.uint16), "ZYX", (1.0, 0.3, 0.3)), np.random.default_rng(0)
    for place in np.ndindex(*[length // block for length, block in zip(SHAPE, BLOCK, strict=True)]):
        region = tuple(slice(at * block, (at + 1) * block) for at, block in zip(place, BLOCK, strict=True))
        array[region] = blocks[rng.integers(len(blocks))] * rng.uniform(0.8, 1.2)


def main() -> None:
    """Make both, and say how to predict."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    run = folder / "run"
    subprocess.run([sys.executable, "-m", "im2im", "task=labelfree", *SETTINGS, f"hydra.run.dir={run}"], check=True)
    volume(folder / "volume.ome.zarr")
    print(f"python -m im2im mode=predict run={run} input={folder / 'volume.ome.zarr'} output={folder / 'out'}")


if __name__ == "__main__":
    main()
