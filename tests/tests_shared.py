"""Small settings and a way to run a command line, for tests of whole runs."""

import os
import sys
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra

SMALL = [
    "network.channels=2",
    "network.depth=2",
    "patch_size=[32,32]",
    "batch_size=2",
    "max_epochs=1",
    "hardware=cpu",
    "data.size=[64,64]",
    "data.counts={train:2,val:1,test:2}",
    "data.patches_per_image=1",
    "data.validation_patches=1",
]
SMALL_3D = [
    *(setting for setting in SMALL if not setting.startswith(("patch_size", "data.size"))),
    "spatial_dims=3",
    "patch_size=[8,32,32]",
    "data.size=[8,48,48]",
]
SMALL_GAN = ["framework.discriminator.discriminator.channels=4", "framework.discriminator.discriminator.layers=1"]
SMALL_JUDGES = ["framework.judges.target.discriminator.discriminator." + setting for setting in ("channels=4", "layers=1")]


def command(folder: Path, *arguments: str, share: float = 0.0, bare: bool = False) -> Path:
    """Run ``python -m im2im`` within this process and the given folder; gives the newest run folder.

    It is trained without a plan, unless one is asked for or the command is to stay ``bare``. The share of a training's time in which
    settings are chosen afterwards is none, lest results depend on how fast this is.
    """
    from im2im.__main__ import main
    from im2im.stages import selection

    before, argv, hook = Path.cwd(), sys.argv, sys.excepthook
    os.chdir(folder)
    os.environ.pop("HYDRA_FULL_ERROR", None)
    GlobalHydra.instance().clear()
    unplanned = [] if bare or any(one.startswith(("plan", "run=", "mode=predict")) for one in arguments) else ["plan=none"]
    sys.argv = ["im2im", *arguments, *unplanned]
    usual, selection.SHARE = selection.SHARE, share
    try:
        main()
    finally:
        os.chdir(before)
        sys.argv, sys.excepthook, selection.SHARE = argv, hook, usual
        os.environ.pop("HYDRA_FULL_ERROR", None)  # else commands that a test starts afterwards would show tracebacks
    return newest(folder)


def newest(folder: Path) -> Path:
    """Give the run folder that was made last."""
    runs = [*folder.glob("*/*/*/config.yaml"), *folder.glob("multirun/*/*/*/config.yaml")]
    return max((path.parent for path in runs), key=lambda path: path.stat().st_ctime_ns)
