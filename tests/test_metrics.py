import json
import math

import numpy as np
import pytest
from scipy.stats import pearsonr
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity

from im2im.metrics import nrmse, pearson, psnr, ri_nrmse, ri_psnr, ri_ssim, scaled, ssim, summarize

METRICS = [pearson, nrmse, psnr, ssim]
by_shape = pytest.mark.parametrize("shape", [(1, 37, 41), (3, 24, 29), (1, 17, 23, 19), (2, 13, 14, 30)], ids=str)
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "uint16"])
RANGE_INVARIANT = {ri_nrmse: nrmse, ri_psnr: psnr, ri_ssim: ssim}
by_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
by_range_invariant = pytest.mark.parametrize("metric", RANGE_INVARIANT, ids=lambda metric: metric.__name__)


def pair(shape, dtype="float32"):
    generator = np.random.default_rng(0)
    target = generator.gamma(3, 20, shape)
    prediction = 0.8 * target + generator.normal(10, 8, shape)
    return tuple(np.clip(image, 0, 250).astype(dtype) for image in (prediction, target))


def range_of(target):
    return float(target.max()) - float(target.min())


@by_dtype
@by_shape
def test_pearson_is_scipys(dtype, shape):
    prediction, target = pair(shape, dtype)
    assert pearson(prediction, target) == pytest.approx(pearsonr(prediction.ravel().astype(float), target.ravel()).statistic, abs=1e-9)


@by_dtype
@by_shape
def test_psnr_and_nrmse_are_those_of_scikit_image(dtype, shape):
    prediction, target = pair(shape, dtype)
    assert psnr(prediction, target) == pytest.approx(peak_signal_noise_ratio(target, prediction, data_range=range_of(target)), abs=1e-4)
    assert nrmse(prediction, target) == pytest.approx(normalized_root_mse(target, prediction, normalization="min-max"), rel=1e-5)


@by_dtype
@by_shape
def test_ssim_is_that_of_scikit_image(dtype, shape):
    prediction, target = pair(shape, dtype)
    expected = structural_similarity(
        prediction.astype(float),
        target.astype(float),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=range_of(target),
        channel_axis=0,
    )
    assert ssim(prediction, target) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_a_plane_without_channels_is_that_of_one_channel():
    prediction, target = pair((1, 30, 31))
    assert ssim(prediction[0], target[0]) == ssim(prediction, target)


@pytest.mark.parametrize("shape", [(1, 90, 64), (1, 30, 33, 20)], ids=["2D", "3D"])
def test_ssim_does_not_depend_on_how_the_image_is_cut_into_slabs(shape, monkeypatch):
    prediction, target = pair(shape)
    whole = ssim(prediction, target)
    monkeypatch.setattr("im2im.metrics.SLAB", 1)
    assert ssim(prediction, target) == pytest.approx(whole, abs=1e-12)


def test_ssim_of_a_stack_thinner_than_its_window_takes_all_of_its_slices():
    prediction, target = pair((1, 3, 40, 40))
    target[:, 0] = prediction[:, 0] = 50
    flat_end = ssim(prediction, target)
    prediction[:, 0] += np.linspace(-50, 50, 40, dtype=np.float32)
    assert 0 < ssim(prediction, target) < flat_end < 1


@by_metric
def test_identical_images_have_the_best_value(metric):
    _, target = pair((1, 20, 20))
    assert metric(target, target) == {"pearson": pytest.approx(1), "ssim": pytest.approx(1), "psnr": math.inf, "nrmse": 0}[metric.__name__]


@by_metric
def test_identical_constant_images_have_a_defined_value(metric):
    constant = np.full((1, 20, 20), 0.1, np.float32)
    assert metric(constant, constant) == {"pearson": 0, "ssim": pytest.approx(1), "psnr": math.inf, "nrmse": 0}[metric.__name__]


def test_the_range_of_a_constant_target_counts_as_1():
    target, prediction = np.full((1, 20, 20), 3.0), np.full((1, 20, 20), 3.5)
    assert nrmse(prediction, target) == 0.5
    assert psnr(prediction, target) == pytest.approx(20 * math.log10(2))
    assert ssim(prediction, target) == pytest.approx((2 * 3 * 3.5 + 1e-4) / (3**2 + 3.5**2 + 1e-4))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, 4e4 / 7])
def test_pearson_with_a_constant_image_is_0(value):
    _, target = pair((1, 101, 103))
    assert pearson(np.full_like(target, value), target) == 0
    assert pearson(target, np.full_like(target, value)) == 0


def test_pearson_keeps_every_digit_of_a_small_signal_on_a_large_background():
    prediction, target = pair((1, 200, 200), "float64")
    assert pearson(1e6 + prediction / 1e3, 1e6 + target / 1e3) == pytest.approx(
        np.corrcoef(prediction.ravel(), target.ravel())[0, 1], abs=1e-7
    )


def test_metrics_of_a_cost_map_are_those_of_the_pixels_it_leaves():
    prediction, target = pair((2, 30, 30))
    cost_map = np.ones((2, 30, 30))
    cost_map[:, 12:] = 0
    for metric in (pearson, nrmse, psnr):
        assert metric(prediction, target, cost_map) == pytest.approx(metric(prediction[:, :12], target[:, :12]), rel=1e-9)


def test_ssim_leaves_excluded_pixels_out_of_the_mean_of_the_local_map():
    prediction, target = pair((1, 40, 40))
    cost_map = np.zeros((1, 40, 40))
    cost_map[0, 8:20, 10:33] = 0.5
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 200.0}
    _, local = structural_similarity(prediction[0].astype(float), target[0].astype(float), full=True, **settings)
    assert ssim(prediction, target, cost_map, data_range=200.0) == pytest.approx(local[8:20, 10:33].mean(), abs=1e-9)


