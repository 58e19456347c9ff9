import functools
from pathlib import Path

import hydra
import numpy as np
import pytest
from monai.transforms import RandFlipd
from scipy import ndimage

from im2im.data.augment import Augmentation
from im2im.data.colours import Brightness

CONF = Path(__file__).resolve().parents[2] / "conf" / "augmentation"
KEYS = ["source", "target", "cost_map"]
OPTIONS = sorted(path.stem for path in CONF.glob("*.yaml") if not path.stem.startswith("_"))
by_option = pytest.mark.parametrize("option", OPTIONS)
by_shape = pytest.mark.parametrize("shape", [(40, 40), (3, 40, 40)], ids=["2D", "3D"])


def flips() -> Augmentation:
    from omegaconf import OmegaConf

    return hydra.utils.instantiate(OmegaConf.load(CONF / "flips.yaml"), _convert_="all")


@pytest.mark.parametrize("shape", [(1, 3, 4), (1, 2, 3, 4)])
def test_source_and_target_change_together(shape):
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    changed = [flips()({"source": image, "target": 2 * image, "cost_map": image}, seed) for seed in range(20)]
    assert all(np.array_equal(2 * sample["source"], sample["target"]) for sample in changed)
    assert any(not np.array_equal(sample["source"], image) for sample in changed)


def test_each_axis_flips_on_its_own():
    image = np.array([[[1, 2], [3, 4]]], np.float32)
    transforms = {name: RandFlipd(KEYS, 0.5, axis, allow_missing_keys=True) for name, axis in (("y", -2), ("x", -1))}
    seen = {tuple(Augmentation(transforms)({"source": image}, seed)["source"].ravel()) for seed in range(50)}
    assert seen == {(1, 2, 3, 4), (3, 4, 1, 2), (2, 1, 4, 3), (4, 3, 2, 1)}


def test_planes_keep_their_order():
    image = np.arange(3, dtype=np.float32)[None, :, None, None] * np.ones((1, 3, 4, 4), np.float32)
    assert all(np.array_equal(flips()({"source": image}, seed)["source"], image) for seed in range(20))


def test_the_same_seed_makes_the_same_change():
    image = np.random.default_rng(0).normal(size=(1, 6, 6)).astype(np.float32)
    first, second = flips(), flips()
    for seed in (1, 2, 3):
        assert np.array_equal(first({"source": image}, seed)["source"], second({"source": image}, seed)["source"])


def test_an_oblong_patch_keeps_its_shape():
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    changed = [flips()({"source": image}, seed)["source"] for seed in range(20)]
    assert {array.shape for array in changed} == {(1, 3, 4)}
    assert any(not np.array_equal(array, image) for array in changed)


def test_gamma_changes_the_source_alone_and_keeps_its_range():
    from omegaconf import OmegaConf

    transforms = hydra.utils.instantiate(OmegaConf.load(CONF / "contrast.yaml").transforms, _convert_="all")
    image = np.random.default_rng(0).normal(size=(1, 8, 8)).astype(np.float32)
    changed = Augmentation(transforms)({"source": image, "target": image}, 3)
    assert np.array_equal(changed["target"], image)
    assert not np.allclose(changed["source"], image, atol=0.01)
    assert changed["source"].min() == pytest.approx(image.min(), abs=1e-4)
    assert changed["source"].max() == pytest.approx(image.max(), abs=1e-3)


@functools.cache
def composed(option: str, interpolation: str = "bilinear") -> Augmentation:
    with hydra.initialize_config_dir(str(CONF.parent), version_base=None):
        config = hydra.compose(f"augmentation/{option}", overrides=[f"+target_interpolation={interpolation}"])
    return hydra.utils.instantiate(config.augmentation, _convert_="all")


def labels_of(shape) -> np.ndarray:
    return (np.random.default_rng(1).integers(0, 5, (1, *shape)) * 1000).astype(np.float32)


def test_the_options_are_these():
    assert OPTIONS == ["contrast", "elastic", "flips", "histogram", "intensity", "none", "rotations", "stains", "strong"]


@by_option
@by_shape
def test_labels_stay_labels(option, shape):
    labels, augmentation = labels_of(shape), composed(option, "nearest")
    sample = {"source": labels / 4000, "target": labels, "cost_map": (labels > 0).astype(np.float32)}
    for seed in range(8):
        changed = augmentation(sample, seed)
        assert set(np.unique(changed["target"])) <= set(np.unique(labels))
        assert set(np.unique(changed["cost_map"])) <= {0, 1}
        assert all(np.isfinite(array).all() and array.shape == (1, *shape) for array in changed.values())


