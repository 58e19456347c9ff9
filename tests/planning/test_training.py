import copy
import csv
import json

import numpy as np
import pytest
import tifffile
import torch
import yaml
from omegaconf import OmegaConf
from tests_shared import command
from tests_tiny import composed

from im2im.building import build
from im2im.planning.training import _take_over, facts_of, is_planned

SHORT = ["data=folders", "hardware=cpu", "max_epochs=1", "data.index=false", "callbacks.sample_images=null"]
BUILT_IN = ["hardware=cpu", "max_epochs=1", "callbacks.sample_images=null", "data.size=[32,32]", "data.counts={train:2,val:1,test:1}"]
TINY = ["data.steps_per_epoch=2", "network.channels=2", "network.depth=2", "batch_size=2"]


def test_a_training_on_images_of_a_folder_is_planned(folders, im2im, capsys):
    run = im2im(f"data.root={folders}", "plan=auto", *SHORT, *TINY)
    plan, config = yaml.safe_load((run / "plan.yaml").read_text()), OmegaConf.load(run / "config.yaml")
    assert plan["plan"]["patches"]["settings"] == {"patch_size": [32, 48]}  # the largest multiples of 16; batch_size was given
    assert plan["facts"]["smallest"] == [40, 48]
    assert (config.patch_size, config.batch_size, config.network.channels) == ([32, 48], 2, 2)
    assert config.network.residual  # source and target are alike
    assert config.task.criterion._target_ == config.criterion._target_
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("plan: ")]
    assert 4 <= len(told) <= 8
    assert json.loads((run / "metrics.json").read_text())["train"]["epochs"] == 1


def test_of_three_images_a_block_of_each_is_planned_to_be_held_out(tmp_path, im2im):
    for role in ("source", "target"):
        (tmp_path / "images" / role).mkdir(parents=True)
        for name in "abc":
            tifffile.imwrite(tmp_path / "images" / role / f"{name}.tif", np.random.default_rng(ord(name)).random((64, 48), np.float32))
    run = im2im(f"data.root={tmp_path / 'images'}", "plan=auto", *SHORT, *TINY, "patch_size=[16,16]")
    with (run / "splits.csv").open(newline="") as table:
        rows = [(row["split"], row["part"]) for row in csv.DictReader(table)]
    assert rows.count(("test", "")) == 1
    assert rows.count(("train", "Y 0:48")) == rows.count(("val", "Y 48:64")) == 2


def test_a_unet_is_planned_for_the_length_of_objects(tmp_path, im2im):
    image = np.zeros((80, 80), np.uint8)
    image[8:72, 8:72] = 1
    for role in ("source", "target"):
        (tmp_path / "images" / role).mkdir(parents=True)
        for name in "abc":
            tifffile.imwrite(tmp_path / "images" / role / f"{name}.tif", image)
    run = im2im(
        "task=semantic", f"data.root={tmp_path / 'images'}", "plan=auto", *SHORT, "data.steps_per_epoch=1", "batch_size=2", "max_time=null"
    )
    config = OmegaConf.load(run / "config.yaml")
    assert config.network.strides == [2, 2, 2, 2]  # a diagonal of 91 pixels, and patches of 80
    assert config.network.channels[1] == 2 * config.network.channels[0]
    assert "s a step here" in yaml.safe_load((run / "plan.yaml").read_text())["plan"]["network"]["reason"]


def test_an_edited_plan_is_given_again(folders, im2im, tmp_path):
    (tmp_path / "mine.yaml").write_text("plan: {network: {reason: mine, settings: {network.depth: 1, network.channels: 3}}}")
    run = im2im(f"data.root={folders}", "plan=mine.yaml", *SHORT, "data.steps_per_epoch=2", "patch_size=[16,16]")
    config = OmegaConf.load(run / "config.yaml")
    assert (config.network.depth, config.network.channels, config.patch_size) == (1, 3, [16, 16])
    assert yaml.safe_load((run / "plan.yaml").read_text())["plan"]["network"]["reason"] == "mine"


def test_what_the_command_line_says_wins_over_a_given_plan(folders, im2im, tmp_path):
    settings = "{network.upsampling: linear, network.channels: 3, learning_rate: 0.5}"
    (tmp_path / "mine.yaml").write_text(f"plan: {{network: {{reason: mine, settings: {settings}}}}}")
    sizes = [
        "network=unet",
        "network.channels=[2,4]",
        "network.strides=[2]",
        "patch_size=[16,16]",
        "batch_size=2",
        "data.steps_per_epoch=2",
    ]
    config = OmegaConf.load(im2im(f"data.root={folders}", "plan=mine.yaml", "learning_rate=0.001", *SHORT, *sizes) / "config.yaml")
    assert (config.network.channels, config.learning_rate) == ([2, 4], 0.001)  # the unet has no upsampling to set


