import numpy as np
import pytest
import tifffile

import im2im as package


def test_arrays_and_files_give_the_same_prediction(trained, im2im, tmp_path):
    image = np.random.default_rng(0).integers(0, 999, (40, 44), np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", image)
    model = package.load(trained)
    im2im("mode=predict", f"run={trained}", f"input={tmp_path}/x.tif", f"output={tmp_path}/out")
    assert np.array_equal(model.predict(image), model.predict(tmp_path / "x.tif"))
    assert np.array_equal(model.predict(image), tifffile.imread(tmp_path / "out" / "x.tif"))


@pytest.mark.parametrize(
    ("axes", "shape", "given"),
    [("ZYX", (5, 20, 24), (5, 20, 24)), ("TZYX", (2, 5, 20, 24), (2, 5, 20, 24)), ("CZYX", (1, 5, 20, 24), (5, 20, 24))],
)
def test_axes_come_back_as_they_went_in(axes, shape, given, trained_3d):
    model = package.load(trained_3d / "checkpoints" / "best.ckpt")
    prediction = model.predict(np.random.default_rng(0).integers(0, 999, shape, np.uint16), axes=axes)
    assert prediction.shape == given
    assert prediction.dtype == np.float32


def test_a_lazy_array_is_read_through_its_slices(trained, tmp_path):
    zarr = pytest.importorskip("zarr")
    array = np.random.default_rng(0).integers(0, 999, (32, 32)).astype(np.uint16)
    lazy = zarr.create_array(tmp_path / "a.zarr", data=array)
    model = package.load(trained)
    assert np.array_equal(model.predict(lazy, axes="YX"), model.predict(array, axes="YX"))


def test_an_array_of_unclear_axes_is_refused(trained):
    with pytest.raises(ValueError, match="say them, for example axes="):
        package.load(trained).predict(np.zeros((2, 2, 2, 32, 32)))


def test_a_wrong_number_of_channels_is_refused(trained):
    with pytest.raises(ValueError, match="has 2 channels, the network takes 1; choose with data.source_channels"):
        package.load(trained).predict(np.zeros((2, 32, 32)), axes="CYX")


def test_an_output_can_be_chosen_by_its_name(trained):
    model, image = package.load(trained), np.random.default_rng(0).integers(0, 999, (40, 44), np.uint16)
    scale = model.framework.target_scale
    assert model.predict(image) == pytest.approx(scale.invert(model.predict(image, output="normalized")[None])[0])
    with pytest.raises(ValueError, match=r"intensities, normalized, got labels; choose among them"):
        model.predict(image, output="labels")


def test_the_package_offers_load_and_nothing_unknown():
    assert callable(package.load)
    with pytest.raises(AttributeError, match="nothing"):
        package.nothing  # noqa: B018