@by_option
@by_shape
def test_every_option_changes_the_source_and_repeats_itself_by_its_seed(option, shape):
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    first, second = composed(option), composed.__wrapped__(option)
    changed = [first({"source": image, "target": image}, seed)["source"] for seed in range(12)]
    again = [second({"source": image, "target": image}, seed)["source"] for seed in range(12)]
    assert all(map(np.array_equal, changed, again))
    different = len({array.tobytes() for array in changed})
    assert different == 1 if option == "none" else different > 3


@by_option
def test_planes_of_a_stack_never_mix(option):
    stack = np.zeros((1, 3, 32, 32), np.float32)
    stack[0, 1] = np.random.default_rng(0).normal(size=(32, 32))
    for seed in range(12):
        target = composed(option)({"source": stack, "target": stack}, seed)["target"]
        assert not target[0, ::2].any()
        assert target[0, 1].any()


@by_option
@by_shape
def test_a_landmark_lies_in_source_target_and_cost_map_at_the_same_place(option, shape):
    y, x = np.indices(shape[-2:])
    blob = np.broadcast_to(np.exp(-((y - 14) ** 2 + (x - 24) ** 2) / 18), (1, *shape)).astype(np.float32)
    sample = {"source": blob, "target": 1000 * blob, "cost_map": (blob > 0.5).astype(np.float32)}

    def place(array):
        return np.array([np.average(axis, weights=(array > 0.5 * array.max()).mean(axis=tuple(range(array.ndim - 2)))) for axis in (y, x)])

    places = []
    for seed in range(8):
        changed = composed(option)(sample, seed)
        assert np.abs(place(changed["source"]) - place(changed["target"])).max() < 1.2  # noise and gamma move the source's a little
        assert np.abs(place(changed["cost_map"]) - place(changed["target"])).max() < 0.6
        places.append(place(changed["target"]))
    assert (np.ptp(places, axis=0).max() > 1) == (option != "none")


@pytest.mark.parametrize("option", ["contrast", "histogram", "intensity", "stains", "strong"])
@by_shape
def test_intensities_change_in_the_source_alone(option, shape):
    image = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(1, *shape)), 2, axes=(-2, -1)).astype(np.float32)
    image /= image.std()
    still = {"flip_y", "flip_x", "turn", "deformation"}
    intensities = Augmentation({name: step for name, step in composed(option).transforms.items() if name not in still})
    changed = [intensities({"source": image, "target": image, "cost_map": image}, seed) for seed in range(12)]
    assert all(np.array_equal(sample[role], image) for sample in changed for role in ("target", "cost_map"))
    assert sum(not np.array_equal(sample["source"], image) for sample in changed) > 3
    assert all(np.corrcoef(sample["source"].ravel(), image.ravel())[0, 1] > 0.8 for sample in changed)


@pytest.mark.parametrize(
    ("option", "step", "apart"),
    [("strong", "contrast", False), ("strong", "brightness", False), ("stains", "contrast", True), ("stains", "colours", True)],
)
@by_shape
def test_only_stains_changes_the_colours_apart_from_each_other(option, step, apart, shape):
    grey = np.repeat(np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32), 3, axis=0)
    changed = [Augmentation({step: composed(option).transforms[step]})({"source": grey.copy()}, seed)["source"] for seed in range(40)]
    assert any(not np.allclose(array, grey) for array in changed)
    assert any(np.abs(array - array[:1]).max() > 0.1 for array in changed) == apart


def test_a_colour_is_shifted_by_a_part_of_its_own_deviation():
    image = np.stack([np.tile([0.0, 2.0], (4, 4)), np.tile([0.0, 20.0], (4, 4))]).astype(np.float32)
    shifts = np.array(
        [Augmentation({"step": Brightness(1.0, 0.5)})({"source": image.copy()}, seed)["source"] - image for seed in range(50)]
    )
    assert np.ptp(shifts, axis=(2, 3)).max() < 1e-5
    largest = np.abs(shifts).max(axis=(0, 2, 3))
    assert (largest <= [0.5, 5]).all()
    assert (largest > [0.4, 4]).all()


def test_a_negative_shift_is_refused():
    with pytest.raises(ValueError, match=r"got -1; change augmentation.transforms.brightness.factors"):
        Brightness(factors=-1)
