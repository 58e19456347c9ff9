import json

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from tests_shared import SMALL, SMALL_GAN, SMALL_JUDGES, newest

from im2im.io.image import Image
from im2im.stages.findings import empty_share


def found(run) -> dict[str, dict]:
    return {finding["about"]: finding for finding in json.loads((run / "check.json").read_text())}


def settings(root, *more) -> list[str]:
    return [
        "mode=check",
        *(setting for setting in SMALL if not setting.startswith(("data.size", "data.counts"))),
        "data=folders",
        f"data.root={root}",
        *more,
    ]


def test_sound_data_pass(folders, im2im):
    run = im2im(*settings(folders, "max_epochs=50"))
    findings = found(run)
    assert {finding["verdict"] for finding in findings.values()} == {"ok"}
    assert findings["sizes"]["seen"] == "6 images of 40 × 48 pixels, uint16 → uint16"
    assert findings["axes"]["seen"] == "YX in the files, YX used"
    assert "0." in findings["memory"]["seen"]
    assert np.ptp(iio.imread(run / "check.png")) > 100


def test_nothing_is_trained_or_written_beside_the_findings(folders, im2im):
    run = im2im(*settings(folders))
    assert not list(run.glob("checkpoints/*"))
    assert sorted(path.name for path in folders.rglob("*.*")) == sorted([f"cell_{i}.tif" for i in range(6)] * 2)


def test_every_unreadable_file_is_named(folders, im2im, capsys):
    for name in ("cell_1.tif", "cell_4.tif"):
        (folders / "source" / name).write_bytes(b"II*\0")
    with pytest.raises(SystemExit):
        im2im(*settings(folders))
    assert "2 of" in capsys.readouterr().err.splitlines()[-1]


def test_constant_and_broken_images_are_pointed_out(folders, im2im):
    tifffile.imwrite(folders / "target" / "cell_0.tif", np.full((40, 48), 7, np.uint16))
    broken = np.ones((40, 48), np.float32)
    broken[3, 3] = np.nan
    broken[5:] = 2
    tifffile.imwrite(folders / "source" / "cell_1.tif", broken)
    findings = found(im2im(*settings(folders)))
    assert findings["target contrast"]["verdict"] == "look"
    assert "cell_0" in findings["target contrast"]["seen"]
    assert "cell_1" in findings["source NaN"]["seen"]


@pytest.mark.parametrize("mode", ["check", "train"])
def test_pixels_that_are_no_real_numbers_are_told_with_file_and_type(mode, folders, im2im, capsys):
    for path in folders.glob("source/*.tif"):
        tifffile.imwrite(path, np.ones((40, 48), np.complex64), photometric="minisblack")
    with pytest.raises(SystemExit):
        im2im(f"mode={mode}", *settings(folders)[1:])
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "source/cell_0.tif holds complex64 pixels" in last


def test_the_same_image_in_two_splits_is_pointed_out(folders, im2im):
    (folders / "source" / "cell_5.tif").write_bytes((folders / "source" / "cell_0.tif").read_bytes())
    for number, split in enumerate(["train", "train", "train", "val", "val", "test"]):
        for role in ("source", "target"):
            place = folders / split / role
            place.mkdir(parents=True, exist_ok=True)
            (folders / role / f"cell_{number}.tif").rename(place / f"cell_{number}.tif")
    for role in ("source", "target"):
        (folders / role).rmdir()
    finding = found(im2im(*settings(folders)))["splits"]
    assert finding["verdict"] == "look"
    assert "cell_0 (train) and cell_5 (test)" in finding["seen"]


def test_a_step_is_trained_and_what_it_gives_is_decoded_and_scored(im2im):
    few = [setting for setting in SMALL if not setting.startswith("network")]
    findings = found(im2im("mode=check", "task=instance", "network.channels=4", *few))
    assert "val/ap_50" in findings["validation"]["seen"]


def test_patches_larger_than_an_image_and_indivisible_sizes_are_pointed_out(folders, im2im):
    run = im2im(*settings(folders, "patch_size=[46,46]"))
    seen = [finding["seen"] for finding in json.loads((run / "check.json").read_text()) if finding["about"] == "patch_size"]
    assert "6 images are smaller than (46, 46)" in seen[0]
    assert "padded to (48, 48), the network's multiple of (4, 4)" in seen[1]


