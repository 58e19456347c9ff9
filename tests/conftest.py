"""What several tests share."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hydra.core.plugins import Plugins
from tests_shared import SMALL, SMALL_3D, SMALL_GAN, command

os.environ.setdefault("OMP_NUM_THREADS", "1")
with contextlib.suppress(ImportError):  # comes with TensorBoard; closes the stream it was made with when Hydra configures logging
    from absl.logging import get_absl_handler

    get_absl_handler().python_handler.stream = sys.__stderr__
Plugins.instance()  # loads Hydra's sweepers anew, before any test imports one that extends them
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of real images beside the project; skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip("needs the real images of ../shared/data")
    return SHARED


@pytest.fixture
def im2im(tmp_path) -> Callable[..., Path]:
    """Run a command line in an empty folder."""
    return lambda *arguments: command(tmp_path, *arguments)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A finished 2D run of fcn on small built-in data; look, do not touch.

    It has learnt so little that only the zeros around an image make its output vary: no border takes them away.
    """
    return command(tmp_path_factory.mktemp("trained"), "task=labelfree", "inference.border=0", *SMALL)


@pytest.fixture(scope="session")
def trained_3d(tmp_path_factory) -> Path:
    """A finished 3D run of pix2pix on small built-in data; look, do not touch."""
    return command(
        tmp_path_factory.mktemp("trained_3d"), "task=labelfree", "framework=pix2pix", "inference.border=0", *SMALL_3D, *SMALL_GAN
    )


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
