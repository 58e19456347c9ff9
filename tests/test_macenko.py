import numpy as np
import pytest
from monai.apps.pathology.transforms.stain.array import NormalizeHEStains

from im2im.macenko import REFERENCE, REFERENCE_MAXIMA, UNCHANGED, Macenko, StainTransform, coloured, optical_density, stain_colours

HEMATOXYLIN, EOSIN = np.array([0.65, 0.70, 0.29]), np.array([0.27, 0.93, 0.25])
STAINS = np.stack([HEMATOXYLIN / np.linalg.norm(HEMATOXYLIN), EOSIN / np.linalg.norm(EOSIN)], axis=1)
by_dimension = pytest.mark.parametrize("spatial", [(60, 50), (5, 30, 20)], ids=["2D", "3D"])


def slide(spatial=(60, 50), strength=1.0, seed=0, blank=0.2) -> np.ndarray:
    """A part blank, of the rest a quarter of hematoxylin alone, a quarter of eosin alone, the others mixed; 3(Z)YX uint8."""
    rng = np.random.default_rng(seed)
    amounts = strength * rng.uniform(0.5, 1.5, (2, *spatial)) * (rng.random((1, *spatial)) >= blank)
    kind = rng.random(spatial)
    amounts[1, kind < 0.25], amounts[0, kind > 0.75] = 0, 0
    density = np.tensordot(STAINS, amounts, axes=1)
    return np.clip(np.rint(240 * np.exp(-density) - 1), 0, 255).astype(np.uint8)


def eight_bits(normalized) -> np.ndarray:
    return np.rint((normalized + 1) * 127.5).astype(np.uint8)


@by_dimension
def test_the_colours_of_both_dyes_are_found_hematoxylin_first(spatial):
    found = stain_colours(coloured(optical_density(slide(spatial)).reshape(3, -1)))
    np.testing.assert_allclose(found, STAINS, atol=0.02)


def test_optical_density_is_that_of_the_paper():
    np.testing.assert_allclose(
        optical_density(np.array([0, 119, 239, 255], np.uint8)), -np.log(np.array([1, 120, 240, 256]) / 240), atol=1e-6
    )


@pytest.mark.parametrize("strength", [1.3, 1.5, 1.7])
def test_the_result_is_that_of_monai(strength):
    image = slide(strength=strength, blank=0)  # blank pixels count in the maxima of MONAI
    assert (optical_density(image) >= 0.15).all()
    # MONAI puts the dye that takes more red last (its reference then is to be turned round) and cuts off decimals; it leaves out the -1.
    swapped = NormalizeHEStains(target_he=REFERENCE[:, ::-1], max_cref=REFERENCE_MAXIMA[::-1])(np.moveaxis(image, 0, -1))
    normalized = (Macenko().fit(image).apply(image) + 1) * 127.5
    np.testing.assert_allclose(normalized + 1, np.moveaxis(swapped, -1, 0) + 0.5, atol=0.51)


@pytest.mark.parametrize("share", [0.003, 0.02, 0.2])
def test_the_share_of_tissue_does_not_matter_and_background_stays_background(share):
    rows = round(500 * share)
    tissue = slide((500, 400), blank=0)
    image = np.clip(np.random.default_rng(1).normal(235, 4, (3, 500, 400)), 0, 255).astype(np.uint8)
    image[:, :rows] = tissue[:, :rows]
    normalized = eight_bits(Macenko().fit(image).apply(image)).astype(float)
    expected = eight_bits(Macenko().fit(tissue).apply(tissue)).astype(float)
    np.testing.assert_allclose(normalized[:, :rows], expected[:, :rows], atol=12)
    assert np.abs(normalized[:, :rows] - expected[:, :rows]).mean() < 3
    background = normalized[:, rows:]
    assert background.min() > 190
    np.testing.assert_allclose(background.mean(axis=(1, 2)), 235, atol=5)
    assert background.std(axis=(1, 2)).max() < 8


def test_slides_of_other_strength_and_colour_become_alike():
    pale, strong = slide(strength=0.5, seed=1), slide(strength=1.2, seed=1)
    before = np.abs(pale.astype(float) - strong).mean()
    after = np.abs(Macenko().fit(pale).apply(pale) - Macenko().fit(strong).apply(strong)).mean() * 127.5
    assert after < 0.1 * before