def test_a_bigger_batch_needs_more_memory(folders, im2im):
    def gigabytes(*more):
        return float(found(im2im(*settings(folders, "patch_size=[40,48]", "network.channels=16", *more)))["memory"]["seen"].split()[1])

    assert gigabytes("batch_size=16") > 4 * gigabytes("batch_size=2")


def test_the_discriminator_counts_too(folders, im2im):
    findings = found(im2im(*settings(folders, "framework=pix2pix", *SMALL_GAN)))
    assert findings["one step"]["verdict"] == "ok"


def test_blank_targets_are_pointed_out_though_most_are(folders, im2im):
    for index in range(5):
        tifffile.imwrite(folders / "target" / f"cell_{index}.tif", np.full((40, 48), 7, np.uint16))
    finding = found(im2im(*settings(folders, "data.patches_per_image=5")))["empty patches"]
    assert finding["verdict"] == "look"
    assert finding["seen"].startswith("83% of 30")


@pytest.mark.parametrize(
    "given",
    [
        ["task=semantic", "network=fnet"],
        ["task=instance", "network=fnet"],
        ["framework=cyclegan", "data.unpaired=true", *SMALL_JUDGES],
        ["framework=cyclegan", "data.target=stained", "framework.direction=backward", *SMALL_JUDGES],
    ],
    ids=["classes", "objects", "no pairs", "backward"],
)
def test_a_step_of_every_kind_of_training_is_tried(given, im2im):
    findings = found(im2im("mode=check", *given, *SMALL))
    assert findings["one step"]["verdict"] == findings["pairs"]["verdict"] == "ok"
    assert findings["patch_size"]["verdict"] == "ok"


def test_data_that_are_no_pairs_are_wrong_for_a_framework_that_learns_from_pairs(im2im, capsys):
    with pytest.raises(SystemExit):
        im2im("mode=check", "framework=fcn", "data.unpaired=true", *SMALL)
    assert "set framework=cyclegan" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("contrasts", "share"), [([0, 0, 0, 0, 1], 0.8), ([0, 0, 0], 1), ([1, 1.2, 0.9], 0), ([0.05, 1, 1.1, 1], 0.25), ([1] * 20 + [50], 0)]
)
def test_a_patch_is_empty_beside_the_best_ones(contrasts, share):
    assert empty_share(contrasts) == pytest.approx(share)


def test_images_of_differing_channels_are_found_and_nothing_is_tried_with_them(folders, im2im, capsys, tmp_path):
    tifffile.imwrite(folders / "source" / "cell_2.tif", np.ones((2, 40, 48), np.uint16), metadata={"axes": "CYX"})
    with pytest.raises(SystemExit):
        im2im(*settings(folders))
    findings = found(newest(tmp_path))
    assert findings["source channels"] == {
        "verdict": "wrong",
        "about": "source channels",
        "seen": "[1, 2]; choose with data.source_channels",
    }
    assert "one step" not in findings
    assert "source channels: [1, 2]" in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "more",
    [["framework=pix2pix", *SMALL_GAN[:1], "framework.discriminator.discriminator.layers=3", "patch_size=[4,4]"], ["in_channels=3"]],
    ids=["patch too small", "channels of the network"],
)
def test_a_step_that_fails_is_a_finding(more, folders, im2im, tmp_path):
    with pytest.raises(SystemExit):
        im2im(*settings(folders, *more))
    finding = found(newest(tmp_path))["one step"]
    assert finding["verdict"] == "wrong"
    assert "\n" not in finding["seen"]


def test_time_points_count_as_images_and_are_read_one_at_a_time(folders, im2im, monkeypatch):
    for path in folders.glob("*/*.tif"):
        movie = np.random.default_rng(0).integers(0, 99, (5, 40, 48), np.uint16)
        tifffile.imwrite(path, movie, metadata={"axes": "TYX"}, imagej=True)
    read, times = Image.read, []

    def count(image, region=None):
        array = read(image, region)
        times.append(len(array))
        return array

    monkeypatch.setattr(Image, "read", count)
    findings = found(im2im(*settings(folders, "data.patches_per_image=2")))
    assert findings["time"]["seen"].endswith(" for 1 epoch of 20 steps")  # 4 movies × 5 frames × 2 patches, 2 in a batch
    assert set(times) == {1}