@pytest.mark.parametrize(("together", "told"), [(False, True), (True, False)])
def test_processes_that_plan_side_by_side_measure_nothing(folders, im2im, monkeypatch, together, told):
    monkeypatch.setattr("im2im.planning.training.started_together", lambda: together)
    given = [one for one in TINY if not one.startswith("network.channels")]
    run = im2im(f"data.root={folders}", "plan=auto", *SHORT, *given, "patch_size=[16,16]")
    plan = yaml.safe_load((run / "plan.yaml").read_text())
    assert ("s a step here" in plan["plan"]["network"]["reason"], "memory" in plan["facts"]) == (told, told)


def test_a_run_goes_on_and_predicts_as_it_was_planned(folders, im2im):
    run = im2im(f"data.root={folders}", "plan=auto", *SHORT, *TINY)
    before = (run / "plan.yaml").read_text()
    im2im(f"run={run}", "mode=train", "max_epochs=2")
    assert OmegaConf.load(run / "config.yaml").patch_size == [32, 48]
    assert (run / "plan.yaml").read_text() == before


def test_an_experiment_is_planned_only_where_that_is_asked_for_and_what_it_says_stays(folders, im2im):
    run = im2im("experiment=labelfree_2d", f"data.root={folders}", "plan=auto", *SHORT, *TINY)
    config = OmegaConf.load(run / "config.yaml")
    assert (run / "plan.yaml").exists()
    assert config.normalization._target_.endswith("Standard")
    assert (config.optimizer.weight_decay, config.patch_size) == (5e-4, [512, 512])


@pytest.mark.parametrize("setting", ["plan=none", "experiment=labelfree_2d"])
def test_nothing_is_planned_without_a_plan(folders, tmp_path, setting):
    run = command(tmp_path, *SHORT, f"data.root={folders}", setting, *TINY, "patch_size=[32,32]", bare=True)
    assert not (run / "plan.yaml").exists()


@pytest.mark.parametrize("images", [SHORT, BUILT_IN])
def test_a_bare_command_is_planned_on_built_in_cells_too(folders, tmp_path, images):
    root = [] if images is BUILT_IN else [f"data.root={folders}"]
    run = command(tmp_path, *images, *root, *TINY, "patch_size=[32,32]", bare=True)
    assert yaml.safe_load((run / "plan.yaml").read_text())["plan"]["network"]["settings"]["network.upsampling"] == "linear"
    assert OmegaConf.load(run / "config.yaml").network.upsampling == "linear"


@pytest.mark.parametrize("channels", [2, 3])
def test_the_width_is_measured_with_the_channels_of_the_images(tmp_path, channels):
    rng = np.random.default_rng(0)
    for role in ("source", "target"):
        (tmp_path / "images" / role).mkdir(parents=True)
    for index in range(6):
        image = rng.integers(0, 1000, (channels, 32, 32)).astype(np.uint16)
        for role in ("source", "target"):
            tifffile.imwrite(tmp_path / "images" / role / f"{index}.tif", image, metadata={"axes": "CYX"})
    given = ["data.steps_per_epoch=1", "network.depth=1", "batch_size=2", "data.axes=CYX"]
    run = command(tmp_path, "task=restoration", f"data.root={tmp_path}/images", *SHORT, *given, bare=True)
    config = OmegaConf.load(run / "config.yaml")
    assert (config.in_channels, config.out_channels, config.network.residual) == (channels, channels, True)
    assert "s a step here" in yaml.safe_load((run / "plan.yaml").read_text())["plan"]["network"]["reason"]


def test_a_saved_configuration_of_a_planned_run_is_trained_again_as_it_is(folders, im2im, tmp_path):
    run = im2im(f"data.root={folders}", "plan=auto", *SHORT, *TINY)
    again = command(tmp_path, "-cp", str(run), "-cn", "config", bare=True)
    first, second = (OmegaConf.load(one / "config.yaml") for one in (run, again))
    assert not (again / "plan.yaml").exists()
    assert (second.patch_size, second.network.upsampling, second.plan) == (first.patch_size, "linear", {})


