"""What several tests share."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hydra.core.global_hydra import GlobalHydra

os.environ.setdefault("OMP_NUM_THREADS", "1")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

SMALL = (
    "network.channels=2 network.depth=2 patch_size=[32,32] batch_size=2 max_epochs=1 hardware=cpu data.size=[64,64] "
    "data.counts={train:2,val:1,test:2} data.patches_per_image=1 data.validation_patches=1"
).split()
SMALL_3D = [
    *(setting for setting in SMALL if not setting.startswith(("patch_size", "data.size"))),
    "spatial_dims=3",
    "patch_size=[8,32,32]",
    "data.size=[8,48,48]",
]
SMALL_GAN = ["framework.discriminator.discriminator.channels=4", "framework.discriminator.discriminator.layers=1"]


@pytest.fixture
def shared_data() -> Path:
    """The folder of real images beside the project; skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip("needs the real images of ../shared/data")
    return SHARED


def command(folder: Path, *arguments: str) -> Path:
    """Run ``python -m im2im`` within this process and the given folder; gives the newest run folder."""
    from im2im.__main__ import main

    before, argv, hook = Path.cwd(), sys.argv, sys.excepthook
    os.chdir(folder)
    os.environ.pop("HYDRA_FULL_ERROR", None)
    GlobalHydra.instance().clear()
    sys.argv = ["im2im", *arguments]
    try:
        main()
    finally:
        os.chdir(before)
        sys.argv, sys.excepthook = argv, hook
    return newest(folder)


def newest(folder: Path) -> Path:
    """Give the run folder that was made last."""
    return max((path.parent for path in folder.glob("*/*/*/im2im.log")), key=lambda path: path.stat().st_ctime_ns)


@pytest.fixture
def im2im(tmp_path) -> Callable[..., Path]:
    """Run a command line in an empty folder."""
    return lambda *arguments: command(tmp_path, *arguments)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A finished 2D run of fcn on small built-in data; look, do not touch."""
    return command(tmp_path_factory.mktemp("trained"), "task=labelfree", *SMALL)


@pytest.fixture(scope="session")
def trained_3d(tmp_path_factory) -> Path:
    """A finished 3D run of pix2pix on small built-in data; look, do not touch."""
    return command(tmp_path_factory.mktemp("trained_3d"), "task=labelfree", "framework=pix2pix", *SMALL_3D, *SMALL_GAN)


@pytest.fixture
def folders(tmp_path) -> Path:
    """Six pairs of 2D images, 40 × 48 pixels, the target a smooth function of the source."""
    rng = np.random.default_rng(0)
    root = tmp_path / "images"
    for role in ("source", "target"):
        (root / role).mkdir(parents=True)
    for index in range(6):
        image = rng.integers(0, 1000, (40, 48)).astype(np.uint16)
        tifffile.imwrite(root / "source" / f"cell_{index}.tif", image)
        tifffile.imwrite(root / "target" / f"cell_{index}.tif", image // 2 + 7)
    return root
