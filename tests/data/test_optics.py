"""Light through a specimen, against closed formulas and scipy."""

import numpy as np
import pytest
from scipy import ndimage, stats

from im2im.data.optics import CONTRASTS, MEDIUM, SPREAD, WAVELENGTH, Contrast, expose, fluoresce, shade, transmit

SPACING = (1.0, 0.3, 0.3)
COHERENT = Contrast(np.zeros((1, 2)), defocus=(0, 0))


def blob(height: float, sigma: float = 6.0) -> np.ndarray:
    """A smooth phase object in the middle of one slab, 1YX."""
    spot = np.zeros((96, 96), np.float32)
    spot[48, 48] = 1
    spot = ndimage.gaussian_filter(spot, sigma)
    return (height * spot / spot.max())[None]


@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("slabs", [1, 5])
def test_an_empty_field_is_evenly_bright(contrast, slabs):
    image = transmit(np.zeros((slabs, 32, 40), np.float32), SPACING, 2.0, CONTRASTS[contrast])
    assert image.shape == (slabs, 32, 40)
    np.testing.assert_allclose(image, 1, atol=1e-4)


def test_a_focused_phase_object_is_invisible_in_brightfield_and_visible_out_of_focus():
    focused, defocused = (transmit(blob(0.5), SPACING, z, CONTRASTS["brightfield"]) for z in (0.0, 3.0))
    assert focused.std() < 0.002
    assert defocused.std() > 10 * focused.std()


def test_both_sides_of_the_focus_show_opposite_contrast():
    before, behind = (transmit(blob(0.3), SPACING, z, CONTRASTS["brightfield"])[0, 48, 48] - 1 for z in (-2.0, 2.0))
    assert behind > 0.005
    assert before == pytest.approx(-behind, rel=0.1)


def test_phase_contrast_darkens_a_focused_phase_object_and_surrounds_it_with_a_halo():
    image = transmit(blob(0.5), SPACING, 0.0, CONTRASTS["phase"])[0]
    assert image[48, 48] < 0.75
    assert image[48, 48 + 24 : 48 + 40].max() > 1.02


@pytest.mark.parametrize("defocus", [0.0, 1.5, 4.0, -4.0])
def test_a_weak_phase_grating_follows_the_angular_spectrum(defocus):
    period = 9.6 / 4  # µm, 4 periods in 32 pixels
    grating = 0.01 * np.cos(2 * np.pi * 0.3 * np.arange(32) / period)
    image = transmit(np.tile(grating, (1, 8, 1)), SPACING, defocus, COHERENT)[0, 0]
    lag = 2 * np.pi * defocus * (MEDIUM / WAVELENGTH - np.sqrt((MEDIUM / WAVELENGTH) ** 2 - period**-2))
    np.testing.assert_allclose(image, 1 + 2 * np.sin(lag) * grating, atol=3e-4)


def test_each_plane_of_a_stack_focuses_on_its_own_slab():
    stack = np.zeros((7, 96, 96), np.float32)
    stack[2] = blob(0.5, sigma=2)[0]
    contrast_of_planes = transmit(stack, SPACING, 0.0, CONTRASTS["brightfield"]).std(axis=(1, 2))
    assert np.argmin(contrast_of_planes) == 2
    assert np.all(np.diff(contrast_of_planes[2:]) > 0)


def test_slabs_without_structure_between_change_nothing_but_the_distance():
    thin = transmit(blob(1.0), SPACING, 3.0, CONTRASTS["brightfield"])[0]
    thick = transmit(np.concatenate([blob(1.0), np.zeros((3, 96, 96), np.float32)]), SPACING, 0.0, CONTRASTS["brightfield"])[3]
    np.testing.assert_allclose(thick, thin, atol=1e-3)


def test_fluorescence_in_one_thick_slab_is_blurred_by_two_gaussians():
    dye = ndimage.gaussian_filter(np.random.default_rng(0).random((64, 72)), 2, mode="wrap")
    expected = sum(share * ndimage.gaussian_filter(dye, lateral / 0.3, mode="wrap") for share, lateral, _ in SPREAD)
    np.testing.assert_allclose(fluoresce(dye[None], (100.0, 0.3, 0.3))[0], expected, atol=1e-3 * dye.std())


def test_a_point_of_dye_is_longer_in_z_and_keeps_its_light():
    dye = np.zeros((41, 64, 64), np.float32)
    dye[20, 32, 32] = 1
    image = fluoresce(dye, SPACING)
    assert image.sum() == pytest.approx(1, abs=1e-3)
    along_z, along_x = (np.count_nonzero(line > line.max() / 2) for line in (image[:, 32, 32], image[20, 32]))
    assert along_z * 1.0 > 2 * along_x * 0.3


def test_photon_noise_has_the_moments_of_the_poisson_distribution():
    for mean in (20, 400):
        counts = expose(np.random.default_rng(1), np.full((400, 400), mean), gain=1, offset=0, noise=0)
        expected = stats.poisson(mean).stats("mvs")
        np.testing.assert_allclose((counts.mean(), counts.var(), stats.skew(counts.ravel())), expected, rtol=0.02, atol=0.02)


def test_a_dark_image_shows_offset_and_read_noise():
    counts = expose(np.random.default_rng(2), np.zeros((300, 300)), gain=2, offset=100, noise=3)
    assert counts.dtype == np.uint16
    assert counts.mean() == pytest.approx(100, abs=0.1)
    assert counts.std() == pytest.approx(6, rel=0.02)


def test_overexposed_pixels_saturate():
    assert expose(np.random.default_rng(3), np.full((2, 2), 1e6)).tolist() == [[65535, 65535], [65535, 65535]]


def test_uneven_illumination_is_smooth_and_about_one_and_dust_shows():
    clean, dusty = (shade(np.random.default_rng(4), (128, 160), dust) for dust in (0, 30))
    assert 0.7 < clean.min() < clean.max() < 1.2
    assert np.abs(ndimage.laplace(clean)[1:-1, 1:-1]).max() < 1e-3 < np.abs(ndimage.laplace(dusty)).max()
