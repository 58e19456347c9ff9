import json
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from tests_shared import SMALL, newest

from im2im.frameworks.fcn import FCN
from im2im.stages.epochs import Epoch, epoch_of, inspect_steps


def trainer(limit=1.0, max_epochs=3, world_size=1):
    return SimpleNamespace(limit_train_batches=limit, max_epochs=max_epochs, world_size=world_size)


def data(batch_size, drop_last=False):
    return SimpleNamespace(sampling=SimpleNamespace(batch_size=batch_size, patches_per_image=4), drop_last=drop_last)


@pytest.mark.parametrize(
    ("patches", "size", "settings", "drop_last", "epoch"),
    [
        (8, 4, {}, False, Epoch(2, 4)),
        (9, 4, {}, False, Epoch(3, 1)),
        (9, 4, {}, True, Epoch(2, 4)),
        (3, 4, {}, False, Epoch(1, 3)),
        (9, 4, {"limit": 2}, False, Epoch(2, 4)),
        (9, 4, {"limit": 0.5}, False, Epoch(1, 4)),
        (9, 4, {"world_size": 2}, False, Epoch(2, 1)),
    ],
)
def test_an_epoch_is_shared_out_to_batches(patches, size, settings, drop_last, epoch):
    assert epoch_of(trainer(**settings), data(size, drop_last), patches) == epoch


@pytest.mark.parametrize(
    ("max_epochs", "accumulate", "told"), [(3, 1, "9 steps"), (3, 2, "6 steps"), (34, 1, ""), (None, 1, ""), (-1, 1, "")]
)
def test_few_steps_in_all_are_told(max_epochs, accumulate, told):
    framework = SimpleNamespace(optimization=SimpleNamespace(accumulate=accumulate))
    findings = inspect_steps(trainer(max_epochs=max_epochs), framework, data(4), 9)
    assert [one.seen.partition(" in all")[0] for one in findings] == ([told] if told else [])
    assert all("raise max_epochs=3 or data.patches_per_image=4" in one.seen for one in findings)


def images(root, count) -> list[str]:
    """Settings under which a norm sees one pixel of one patch."""
    rng = np.random.default_rng(0)
    for role in ("source", "target"):
        (root / role).mkdir(parents=True)
        for index in range(count):
            tifffile.imwrite(root / role / f"{index}.tif", rng.integers(0, 99, (16, 16)).astype(np.uint16))
    few = [setting for setting in SMALL if not setting.startswith(("data.size", "data.counts", "patch_size"))]
    return [*few, "patch_size=[4,4]", "data=folders", f"data.root={root}"]


def test_a_last_batch_that_a_norm_refuses_is_told_and_left_out(im2im, tmp_path):
    settings = images(tmp_path / "images", 5)  # 3 for training: batches of 2 and 1
    findings = json.loads((im2im("mode=check", *settings) / "check.json").read_text())
    (finding,) = [one for one in findings if one["about"] == "last batch"]
    assert finding["verdict"] == "look"
    assert "change batch_size=2 or raise patch_size" in finding["seen"]
    assert next(one for one in findings if one["about"] == "time")["seen"].endswith("1 epochs of 1 steps")
    run = im2im(*settings)
    assert (run / "checkpoints" / "last.ckpt").exists()
    assert "it is left out of every epoch" in (run / "im2im.log").read_text()


def test_an_only_batch_that_a_norm_refuses_is_wrong(im2im, tmp_path, capsys):
    settings = images(tmp_path / "images", 3)  # 1 for training
    for mode in ("check", "train"):
        with pytest.raises(SystemExit):
            im2im(f"mode={mode}", *settings, "data.fractions={val:0.34,test:0.34}")
        assert "raise data.patches_per_image" in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_last_batch_that_can_be_trained_with_is_kept(im2im, tmp_path):
    settings = images(tmp_path / "images", 5)
    run = im2im(*settings, "patch_size=[16,16]")
    assert "left out" not in (run / "im2im.log").read_text()
    assert newest(tmp_path) == run


def test_the_check_trains_the_smallest_batch_of_an_epoch(im2im, tmp_path, monkeypatch):
    sizes = []
    step = FCN.training_step
    monkeypatch.setattr(FCN, "training_step", lambda self, batch, index: (sizes.append(len(batch["source"])), step(self, batch, index))[1])
    im2im("mode=check", *images(tmp_path / "images", 7), "batch_size=3", "patch_size=[16,16]")  # 5 for training
    assert sizes == [3, 2]
