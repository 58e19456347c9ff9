import numpy as np
import pytest
from scipy import ndimage

from im2im.data.lateral import Blur, Deformation, resample

by_shape = pytest.mark.parametrize("shape", [(33, 29), (4, 33, 29)], ids=["2D", "3D"])


def texture(shape, channels=1) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(channels, *shape)).astype(np.float32)


def deformed(sample, seed=0, **settings) -> dict[str, np.ndarray]:
    return Deformation(**{"prob": 1.0, "angle": 0.0, "scale": (1.0, 1.0), **settings}).set_random_state(seed)(sample)


@pytest.mark.parametrize(("interpolation", "order"), [("bilinear", 1), ("nearest", 0)])
@by_shape
def test_resampling_is_that_of_scipy_in_every_plane_and_channel(interpolation, order, shape):
    image = texture(shape, channels=2)
    places = np.indices(shape[-2:]) + np.random.default_rng(1).uniform(-6, 6, (2, *shape[-2:]))
    result = resample(image, places, interpolation, "reflection")
    for index in np.ndindex(image.shape[:-2]):
        np.testing.assert_allclose(result[index], ndimage.map_coordinates(image[index], places, order=order, mode="mirror"), atol=1e-4)


def test_what_lies_outside_is_0_or_mirrored():
    image, places = np.array([[[1.0, 2.0, 3.0]]], np.float32), np.array([[[0.0] * 3], [[-1.0, 0.0, 3.0]]])
    assert resample(image, places, "nearest", "zeros").tolist() == [[[0, 1, 0]]]
    np.testing.assert_allclose(resample(image, places, "bilinear", "reflection"), [[[2, 1, 2]]], atol=1e-6)


@by_shape
def test_without_turn_scale_and_bending_a_patch_stays_as_it_is(shape):
    np.testing.assert_allclose(deformed({"source": texture(shape)})["source"], texture(shape), atol=1e-4)


def test_a_turn_is_about_the_centre_by_at_most_the_angle():
    places = [Deformation(angle=30, scale=(1, 1)).set_random_state(seed).places((21, 31)) for seed in range(60)]
    assert all(np.allclose(place[:, 10, 15], (10, 15)) for place in places)
    angles = [np.degrees(np.arctan2(*(place[:, 10, 16] - place[:, 10, 15]))) for place in places]
    assert -30 <= min(angles) < -25
    assert 25 < max(angles) <= 30
    assert all(np.linalg.norm(place[:, 10, 16] - place[:, 10, 15]) == pytest.approx(1) for place in places)


def test_a_magnification_of_2_spreads_the_pixels_by_2():
    places = Deformation(angle=0, scale=(2, 2)).places((21, 21))
    np.testing.assert_allclose(places, (np.indices((21, 21)) - 10) / 2 + 10)


def test_bending_has_the_deviation_and_the_smoothness_that_are_asked_for():
    shifts = [Deformation(angle=0, scale=(1, 1), elastic=3).set_random_state(n).places((64, 80)) - np.indices((64, 80)) for n in range(40)]
    assert np.std(shifts) == pytest.approx(3, rel=0.2)
    assert np.abs(np.diff(shifts, axis=-1)).max() < 1
    assert np.std([shift.mean() for shift in shifts]) > 0


@by_shape
def test_labels_brought_in_from_outside_are_background_and_excluded(shape):
    ones = np.ones((1, *shape), np.float32)
    for sample in ({"source": ones, "target": 7 * ones}, {"source": ones, "target": 7 * ones, "cost_map": ones}):
        changed = deformed(sample, scale=(0.5, 0.5), target_interpolation="nearest")
        assert 0.15 < changed["cost_map"].mean() < 0.35
        np.testing.assert_array_equal(changed["target"], 7 * changed["cost_map"])
        np.testing.assert_allclose(changed["source"], 1, atol=1e-6)


def test_every_patch_with_labels_gets_a_cost_map_that_a_batch_can_be_made():
    sample = {"source": texture((8, 8), channels=2), "target": texture((8, 8))}
    changed = deformed(sample, prob=0.0, target_interpolation="nearest")
    np.testing.assert_array_equal(changed["cost_map"], np.ones((1, 8, 8)))
    np.testing.assert_array_equal(changed["source"], sample["source"])
    assert set(deformed(sample, target_interpolation="bilinear")) == {"source", "target"}


def test_an_image_as_target_is_mirrored_with_its_source():
    image = texture((32, 32))
    changed = deformed({"source": image, "target": 2 * image, "cost_map": np.ones_like(image)}, scale=(0.5, 0.5))
    np.testing.assert_allclose(changed["target"], 2 * changed["source"], atol=1e-5)
    assert changed["source"][0, 0].all()
    assert not changed["cost_map"][0, 0].any()


def test_patches_change_as_often_as_prob_says():
    image, deformation = texture((8, 8)), Deformation(prob=0.25).set_random_state(0)
    assert 30 < sum(not np.array_equal(deformation({"source": image})["source"], image) for _ in range(200)) < 70
    blur = Blur(prob=0.25).set_random_state(0)
    assert 30 < sum(not np.array_equal(blur({"source": image})["source"], image) for _ in range(200)) < 70


@by_shape
def test_blur_is_that_of_scipy_in_every_plane(shape):
    image = texture(shape, channels=2)
    blurred = Blur(prob=1.0, sigma=(0.8, 0.8))({"source": image, "target": image})
    for index in np.ndindex(image.shape[:-2]):
        np.testing.assert_allclose(blurred["source"][index], ndimage.gaussian_filter(image[index], 0.8, mode="mirror"), atol=1e-6)
    np.testing.assert_array_equal(blurred["target"], image)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_interpolation": "cubic"}, "got 'cubic'; change target_interpolation"),
        ({"scale": (1.2, 0.8)}, r"got \[1.2, 0.8\]; change augmentation.transforms.deformation.scale"),
        ({"scale": (0, 1)}, r"got \[0, 1\]"),
        ({"elastic": -1}, "got -1 and 32.0; change augmentation.transforms.deformation.elastic"),
        ({"spacing": 0}, "got 0.0 and 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        Deformation(**settings)
    assert "\n" not in str(error.value)
