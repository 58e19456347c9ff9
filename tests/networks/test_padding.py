import numpy as np
import pytest
import torch

from im2im.networks.padding import pad, pad_to_multiple

by_shape = pytest.mark.parametrize(("shape", "multiple"), [((9, 13), (4, 8)), ((5, 9, 13), (4, 1, 8))], ids=["2D", "3D"])


@by_shape
def test_an_image_is_mirrored_at_its_ends(shape, multiple):
    image = np.random.default_rng(0).random((2, *shape))
    missing = [(0, 0), *((0, -length % unit) for length, unit in zip(shape, multiple, strict=True))]
    padded, _ = pad_to_multiple(torch.from_numpy(image), multiple)
    np.testing.assert_array_equal(padded, np.pad(image, missing, mode="reflect"))


@by_shape
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_the_crop_restores_the_image_whatever_its_leading_axes(shape, multiple, leading):
    image = torch.rand(*leading, *shape)
    padded, crop = pad_to_multiple(image, multiple)
    assert all(length % unit == 0 for length, unit in zip(padded.shape[-len(shape) :], multiple, strict=True))
    assert torch.equal(padded[crop], image)


@pytest.mark.parametrize(("length", "expected"), [(1, [0, 0, 0, 0]), (2, [0, 1, 1, 1]), (3, [0, 1, 2, 1])])
def test_an_image_too_short_to_be_mirrored_repeats_its_last_pixel(length, expected):
    padded, _ = pad_to_multiple(torch.arange(length)[None, None], (1, 4))
    assert padded.tolist() == [[expected]]


def test_an_image_that_fits_is_not_copied():
    image = torch.rand(1, 8, 16)
    padded, _ = pad_to_multiple(image, (4, 8))
    assert padded is image


@pytest.mark.parametrize("margin", [[(3, 2), (0, 4)], [(0, 1), (2, 0)]], ids=str)
def test_an_image_is_mirrored_on_both_sides_and_cropped_back(margin):
    image = np.random.default_rng(0).random((2, 5, 6))
    padded, crop = pad(torch.from_numpy(image), margin)
    np.testing.assert_array_equal(padded, np.pad(image, [(0, 0), *margin], mode="reflect"))
    np.testing.assert_array_equal(padded[crop], image)


def test_an_image_too_short_to_be_mirrored_repeats_its_first_pixel_before_it():
    assert pad(torch.tensor([7, 8]), [(3, 0)])[0].tolist() == [7, 7, 7, 7, 8]
