"""What several tests share."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of real images beside the project; skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip("needs the real images of ../shared/data")
    return SHARED