@by_metric
def test_one_cost_map_serves_all_channels(metric):
    prediction, target = pair((3, 30, 30))
    cost_map = np.random.default_rng(1).random((1, 30, 30)) > 0.4
    assert metric(prediction, target, cost_map) == metric(prediction, target, np.repeat(cost_map, 3, axis=0))


@by_metric
def test_a_given_cost_map_of_ones_changes_nothing(metric):
    prediction, target = pair((1, 20, 22))
    assert metric(prediction, target, np.ones((1, 20, 22))) == pytest.approx(metric(prediction, target), abs=1e-12)


@by_metric
def test_without_any_pixel_the_metric_is_nan(metric):
    prediction, target = pair((1, 20, 20))
    assert math.isnan(metric(prediction, target, np.zeros((1, 20, 20))))


@by_metric
def test_a_nan_in_the_prediction_is_not_hidden(metric):
    prediction, target = pair((1, 20, 20))
    prediction[0, 9, 9] = np.nan
    assert math.isnan(metric(prediction, target))


def test_an_infinite_prediction_has_the_worst_psnr():
    prediction, target = pair((1, 20, 20))
    prediction[0, 9, 9] = np.inf
    assert psnr(prediction, target) == -math.inf


def test_the_given_data_range_is_the_peak():
    prediction, target = pair((1, 20, 20), "uint8")
    assert psnr(prediction, target, data_range=255) == pytest.approx(peak_signal_noise_ratio(target, prediction, data_range=255))


@by_metric
def test_shapes_that_differ_are_refused(metric):
    image = np.zeros((1, 20, 20))
    with pytest.raises(ValueError, match=r"got \(1, 20, 20\) and \(1, 20, 21\); check the pairing"):
        metric(image, np.zeros((1, 20, 21)))
    with pytest.raises(ValueError, match=r"Cost map and target differ in shape, got \(2, 20, 20\)"):
        metric(image, image, np.zeros((2, 20, 20)))


@by_dtype
@by_shape
def test_scaling_is_the_least_squares_fit_of_numpy(dtype, shape):
    prediction, target = pair(shape, dtype)
    gain, offset = np.polyfit(prediction.ravel().astype(float), target.ravel().astype(float), 1)
    np.testing.assert_allclose(scaled(prediction, target), gain * prediction.astype(float) + offset, rtol=1e-4, atol=1e-4)


@by_range_invariant
@by_shape
def test_a_range_invariant_metric_is_that_of_the_fitted_prediction(metric, shape):
    prediction, target = pair(shape, "float64")
    gain, offset = np.polyfit(prediction.ravel(), target.ravel(), 1)
    assert metric(prediction, target) == pytest.approx(RANGE_INVARIANT[metric](gain * prediction + offset, target))


@by_range_invariant
@pytest.mark.parametrize("gain", [3.0, -0.01])
def test_a_range_invariant_metric_is_blind_to_gain_and_offset(metric, gain):
    prediction, target = pair((1, 30, 31), "float64")
    assert metric(gain * prediction + 1e4, target) == pytest.approx(metric(prediction, target), rel=1e-6)


@by_range_invariant
def test_excluded_pixels_have_no_part_in_the_fit_and_stay_as_they_are(metric):
    prediction, target = pair((2, 30, 30), "float64")
    cost_map = np.ones((1, 30, 30))
    cost_map[..., 12:] = 0
    prediction[..., 12:] = target[..., 12:] = 0
    fitted = np.concatenate((scaled(prediction[..., :12], target[..., :12]), prediction[..., 12:]), axis=-1)
    expected = RANGE_INVARIANT[metric](fitted, target, cost_map)
    prediction[..., 12:] = 0
    assert metric(prediction, target, cost_map) == pytest.approx(expected)


@by_range_invariant
def test_a_constant_prediction_is_taken_for_the_mean_of_the_target(metric):
    _, target = pair((1, 30, 31))
    mean = np.full_like(target, target.mean(dtype=float))
    assert metric(np.full_like(target, 77.7), target) == pytest.approx(RANGE_INVARIANT[metric](mean, target), rel=1e-6)


@by_range_invariant
def test_a_range_invariant_metric_without_pixels_or_with_a_nan_is_nan(metric):
    prediction, target = pair((1, 20, 20))
    assert math.isnan(metric(prediction, target, np.zeros((1, 20, 20))))
    prediction[0, 9, 9] = np.nan
    assert math.isnan(metric(prediction, target))


def test_a_prediction_in_other_units_is_range_invariantly_perfect():
    _, target = pair((1, 20, 20))
    assert ri_ssim(3 * target + 4, target) == pytest.approx(1)
    assert ri_nrmse(3 * target + 4, target) == pytest.approx(0, abs=1e-6)
    assert ri_psnr(3 * target + 4, target) > 120


def test_a_summary_has_mean_deviation_and_number_of_the_finite_values():
    rows = [{"pearson": 0.5, "psnr": math.inf}, {"pearson": 1.0, "psnr": 20.0}, {"pearson": math.nan, "psnr": 30.0, "dice": 1.0}]
    assert summarize(rows) == {
        "pearson": {"mean": 0.75, "std": 0.25, "n": 2},
        "psnr": {"mean": 25.0, "std": 5.0, "n": 2},
        "dice": {"mean": 1.0, "std": None, "n": 1},
    }


def test_a_summary_without_finite_values_is_strict_json():
    summary = summarize([{"psnr": math.inf}, {"psnr": math.nan}])
    assert json.dumps(summary, allow_nan=False) == '{"psnr": {"mean": null, "std": null, "n": 0}}'
    assert summarize([]) == {}