@pytest.mark.parametrize(("key", "value"), [("mode._target_", "im2im.stages.evaluate.evaluate"), ("run", "outputs/run"), ("plan", {})])
def test_only_new_trainings_are_planned(key, value):
    cfg = copy.deepcopy(composed("data=folders", "data.root=."))
    assert is_planned(cfg, (), {"framework": "fcn"})
    OmegaConf.update(cfg, key, value, merge=False)
    assert not is_planned(cfg, (), {"framework": "fcn"})


def test_a_training_from_other_weights_keeps_their_network_and_plans_all_else(folders, im2im):
    given = [*SHORT, "data.steps_per_epoch=2", "network.depth=2", "batch_size=2"]
    first = im2im(f"data.root={folders}", "plan=auto", *given)
    plan = yaml.safe_load((first / "plan.yaml").read_text())
    plan["plan"]["network"]["settings"]["network.channels"] = 4  # not what this machine would choose
    (first / "plan.yaml").write_text(yaml.safe_dump(plan))
    again = im2im(f"data.root={folders}", "plan=FILE".replace("FILE", str(first / "plan.yaml")), *given)
    config = OmegaConf.load(im2im(f"data.root={folders}", f"init={again}", "plan=auto", *given, "learning_rate=0.01") / "config.yaml")
    assert (config.network.channels, config.network.residual, config.learning_rate) == (4, True, 0.01)
    assert config.patch_size == [32, 48]


def test_a_training_without_a_plan_has_the_network_of_the_weights_that_it_starts_from(folders, im2im):
    tiny = [*SHORT, "plan=none", "data.steps_per_epoch=2", "batch_size=2", "patch_size=[32,32]"]
    first = im2im(f"data.root={folders}", *tiny, "network=fnet", "network.channels=2", "network.depth=2")
    config = OmegaConf.load(im2im(f"data.root={folders}", *tiny, f"init={first}") / "config.yaml")
    assert (config.network._target_, config.network.channels, config.network.depth) == ("im2im.networks.fnet.FNet", 2, 2)


@pytest.mark.parametrize(("plan", "hidden"), [("none", None), ("auto", None), ("none", "${oc.select:nothing,{_target_:os.mkdir}}")])
def test_the_network_of_foreign_weights_is_built_only_where_they_are_trusted(folders, im2im, tmp_path, capsys, plan, hidden):
    tiny = [*SHORT, "data.steps_per_epoch=2", "network=fnet", "network.channels=2", "network.depth=2", "batch_size=2"]
    first = im2im(f"data.root={folders}", "plan=none", *tiny)
    path = first / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    config = OmegaConf.create(content["im2im"]["config"])
    config.network = (
        {"_target_": "os.mkdir", "path": str(tmp_path / "harm")} if hidden is None else {**config.network, "norm_layer": hidden}
    )
    (tmp_path / "foreign").mkdir()
    torch.save({**content, "im2im": {**content["im2im"], "config": OmegaConf.to_yaml(config)}}, tmp_path / "foreign" / "last.ckpt")
    with pytest.raises(SystemExit):
        im2im(f"data.root={folders}", f"plan={plan}", *SHORT, "data.steps_per_epoch=2", f"init={tmp_path}/foreign/last.ckpt")
    assert "which is not allowed; set trust=true" in capsys.readouterr().err
    assert not (tmp_path / "harm").exists()


def test_the_foreign_network_of_trusted_weights_is_taken_over(monkeypatch):
    content = {"network": {"_target_": "somebody.elses.Network"}, "framework": {}}
    monkeypatch.setattr("im2im.planning.training.find", lambda path, key: path)
    monkeypatch.setattr("im2im.planning.training.read", lambda path: {"im2im": {"config": content}})
    cfg = composed("task=semantic", "init=somewhere", "trust=true")
    _take_over(cfg, ())
    assert cfg.network == content["network"]


def test_the_network_of_other_weights_has_the_channels_of_these_images(monkeypatch):
    saved = composed("task=semantic", "network.channels=[4,8]", "network.strides=[2]", "in_channels=1", "out_channels=2")
    content = {"network": OmegaConf.to_container(saved.network, resolve=True), "framework": {}}
    monkeypatch.setattr("im2im.planning.training.find", lambda path, key: path)
    monkeypatch.setattr("im2im.planning.training.read", lambda path: {"im2im": {"config": content}})
    cfg = composed("task=semantic", "init=somewhere")
    _take_over(cfg, ())
    cfg.in_channels, cfg.out_channels = 3, 5  # from the data, which are looked at later
    assert (cfg.network.channels, cfg.network.in_channels, cfg.network.out_channels) == ([4, 8], 3, 5)


