import json

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from tests_shared import SMALL, SMALL_GAN


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
    run = im2im(*settings(folders))
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
