from pathlib import Path

import numpy as np
import pytest

from im2im.io.reader import AutoReader

pytest.importorskip("liffile")


@pytest.mark.data
def test_wavelengths_of_a_lif_are_channels(shared_data: Path):
    emission, excitation, movie = AutoReader()(shared_data / "formats" / "lif" / "LeicaLASX_wavelength-sweep_example.lif")
    assert (emission.axes, emission.shape, emission.dtype) == ("CYX", (1, 20, 1, 64, 64), np.uint8)
    assert excitation.shape == (1, 15, 1, 64, 64)
    assert (movie.axes, movie.shape) == ("TCZYX", (2, 10, 11, 64, 64))
    assert movie.pixel_size == pytest.approx((0.5002, 0.10481, 0.10481), rel=1e-3)
    assert movie.scene == "x_y_z_t_lambdaEmi"
    region = (slice(1, 2), slice(3, 5), slice(2, 4), slice(10, 20), slice(30, 33))
    np.testing.assert_array_equal(movie.read(region), movie.read()[region])
    assert emission.read().mean() == pytest.approx(6.6802734375)


def test_a_file_that_only_says_it_is_a_lif_is_named(tmp_path):
    (tmp_path / "a.lif").write_bytes(b"no lif at all")
    with pytest.raises(ValueError, match=r"a\.lif"):
        AutoReader()(tmp_path / "a.lif")
