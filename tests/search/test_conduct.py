import pytest
from omegaconf import OmegaConf

from im2im.search.conduct import require_images

BUILT_IN = {"counts": {"train": 2}}
ON_DISK = {"fractions": {"val": 0.1}}


@pytest.mark.parametrize(
    ("data", "splits", "told"),
    [
        (BUILT_IN, {"train": 2, "test": 1}, "chooses by validation images, got {'train': 2, 'test': 1}; raise data.counts.val"),
        (BUILT_IN, {"train": 2, "val": 1}, "scored on test images, got {'train': 2, 'val': 1}; raise data.counts.test"),
        (
            ON_DISK,
            {"train": 1, "test": 1},
            "give data.root a val/ folder, or three images or groups at least, and raise",
        ),
        (ON_DISK, {"train": 2, "val": 1}, "give data.root a test/ folder, or raise data.fractions.test"),
    ],
)
def test_images_that_are_missing_are_named_with_what_gives_them(data, splits, told):
    with pytest.raises(ValueError, match=told):
        require_images(OmegaConf.create({"data": data, "search": {"folds": None}}), splits)


def test_folds_validate_training_images():
    require_images(OmegaConf.create({"data": ON_DISK, "search": {"folds": 3}}), {"train": 2, "test": 1})