def test_normalizing_twice_changes_little():
    once = eight_bits(Macenko().fit(slide()).apply(slide()))
    twice = eight_bits(Macenko().fit(once).apply(once))
    assert np.abs(twice.astype(float) - once).mean() < 2
    assert np.abs(once.astype(float) - slide()).mean() > 10


@by_dimension
def test_a_patch_is_normalized_as_the_whole_image_is(spatial):
    image = slide(spatial)
    fitted = Macenko().fit(image)
    np.testing.assert_allclose(fitted.apply(image[..., 3:9, 4:11]), fitted.apply(image)[..., 3:9, 4:11], atol=1e-5)


@pytest.mark.parametrize(
    "image",
    [
        np.full((3, 20, 20), 255, np.uint8),
        np.zeros((3, 20, 20), np.uint8),
        np.broadcast_to(np.array([120, 60, 140], np.uint8)[:, None, None], (3, 20, 20)),
        np.where(np.arange(400).reshape(20, 20) < 40, slide((20, 20)), np.uint8(240)),
        np.clip(240 * np.exp(-np.random.default_rng(0).uniform(0, 2, (1, 40, 40)) * STAINS[:, :1, None]), 0, 255).astype(np.uint8),
    ],
    ids=["white", "black", "one colour", "few coloured pixels", "one dye"],
)
def test_an_image_without_two_colours_keeps_its_own(image):
    fitted = Macenko().fit(image)
    assert fitted == StainTransform(UNCHANGED)
    np.testing.assert_allclose(fitted.apply(image), image / 127.5 - 1, atol=2e-5)


def test_pixels_that_are_not_finite_become_the_lower_end_and_take_no_part():
    image = slide().astype(np.float32)
    spoilt = np.concatenate([image, np.full((3, 6, 50), np.nan, np.float32)], axis=1)
    spoilt[1, 62, 3] = np.inf
    fitted = Macenko(out_min=0).fit(spoilt)
    assert fitted == Macenko(out_min=0).fit(image)
    np.testing.assert_allclose(fitted.apply(spoilt)[:, :60], fitted.apply(image), atol=1e-5)
    assert (fitted.apply(spoilt)[:, 60:] == 0).all()
    nothing = np.full((3, 8, 8), np.nan)
    assert (Macenko().fit(nothing).apply(nothing) == -1).all()


@pytest.mark.parametrize(
    ("dtype", "brightest"), [(np.uint16, 65535), (np.float32, 1), (np.float32, 255), (np.uint16, 255), (np.int32, 65535)]
)
def test_16_bits_and_parts_of_white_give_what_8_bits_give(dtype, brightest):
    image = slide()
    scaled = (image.astype(float) * (brightest / 255)).astype(dtype)
    fitted = Macenko().fit(scaled)
    assert fitted.brightest == brightest
    np.testing.assert_allclose(fitted.apply(scaled), Macenko().fit(image).apply(image), atol=0.01)


def test_values_stay_in_the_range_and_the_image_as_it_is():
    image = slide()
    normalized = Macenko(out_min=2, out_max=5).fit(image).apply(image)
    assert normalized.dtype == np.float32
    assert normalized.min() >= 2
    assert normalized.max() <= 5
    np.testing.assert_array_equal(image, slide())


def test_a_large_image_is_fitted_from_a_sample_of_its_pixels():
    large = np.tile(slide(), (1, 20, 20))
    np.testing.assert_allclose(Macenko().fit(large).matrix, Macenko().fit(slide()).matrix, atol=0.01)
    assert Macenko().fit(large) == Macenko().fit(large)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_numbers_of_channels_are_refused(channels):
    with pytest.raises(ValueError, match=f"3 channels, got {channels}; set another normalization") as error:
        Macenko().fit(np.zeros((channels, 8, 8), np.uint8))
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="3 channels"):
        StainTransform().apply(np.zeros((channels, 8, 8), np.uint8))


def test_a_range_in_the_wrong_order_is_refused():
    with pytest.raises(ValueError, match=r"got 1 to 0; change normalization\.out_min or normalization\.out_max"):
        Macenko(out_min=1, out_max=0)
