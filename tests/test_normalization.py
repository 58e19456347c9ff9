import json
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from im2im.normalization import Affine, Center, Identity, Macenko, Mask, MinMax, Percentile, Standard, typical

OPTIONS = Path(__file__).resolve().parents[1] / "conf" / "normalization"
NORMALIZATIONS = [
    Percentile(),
    Percentile(clip=False, out_min=-1),
    Standard(),
    Standard(per_channel=False),
    Center(slices=2),
    MinMax(),
    Mask(),
    Identity(),
]
by_dimension = pytest.mark.parametrize("spatial", [(31, 27), (6, 17, 13)], ids=["2D", "3D"])
by_normalization = pytest.mark.parametrize("normalization", NORMALIZATIONS, ids=str)


def image_of(spatial, dtype, channels=2):
    values = np.random.default_rng(0).normal(60, 25, (channels, *spatial)) * np.arange(1, channels + 1).reshape(-1, *[1] * len(spatial))
    return np.clip(values, -100, 255).astype(dtype) if np.dtype(dtype).kind != "u" else np.clip(values, 0, 255).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "int16", "int32", "float32", "float64"])
@by_dimension
def test_percentile_maps_numpys_percentiles_of_each_channel_to_the_ends_of_the_range(dtype, spatial):
    image = image_of(spatial, dtype)
    low, high = np.percentile(image.reshape(2, -1), [3, 99.5], axis=1)
    column = (-1, *[1] * len(spatial))
    expected = np.clip((image - low.reshape(column)) / (high - low).reshape(column), 0, 1) * 3 - 1
    np.testing.assert_allclose(Percentile(3, 99.5, out_min=-1, out_max=2).fit(image).apply(image), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint16", "int16"])
@pytest.mark.parametrize("rank", [0, 0.1, 3, 33.3, 50, 66.6, 99.9])
@pytest.mark.parametrize("size", [1, 2, 3, 1001])
def test_percentiles_by_histogram_are_exactly_numpys(dtype, rank, size):
    limits = (0, 2) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max + 1)
    image = np.random.default_rng(size).integers(*limits, (1, 1, size)).astype(dtype)
    fitted = Percentile(rank, 100).fit(image)
    low, high = np.percentile(image.astype("int64"), [rank, 100])  # numpy's own differences overflow in 8 and 16 bits
    assert fitted.offset == (low,)
    assert fitted.scale == (high - low if high > low else 1,)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float16", "float32", "float64"])
