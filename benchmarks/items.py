"""Rows 6 and 7: a patch of a TIFF, and a whole training item, against reading the whole file."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
from hydra.utils import instantiate
from omegaconf import OmegaConf

from benchmarks.measure import Result, medians, ratio, report
from im2im.data.dataset import Cutter
from im2im.data.index import Entry
from im2im.data.side import Side
from im2im.io.reader import AutoReader
from im2im.io.selection import Selection
from im2im.normalization import Standard

REGION = (slice(0, 1), slice(0, 1), slice(8, 24), slice(40, 168), slice(60, 188))
FLIPS = Path(__file__).resolve().parents[1] / "conf" / "augmentation" / "flips.yaml"
COUNTERS = Path("/proc/self/io")
NOTE = (
    "rows are read as wholes, .115 of the file's bytes, from memory that copies 15 GB/s; opening the file and 32 system calls are the rest"
)


def bytes_read(work: object) -> int:
    """Count the bytes that a call reads from files, cached or not."""
    before = _read()
    work()  # type: ignore[operator]
    return _read() - before


def _read() -> int:
    return int(COUNTERS.read_text().split()[1])


def patch(path: Path) -> list[Result]:
    """Compare one region."""
    image = AutoReader()(path)[0]

    def ours() -> np.ndarray:
        return image.read(REGION)[0, 0]

    def theirs() -> np.ndarray:
        return tifffile.imread(path)[REGION[2:]].copy()

    assert np.array_equal(ours(), theirs())
    timed = ratio(6, "16×128×128 of a 15.7 MB TIFF, time", "the whole file", (ours, theirs), 0.15, runs=25)
    results = [replace(timed, note=NOTE)]
    if COUNTERS.exists():
        mine, all_of_it = bytes_read(ours) / 1e6, bytes_read(theirs) / 1e6
        results.append(Result(6, "the same, bytes read", "the whole file", mine, all_of_it, "MB", mine / all_of_it, 0.2))
    return results


def item(paths: list[Path]) -> list[Result]:
    """Compare a pair of patches: normalized, cropped, flipped; ours by statistics that are known, from files."""
    side = Side(AutoReader(), Selection(), Standard(), 3)
    source, target = (side.open(path)[0] for path in paths)
    entry = Entry("a", source, target, source_scale=side.fit(source), target_scale=side.fit(target))
    cutter, flips = Cutter(side, side, (16, 128, 128), with_cost_map=False), instantiate(OmegaConf.load(FLIPS), _convert_="all")

    def ours() -> dict[str, np.ndarray]:
        return flips(cutter(entry, REGION[2:]), 1)

    def theirs() -> dict[str, np.ndarray]:
        whole = [tifffile.imread(path).astype(np.float32)[None] for path in paths]
        normalized = [(image - image.mean()) / image.std() for image in whole]
        sample = {role: image[(slice(None), *REGION[2:])].copy() for role, image in zip(("source", "target"), normalized, strict=True)}
        return flips(sample, 1)

    assert all(np.allclose(ours()[role], theirs()[role], atol=1e-3) for role in ("source", "target"))
    mine, peer = medians(ours, theirs, runs=9)
    return [Result(7, "one training item, files indexed", "whole files, normalized each time", mine, peer, "CPU s", mine, 0.005)]


def main() -> list[Result]:
    """Run both rows."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.tif" for name in ("source", "target")]
        for seed, path in enumerate(paths):
            image = np.random.default_rng(seed).integers(0, 4000, (40, 443, 443), np.uint16)
            tifffile.imwrite(path, image, metadata={"axes": "ZYX"})
        return patch(paths[0]) + item(paths)


if __name__ == "__main__":
    report(main())
