"""A 16×128×128 patch of a 15.7 MB TIFF: read by offset, against reading the whole file and cutting."""

import tempfile
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.measure import compare
from im2im.io.reader import AutoReader

REGION = (slice(0, 1), slice(0, 1), slice(8, 24), slice(40, 168), slice(60, 188))


def main() -> None:
    """Compare, after checking that both give the same patch."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stack.tif"
        tifffile.imwrite(path, np.random.default_rng(0).integers(0, 4000, (40, 443, 443), np.uint16), metadata={"axes": "ZYX"})
        image = AutoReader()(path)[0]
        assert np.array_equal(image.read(REGION)[0, 0], tifffile.imread(path)[REGION[2:]])
        compare("patch of a 15.7 MB TIFF", lambda: image.read(REGION), lambda: tifffile.imread(path)[REGION[2:]].copy())


if __name__ == "__main__":
    main()
