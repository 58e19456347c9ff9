"""What is particular to aicsimageio; what all readers share is in test_reader_contract.py."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from im2im.io.reader import AicsimageioReader, AutoReader

pytest.importorskip("aicsimageio")


@pytest.mark.data
def test_a_real_ome_tiff_agrees_with_tifffile(shared_data: Path):
    path = shared_data / "formats" / "ome_tiff" / "s_1_t_1_c_1_z_1.ome.tiff"
    (image,) = AicsimageioReader()(path)
    assert (image.axes, image.shape, image.channel_names) == ("YX", (1, 1, 1, 325, 475), ("Bright",))
    assert image.pixel_size == pytest.approx((None, 1.0833333, 1.0833333))
    np.testing.assert_array_equal(image.read()[0, 0, 0], tifffile.imread(path))


def test_a_format_without_its_package_names_the_file(tmp_path: Path):
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE")
    for reader in (AicsimageioReader(), AutoReader()):
        with pytest.raises(ValueError, match=r"^Cannot read .*a\.czi: [^\n]*$"):
            reader(tmp_path / "a.czi")


@pytest.mark.data
def test_ome_zarr_05_is_refused_by_name(shared_data: Path):
    with pytest.raises(ValueError, match=r"^Cannot read .*6001240_labels\.zarr: [^\n]*$"):
        AicsimageioReader()(shared_data / "formats" / "ome_zarr_v05" / "6001240_labels.zarr")
