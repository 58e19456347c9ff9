"""The images of one simulated specimen by several methods."""

import numpy as np
import pytest
from scipy import ndimage

from im2im.data.roles import CHANNELS, ROLES
from im2im.data.synthetic import SyntheticCells
from im2im.normalization import Macenko

SIZES = {2: (160, 192), 3: (16, 96, 80)}
TYPES = {"mask": np.uint8, "stained": np.uint8, "classes": np.uint8}  # the others uint16


@pytest.fixture(scope="module", params=[2, 3], ids=["2D", "3D"])
def cells(request) -> SyntheticCells:
    return SyntheticCells(request.param, SIZES[request.param], seed=4)


@pytest.fixture(scope="module")
def samples(cells) -> list[dict[str, np.ndarray]]:
    return [cells(index, ROLES) for index in range(3)]


def correlation(first, second) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_every_role_has_its_type_and_colour_comes_first(cells, samples):
    assert {role: image.dtype for role, image in samples[0].items()} == {role: TYPES.get(role, np.uint16) for role in ROLES}
    for role, image in samples[0].items():
        assert image.shape == ((CHANNELS[role], *cells.size) if role == "stained" else cells.size)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_alone_is_what_it_is_beside_all_others(cells, samples, role):
    np.testing.assert_array_equal(cells(1, (role,))[role], samples[1][role])
    backwards = cells(1, tuple(reversed(ROLES)))
    np.testing.assert_array_equal(backwards[role], samples[1][role])


def test_only_what_is_asked_for_is_rendered(cells, monkeypatch):
    monkeypatch.setattr("im2im.data.roles.transmit", None)
    assert list(cells(0, ("target", "stained"))) == ["target", "stained"]
    with pytest.raises(TypeError):
        cells(0, ("source",))


def test_the_noisy_image_shows_the_target_in_a_small_part_of_its_light(samples):
    for sample in samples:
        noisy, target = (sample[role].astype(float) - 100 for role in ("noisy", "target"))
        assert 0.03 < noisy.mean() / target.mean() < 0.15
        smooth = [ndimage.gaussian_filter(image, 3) for image in (noisy, target)]
        assert correlation(*smooth) > 0.98
        assert correlation(noisy, target) < 0.96 * correlation(*smooth)


def test_the_blurred_image_has_no_fine_detail(samples):
    def detail(image):
        scaled = ndimage.gaussian_filter(image.astype(float) - 100, 1.5)  # of noise
        return np.std(scaled - ndimage.gaussian_filter(scaled, 3)) / scaled.mean()

    for sample in samples:
        assert detail(sample["blurred"]) < 0.8 * detail(sample["target"])
        assert correlation(sample["blurred"], sample["target"]) > 0.85


def test_hematoxylin_is_in_nuclei_and_eosin_in_cytoplasm(samples):
    for sample in samples:
        red, green, blue = sample["stained"].astype(float)
        background, cytoplasm, nucleus = (sample["classes"] == number for number in range(3))
        assert red[nucleus].mean() < 0.85 * red[cytoplasm].mean()
        assert green[cytoplasm].mean() < 0.95 * green[background].mean()
        assert green[cytoplasm].mean() < min(red[cytoplasm].mean(), blue[cytoplasm].mean())


def test_slides_differ_in_colour_and_macenko_makes_them_alike(samples):
    def spread(images):
        return np.std([image.mean(axis=axes)[sample["classes"] == 2].mean() for image, sample in zip(images, samples, strict=True)])

    axes = 0
    slides = [sample["stained"] for sample in samples]
    normalized = [127.5 * (1 + Macenko().fit(slide).apply(slide)) for slide in slides]
    assert spread(normalized) < 0.7 * spread(slides)


def test_classes_are_background_cytoplasm_and_the_nuclei_of_the_mask(samples):
    for sample in samples:
        assert set(np.unique(sample["classes"])) == {0, 1, 2}
        np.testing.assert_array_equal(sample["classes"] == 2, sample["mask"] > 0)


def test_cytoplasm_surrounds_nuclei(samples):
    for sample in samples:
        nuclei = sample["mask"].reshape(-1, *sample["mask"].shape[-2:]) > 0
        around = ndimage.binary_dilation(nuclei, np.ones((1, 5, 5))) & ~nuclei
        assert sample["classes"].reshape(nuclei.shape)[around].mean() > 0.9


def test_a_role_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"got 'targets'; set data\.source and data\.target to some of source, target, mask"):
        SyntheticCells()(0, ("targets",))
