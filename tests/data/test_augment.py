from pathlib import Path

import hydra
import numpy as np
import pytest
from monai.transforms import RandFlipd

from im2im.data.augment import Augmentation

CONF = Path(__file__).resolve().parents[2] / "conf" / "augmentation"
KEYS = ["source", "target", "cost_map"]


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
