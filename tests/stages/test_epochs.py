import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from pytorch_lightning.callbacks import Timer
from tests_shared import SMALL, newest

from im2im.frameworks.fcn import FCN
from im2im.stages.epochs import Epoch, epoch_of, inspect_steps


def trainer(limit=1.0, max_epochs=3, world_size=1, max_time=None):
    callbacks = [] if max_time is None else [Timer(max_time)]
    return SimpleNamespace(limit_train_batches=limit, max_epochs=max_epochs, world_size=world_size, callbacks=callbacks)


def data(batch_size, drop_last=False, steps_per_epoch=None):
    sampling = SimpleNamespace(batch_size=batch_size, patches_per_image=4, steps_per_epoch=steps_per_epoch)
    return SimpleNamespace(sampling=sampling, drop_last=drop_last)


def framework(accumulate=1):
    return SimpleNamespace(optimization=SimpleNamespace(accumulate=accumulate))


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
    findings = inspect_steps(trainer(max_epochs=max_epochs), framework(accumulate), data(4), 9)
    assert [one.seen.partition(" in all")[0] for one in findings] == ([told] if told else [])
    assert all("raise max_epochs=3 or data.patches_per_image=4" in one.seen for one in findings)


def test_where_an_epoch_has_a_number_of_steps_that_one_is_named():
    (finding,) = inspect_steps(trainer(max_epochs=2), framework(), data(4, steps_per_epoch=3), 12)
    assert finding.seen.endswith("raise max_epochs=2 or data.steps_per_epoch=3")


@pytest.mark.parametrize(
    ("max_epochs", "seconds", "accumulate", "told"),
    [
        (-1, 0.25, 1, "max_time leaves time for about 24 steps:"),
        (-1, 0.25, 4, "max_time leaves time for about 6 steps:"),
        (-1, 6.0, 1, "max_time leaves time for about 1 step:"),
        (-1, 0.05, 1, ""),
        (-1, None, 1, ""),
        (40, 0.25, 1, "max_time leaves time for about 24 steps:"),
        (3, 0.25, 1, "9 steps in all"),
    ],
)
def test_few_steps_that_max_time_leaves_are_told_once_a_batch_is_measured(max_epochs, seconds, accumulate, told):
    short = trainer(max_epochs=max_epochs, max_time="00:00:00:06")
    findings = [one.seen for one in inspect_steps(short, framework(accumulate), data(4), 9, seconds)]
    assert [one[: len(told)] for one in findings] == ([told] if told else [])
    assert not told.startswith("max_time") or findings[0].endswith("raise max_time=00:00:00:06")


def test_the_check_says_how_many_steps_fit_into_the_time(im2im):
    settings = [setting for setting in SMALL if not setting.startswith("max_epochs")]
    findings = json.loads((im2im("mode=check", *settings, "max_time=00:00:00:01") / "check.json").read_text())
    assert re.search(
        r"for each epoch of 1 step; max_time leaves time for about [\d,]+ steps?$",
        next(o["seen"] for o in findings if o["about"] == "time"),
    )


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
    assert next(one for one in findings if one["about"] == "time")["seen"].endswith(" for 1 epoch of 1 step")
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