@by_dimension
def test_standard_has_mean_0_and_deviation_1_in_every_channel(dtype, spatial):
    image = image_of(spatial, dtype)
    normalized = Standard().fit(image).apply(image).reshape(2, -1)
    np.testing.assert_allclose(normalized.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(normalized.std(axis=1), 1, rtol=1e-4)


def test_standard_keeps_every_digit_of_a_small_signal_on_a_large_background():
    image = 1e6 + np.random.default_rng(0).normal(0, 0.01, (1, 700, 701))
    fitted = Standard().fit(image)
    np.testing.assert_allclose((fitted.offset[0], fitted.scale[0]), (image.mean(), image.std()), rtol=1e-9)


def test_channels_share_their_statistics_unless_per_channel():
    image = np.array([[[0.0, 2.0]], [[4.0, 6.0]]])
    assert Standard(per_channel=False).fit(image) == Affine((3.0,), (pytest.approx(5**0.5),))
    assert MinMax(per_channel=False).fit(image).apply(image).ravel().tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert MinMax().fit(image).apply(image).ravel().tolist() == [0, 1, 0, 1]


def test_center_takes_its_statistics_from_the_middle_slices():
    stack = np.random.default_rng(0).normal(size=(2, 9, 5, 5)) * np.arange(9).reshape(1, 9, 1, 1)
    assert Center(slices=4).fit(stack) == Standard().fit(stack[:, 2:6])
    assert Center(slices=3).fit(stack) == Standard().fit(stack[:, 3:6])


@pytest.mark.parametrize("shape", [(1, 5, 8, 8), (3, 40, 8)], ids=["fewer slices", "2D"])
def test_center_takes_all_of_a_flat_image(shape):
    image = np.random.default_rng(0).normal(size=shape)
    assert Center(slices=32).fit(image) == Standard().fit(image)


def test_minmax_maps_the_extremes_to_the_ends_of_the_range():
    image = np.array([[[-2, 0], [2, 6]]])
    assert MinMax(out_min=-1, out_max=1).fit(image).apply(image).ravel().tolist() == [-1, -0.5, 0, 1]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int32", "float32"])
def test_a_mask_has_background_at_the_lower_and_every_object_at_the_upper_end(dtype):
    labels = np.array([[[0, 1, 0, 7, 255]]]).astype(dtype)
    assert Mask().fit(labels).apply(labels).ravel().tolist() == [-1, 1, -1, 1, 1]
    assert Mask(out_min=0, out_max=2).fit(labels).apply(labels).ravel().tolist() == [0, 2, 0, 2, 2]


def test_a_mask_without_objects_is_background_and_soft_masks_keep_their_shades():
    empty, soft = np.zeros((1, 4, 4), np.uint8), np.array([[[-3, 0.25, 0.5, 1]]])
    assert (Mask().fit(empty).apply(empty) == -1).all()
    assert Mask().fit(soft).apply(soft).ravel().tolist() == [-1, -0.5, 0, 1]


def test_identity_changes_only_the_type():
    image = np.array([[[0, 65535]]], np.uint16)
    normalized = Identity().fit(image).apply(image)
    assert normalized.dtype == np.float32
    assert normalized.tolist() == [[[0, 65535]]]


def test_values_outside_of_the_range_are_cut_off_unless_clip_is_off():
    image = np.arange(101.0).reshape(1, 1, -1)
    assert np.ptp(Percentile(10, 90).fit(image).apply(image)) == 1
    assert np.ptp(Percentile(10, 90, clip=False).fit(image).apply(image)) == pytest.approx(1.25)


@by_normalization
@pytest.mark.parametrize("value", [0, 7, 0.1, 1e-30, -3e38, np.nan, np.inf])
@by_dimension
def test_a_blank_or_constant_image_becomes_one_finite_value(normalization, value, spatial):
    image = np.full((2, *spatial), value, np.float32)
    normalized = normalization.fit(image).apply(image)
    assert np.isfinite(normalized).all()
    assert np.ptp(normalized) == 0


@by_normalization
def test_nan_pixels_take_no_part_in_the_statistics_and_become_the_lower_end_or_0(normalization):
    image = image_of((20, 20), np.float32, channels=1)
    with_nan = np.concatenate([image, np.full((1, 5, 20), np.nan, np.float32)], axis=1)
    fitted = normalization.fit(with_nan)
    assert fitted == normalization.fit(image)
    np.testing.assert_array_equal(fitted.apply(with_nan)[:, :20], fitted.apply(image))
    assert set(fitted.apply(with_nan)[:, 20:].ravel()) == {getattr(normalization, "out_min", 0)}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@by_normalization
def test_infinite_and_huge_pixels_become_finite(normalization, dtype):
    image = image_of((20, 20), dtype, channels=1)
    image[0, 0, :3] = np.inf, -np.inf, np.finfo(dtype).max
    assert np.isfinite(normalization.fit(image).apply(image)).all()


@by_normalization
@by_dimension
def test_invert_undoes_apply_for_what_was_not_clipped(normalization, spatial):
    image = image_of(spatial, np.float32)
    fitted = normalization.fit(image)
    inside = (
        image
        if fitted.low is None
        else np.clip(image, fitted.invert(np.zeros_like(image) + fitted.low), fitted.invert(np.zeros_like(image) + fitted.high))
    )
    np.testing.assert_allclose(fitted.invert(fitted.apply(image)), inside, atol=1e-3)


def test_a_patch_is_normalized_as_the_whole_image_is():
    image = image_of((6, 17, 13), np.uint16)
    fitted = Percentile().fit(image)
    np.testing.assert_array_equal(fitted.apply(image[:, 2:4, 3:9]), fitted.apply(image)[:, 2:4, 3:9])


def test_apply_leaves_the_image_as_it_is():
    image = np.array([[[1.0, np.nan, 3.0]]], np.float32)
    Standard().fit(image).apply(image)
    np.testing.assert_array_equal(image, [[[1.0, np.nan, 3.0]]])


def test_scales_survive_json():
    fitted = Percentile(out_min=-1).fit(image_of((20, 20), np.uint8))
    assert Affine.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
    assert Affine.from_dict(json.loads(json.dumps(Standard().fit(np.ones((1, 2, 2))).to_dict()))) == Affine((1.0,), (1.0,))


def test_the_typical_scale_is_the_median_over_images_channel_by_channel():
    affines = [Affine((1.0, 10.0), (2.0, 1.0)), Affine((3.0, 30.0), (4.0, 1.0)), Affine((200.0, 20.0), (3.0, 7.0))]
    assert typical(affines) == Affine((3.0, 20.0), (3.0, 1.0))


def test_the_typical_scale_of_ranges_keeps_their_limits():
    images = [image_of((9, 9), np.uint8), image_of((9, 9), np.uint8) // 2]
    fitted = typical([Percentile(out_min=-1).fit(image) for image in images])
    assert (fitted.low, fitted.high, fitted.fill) == ((-1,), (1.0,), (-1,))


def test_one_scale_stands_for_all_channels():
    image = np.array([[[2.0]], [[4.0]]])
    assert Affine((2.0,), (2.0,)).apply(image).ravel().tolist() == [0, 1]
    assert typical([Affine((2.0,), (2.0,)), Affine((4.0, 6.0), (2.0, 2.0))]) == Affine((3.0, 4.0), (2.0, 2.0))


def test_statistics_of_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"The image has 2 channels, got statistics of 3"):
        Affine((1.0, 2.0, 3.0), (1.0,)).apply(np.zeros((2, 4, 4)))
    with pytest.raises(ValueError, match=r"same number of channels, got \[2, 3\]; check data.root"):
        typical([Affine((1.0, 2.0, 3.0), (1.0,)), Affine((1.0, 2.0), (1.0,))])
    with pytest.raises(ValueError, match="at least one image, got none"):
        typical([])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Percentile(low=99, high=1), "got 99 and 1; change normalization.low or normalization.high"),
        (lambda: Percentile(high=100.5), "got 0.1 and 100.5"),
        (lambda: Percentile(out_min=1, out_max=1), "got 1 and 1; change normalization.out_min or normalization.out_max"),
        (lambda: MinMax(out_min=1, out_max=0), "got 1 and 0; change normalization.out_min"),
        (lambda: Mask(out_min=1, out_max=1), "got 1 and 1; change normalization.out_min"),
        (lambda: Center(slices=0), "at least one slice, got 0; raise normalization.slices"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("center", Center()),
        ("macenko", Macenko()),
        ("mask", Mask()),
        ("minmax", MinMax()),
        ("none", Identity()),
        ("percentile", Percentile()),
        ("standard", Standard()),
    ],
)
def test_every_option_builds_the_defaults_of_its_class(option, expected):
    assert instantiate(OmegaConf.load(OPTIONS / f"{option}.yaml"), _convert_="all") == expected