def test_a_key_that_only_the_network_of_the_task_has_keeps_that_network(tmp_path, im2im):
    labels = np.zeros((32, 32), np.uint16)
    labels[4:12, 4:12], labels[18:28, 18:28] = 1, 2
    for role in ("source", "target"):
        (tmp_path / "images" / role).mkdir(parents=True)
        for name in "abc":
            tifffile.imwrite(tmp_path / "images" / role / f"{name}.tif", labels)
    given = ["network.dropout=0.1", "network.channels=4", "patch_size=[32,32]", "batch_size=2", "data.steps_per_epoch=1"]
    run = im2im("task=instance", f"data.root={tmp_path / 'images'}", "plan=auto", *SHORT, *given)
    assert OmegaConf.load(run / "config.yaml").network.dropout == 0.1


def test_a_check_tells_the_plan_of_a_training(folders, im2im, capsys):
    im2im("mode=check", f"data.root={folders}", "plan=auto", *SHORT, *TINY)
    assert "plan: patches: patch_size=[32,48]" in capsys.readouterr().err


def test_the_network_of_other_weights_is_kept_where_a_plan_is_given_that_has_another(folders, im2im, tmp_path):
    tiny = [*SHORT, "data.steps_per_epoch=2", "batch_size=2", "patch_size=[32,32]"]
    first = im2im(f"data.root={folders}", "plan=none", *tiny, "network=fnet", "network.channels=2", "network.depth=2")
    settings = "{network: fnet, network.channels: 3, learning_rate: 0.5}"
    (tmp_path / "mine.yaml").write_text(f"plan: {{network: {{reason: mine, settings: {settings}}}}}")
    again = im2im(f"data.root={folders}", "plan=mine.yaml", *tiny, f"init={first}")
    config, plan = OmegaConf.load(again / "config.yaml"), yaml.safe_load((again / "plan.yaml").read_text())
    assert (config.network.channels, config.learning_rate) == (2, 0.5)
    assert plan["plan"]["network"]["settings"] == {"learning_rate": 0.5}


def test_a_setting_that_the_network_of_other_weights_does_not_have_is_refused(folders, im2im, capsys):
    tiny = [*SHORT, "plan=none", "data.steps_per_epoch=2", "batch_size=2", "patch_size=[32,32]"]
    first = im2im(f"data.root={folders}", *tiny, "network=fnet", "network.channels=2", "network.depth=2")
    with pytest.raises(SystemExit):
        im2im(f"data.root={folders}", *tiny, f"init={first}", "+network.strides=[2]")
    assert "is configured without strides; leave out network.strides" in capsys.readouterr().err


def test_the_epochs_of_the_data_end_a_training_and_what_is_told_of_it(folders, im2im):
    short = [one for one in SHORT if not one.startswith("max_epochs")]
    run = im2im(f"data.root={folders}", "plan=auto", *short, *TINY, "data.max_epochs=1", "max_time=null")
    plan = yaml.safe_load((run / "plan.yaml").read_text())
    assert plan["plan"]["length"]["reason"] == "2 steps, in epochs of 2 steps"
    assert json.loads((run / "metrics.json").read_text())["train"]["epochs"] == 1


@pytest.mark.parametrize(("accelerator", "memory"), [("cpu", 4.0), ("gpu", 2.0), ("auto", 2.0)])
def test_the_memory_is_that_of_the_device_that_trains(folders, monkeypatch, accelerator, memory):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("im2im.planning.fingerprint.free_memory", {"cpu": 4e9, "cuda": 2e9}.get)
    cfg = composed("data=folders", f"data.root={folders}", "data.index=false")
    cfg.hardware.accelerator = accelerator
    assert facts_of(cfg, build(cfg.data.module), build(cfg.task))["memory"] == memory


def test_nothing_is_chosen_for_the_network_of_weights_that_were_not_planned(folders, im2im):
    given = [*SHORT, "data.steps_per_epoch=2", "network.channels=2", "network.depth=2", "batch_size=2", "patch_size=[32,32]"]
    first = im2im(f"data.root={folders}", "plan=none", *given)
    config = OmegaConf.load(im2im(f"data.root={folders}", f"init={first}", "plan=auto", *given) / "config.yaml")
    assert (config.network.upsampling, config.network.residual) == ("transposed", False)
    assert config.scheduler.warm_up == pytest.approx(0.05)
