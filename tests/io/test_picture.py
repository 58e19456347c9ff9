import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image as Pillow

from im2im.io.reader import AutoReader

RNG = np.random.default_rng(0)
GREY, RGB = RNG.integers(0, 255, (20, 30)).astype(np.uint8), RNG.integers(0, 255, (20, 30, 3)).astype(np.uint8)


def one(path, axes=None):
    (image,) = AutoReader(axes)(path)
    return image


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_grey_has_one_channel_and_rgb_three(tmp_path, suffix):
    for array, axes, expected in ((GREY, "YX", GREY[None]), (RGB, "YXC", RGB.transpose(2, 0, 1))):
        iio.imwrite(tmp_path / f"a{suffix}", array)
        image = one(tmp_path / f"a{suffix}")
        assert (image.axes, image.dtype, image.shape) == (axes, np.uint8, (1, len(expected), 1, 20, 30))
        np.testing.assert_array_equal(image.read()[0, :, 0], expected)


def test_a_jpeg_is_rgb(tmp_path):
    iio.imwrite(tmp_path / "a.jpg", np.full((20, 30, 3), 100, np.uint8))
    assert one(tmp_path / "a.jpg").read().shape == (1, 3, 1, 20, 30)


def test_16_bits_of_grey_are_kept(tmp_path):
    iio.imwrite(tmp_path / "a.png", GREY.astype(np.uint16) * 250)
    image = one(tmp_path / "a.png")
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image.read()[0, 0, 0], GREY.astype(np.uint16) * 250)


def test_rgb_of_equal_channels_stays_rgb(tmp_path):
    iio.imwrite(tmp_path / "a.png", np.stack([GREY] * 3, -1))
    assert one(tmp_path / "a.png").shape[1] == 3


@pytest.mark.parametrize(("array", "channels"), [(RGB, 3), (GREY[..., None], 1)])
def test_an_alpha_channel_is_dropped(tmp_path, array, channels):
    opaque = np.full((20, 30, 1), 255, np.uint8)
    Pillow.fromarray(np.concatenate([array, opaque], -1)).save(tmp_path / "a.png")
    image = one(tmp_path / "a.png")
    np.testing.assert_array_equal(image.read()[0, :, 0], array.transpose(2, 0, 1))
    assert image.shape[1] == channels


def test_black_and_white_becomes_zero_and_one(tmp_path):
    Pillow.fromarray(GREY > 100).save(tmp_path / "a.png")
    image = one(tmp_path / "a.png")
    assert image.dtype == image.read().dtype == np.uint8
    np.testing.assert_array_equal(image.read()[0, 0, 0], GREY > 100)


def test_a_region_is_cut_out(tmp_path):
    iio.imwrite(tmp_path / "a.png", RGB)
    region = (slice(0, 1), slice(1, 3), slice(0, 1), slice(5, 9), slice(2, 30))
    np.testing.assert_array_equal(one(tmp_path / "a.png").read(region)[0, :, 0], RGB.transpose(2, 0, 1)[1:3, 5:9, 2:30])


def test_16_bit_colours_are_refused_instead_of_cut_to_8(tmp_path):
    header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + (30).to_bytes(4, "big") + (20).to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    (tmp_path / "deep.png").write_bytes(header)
    with pytest.raises(ValueError, match=r"deep\.png: a PNG of 16-bit colours would be cut to 8 bits; save it as TIFF"):
        AutoReader()(tmp_path / "deep.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_a_truncated_picture_is_named(tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    iio.imwrite(path, RGB)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"^Cannot read .*cut\.(png|jpg|bmp): [^\n]*$"):
        AutoReader()(path)
