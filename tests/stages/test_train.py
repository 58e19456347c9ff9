import json
import re
import shutil

import pandas as pd
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from tests_shared import SMALL, SMALL_3D, SMALL_GAN, SMALL_JUDGES, command

from im2im.frameworks.base import Framework
from im2im.frameworks.embedseg import EmbedSeg


def weights(run, which="last") -> dict:
    return torch.load(run / "checkpoints" / f"{which}.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize("run", ["trained", "trained_3d"])
def test_a_run_folder_holds_everything(run, request):
    folder = request.getfixturevalue(run)
    for name in (
        "config.yaml",
        "metrics.json",
        "metrics.csv",
        "splits.csv",
        "report.html",
        "im2im.log",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    ):
        assert (folder / name).stat().st_size > 0, name
    assert len(list((folder / "samples").glob("test_*.png"))) == 3
    assert len(list((folder / "samples").glob("epoch_*.png"))) == 1
    metrics = json.loads((folder / "metrics.json").read_text())["test"]
    assert list(metrics) == ["pearson", "ssim", "psnr", "nrmse", "ri_ssim", "ri_psnr", "ri_nrmse"]
    assert all(set(value) == {"mean", "std", "n"} and value["n"] == 2 for value in metrics.values())
    rows = pd.read_csv(folder / "metrics.csv")
    assert list(rows.columns) == ["stage", "image", *metrics]
    assert rows.pearson.mean() == pytest.approx(metrics["pearson"]["mean"])
    assert pd.read_csv(folder / "splits.csv")["split"].value_counts().to_dict() == {"train": 2, "test": 2, "val": 1}


def test_nothing_half_written_is_left_behind(trained):
    hidden = [path for path in trained.rglob("*") if path.name.startswith(".") and path.name != ".hydra"]
    assert not hidden
    assert not list(trained.rglob("*.tmp"))


def test_the_saved_configuration_is_resolved_and_complete(trained):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["in_channels"] == config["out_channels"] == 1
    assert config["framework"]["network"]["channels"] == 2
    assert config["output_dir"] == "${hydra:runtime.output_dir}"
    assert str(trained) not in (trained / "config.yaml").read_text()
    rest = (trained / "config.yaml").read_text().replace("${hydra:runtime.output_dir}", "").replace("${output_dir}", "")
    assert "${" not in rest


def test_the_saved_configuration_runs_again_with_the_same_result(trained, tmp_path):
    again = command(tmp_path, "-cp", str(trained), "-cn", "config")
    assert all(torch.equal(a, b) for a, b in zip(weights(trained).values(), weights(again).values(), strict=True))


def small(framework: str) -> list[str]:
    """Settings of the framework at its smallest; its task is instance segmentation where it knows no other."""
    if framework == "embedseg":
        return ["task=instance", "network.channels=4", *(setting for setting in SMALL if not setting.startswith("network."))]
    judges = SMALL_GAN if framework.startswith("pix2pix") else SMALL_JUDGES if framework == "cyclegan" else []
    return [f"framework={framework}", *SMALL, *judges]


def test_the_last_epoch_is_kept_where_an_earlier_one_is_the_best(im2im):
    run = im2im(*SMALL, "max_epochs=3", "callbacks.checkpoint.monitor=epoch")
    kept = {name: torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["epoch"] for name in ("best", "last")}
    assert kept == {"best": 0, "last": 2}


@pytest.mark.parametrize("framework", ["fcn", "pix2pix", "cyclegan", "embedseg"])
def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(framework, im2im):
    settings = [
        *small(framework),
        "callbacks=[default,ema]",
        "scheduler=exponential",
    ]
    whole = im2im(*settings, "max_epochs=3")
    half = im2im(*settings, "max_epochs=1")
    assert not all(torch.equal(a, b) for a, b in zip(weights(whole).values(), weights(half).values(), strict=True))
    torch.rand(7)  # whatever happened in between
    resumed = im2im(f"run={half}", "mode=train", "max_epochs=3")
    assert resumed == half
    expected, found = weights(whole), weights(resumed)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
    states = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (whole, resumed)]
    for one, other in zip(states[0]["optimizer_states"], states[1]["optimizer_states"], strict=True):
        assert all(torch.equal(one["state"][0][key], other["state"][0][key]) for key in ("exp_avg", "exp_avg_sq"))
    assert states[0]["epoch"] == states[1]["epoch"] == 2


def test_a_resumed_training_keeps_the_curves_of_the_first_part(im2im):
    run = im2im(*SMALL)
    im2im(f"run={run}", "mode=train", "max_epochs=2")
    epochs = pd.concat(pd.read_csv(path) for path in run.glob("logs/*/metrics.csv"))["epoch"].dropna()
    assert set(epochs) == {0, 1}


def test_pix2pix_starts_from_a_trained_fcn(trained, im2im, caplog):
    run = im2im("framework=pix2pix", f"init={trained}", "learning_rate=0", *SMALL, *SMALL_GAN)
    start, end = weights(trained, "best"), weights(run)
    trainable = [name for name in start if "running" not in name and "batches" not in name]
    assert trainable
    assert all(torch.equal(start[name], end[name]) for name in trainable)
    assert "network: all" in (run / "im2im.log").read_text()
    assert "discriminator starts fresh" in (run / "im2im.log").read_text()


def test_embedseg_starts_from_a_trained_one_without_shifting_it_again(im2im):
    first = im2im(*small("embedseg"))
    again = im2im(*small("embedseg"), f"init={first}", "learning_rate=0")
    start, end = weights(first, "best"), weights(again)
    trainable = [name for name in start if "running" not in name and "batches" not in name]
    assert trainable
    assert all(torch.equal(start[name], end[name]) for name in trainable)


def test_embedseg_goes_on_with_the_scale_that_it_was_trained_with(im2im, capsys):
    scale = ["framework.start_sigma=0.4", "framework.criterion.extent=128"]
    first = im2im(*small("embedseg"), *scale, "network=fnet")
    for other, told in (
        ("framework.start_sigma=1.0", "framework.start_sigma=0.4, got 1.0; set framework.start_sigma=0.4"),
        ("framework.criterion.extent=64", "framework.criterion.extent=128, got 64; set framework.criterion.extent=128"),
    ):
        with pytest.raises(SystemExit):
            im2im(*small("embedseg"), "network=fnet", f"init={first}", other)
        assert told in capsys.readouterr().err
    again = OmegaConf.load(im2im(*small("embedseg"), "network=fnet", f"init={first}") / "config.yaml")
    assert (again.framework.start_sigma, again.framework.criterion.extent) == (0.4, 128)


def test_a_batch_norm_of_one_pixel_is_told_with_the_keys(im2im, capsys):
    few = [setting for setting in SMALL if not setting.startswith(("patch_size", "batch_size"))]
    with pytest.raises(SystemExit):
        im2im(*few, "patch_size=[4,4]", "batch_size=1")
    assert "got a batch of (1, 1, 4, 4); raise batch_size or patch_size" in capsys.readouterr().err


def test_starting_from_a_network_of_another_width_is_refused(trained, im2im, capsys):
    with pytest.raises(SystemExit):
        im2im(f"init={trained}", *SMALL, "network.channels=3")
    assert "does not fit the network" in capsys.readouterr().err


@pytest.mark.parametrize(
    "settings", [["hardware.precision=bf16-mixed"], ["framework.optimization.gradient_clip=1", "framework.optimization.accumulate=2"]]
)
@pytest.mark.parametrize("framework", ["fcn", "pix2pix", "pix2pixhd", "cyclegan", "embedseg"])
def test_every_framework_trains_with_every_aid(framework, settings, im2im):
    run = im2im(*small(framework), *settings, "callbacks=[default,ema]", "data.size=[96,96]", "patch_size=[64,64]")
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert metrics["ap_50" if framework == "embedseg" else "pearson"]["n"] == 2


def test_early_stopping_ends_a_training_that_no_longer_improves(im2im):
    run = im2im(
        "framework=pix2pix",
        *SMALL,
        *SMALL_GAN,
        "learning_rate=0",
        "max_epochs=20",
        "callbacks.early_stopping.patience=1",
        "+callbacks.early_stopping.min_delta=1e6",
    )
    assert json.loads((run / "metrics.json").read_text())["train"]["epochs"] < 6


@pytest.mark.parametrize("network", ["unet", "attention_unet"])
@pytest.mark.parametrize("settings", [SMALL, SMALL_3D], ids=["2D", "3D"])
def test_networks_of_monai_train(network, settings, im2im):
    small = [setting for setting in settings if not setting.startswith("network")]
    run = im2im(f"network={network}", "network.channels=[4,8,16]", "network.strides=[2,2]", *small)
    assert (run / "report.html").exists()


def test_a_class_given_by_name_trains(im2im):
    small = [setting for setting in SMALL if not setting.startswith("network")]
    settings = "{_target_: torch.nn.Conv2d, in_channels: 1, out_channels: 1, kernel_size: 3, padding: 1}"
    run = im2im("~network", f"+network={settings}", *small)
    assert (run / "report.html").exists()


def test_tensorboard_and_wandb_get_figures_and_pictures_without_an_account(im2im):
    pytest.importorskip("tensorboard")
    run = im2im(*SMALL, "logger=[csv,tensorboard,wandb]")
    events = b"".join(path.read_bytes() for path in run.glob("tensorboard/*/events*"))
    assert b"val/loss" in events
    assert b"samples" in events
    assert list(run.glob("wandb/offline*/*.wandb"))
    assert list(run.glob("wandb/offline*/files/media/images/*.png"))


def test_a_run_never_lands_on_another(trained, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "copy")
    with pytest.raises(SystemExit):
        command(tmp_path, *SMALL, f"hydra.run.dir={tmp_path / 'copy'}")
    assert "already holds a run" in capsys.readouterr().err
    assert torch.equal(next(iter(weights(trained).values())), next(iter(weights(tmp_path / "copy").values())))


def test_a_folder_that_holds_a_run_is_refused_before_a_plan_is_made(tmp_path, capsys, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").touch()
    monkeypatch.setattr("im2im.planning.training.planned", lambda *_: pytest.fail("was planned"))
    with pytest.raises(SystemExit):
        command(tmp_path, *SMALL, f"hydra.run.dir={tmp_path / 'run'}")
    assert "already holds a run" in capsys.readouterr().err


def test_a_moved_run_still_knows_its_best_score(im2im, tmp_path):
    moved = tmp_path / "outputs" / "another" / "place"
    moved.parent.mkdir(parents=True)
    shutil.move(im2im(*SMALL), moved)
    assert im2im(f"run={moved}", "mode=train", "max_epochs=2") == moved
    callbacks = torch.load(moved / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    best = next(state for name, state in callbacks.items() if "Checkpoint" in name)
    assert best["dirpath"] == str(moved / "checkpoints")
    assert best["best_model_path"] == str(moved / "checkpoints" / "best.ckpt")


def test_a_training_resumed_twice_goes_on_each_time(im2im):
    run = im2im(*SMALL)
    for epochs in (2, 3):
        im2im(f"run={run}", "mode=train", f"max_epochs={epochs}")
        assert json.loads((run / "metrics.json").read_text())["train"]["epochs"] == epochs
    assert yaml.safe_load((run / "config.yaml").read_text())["run"] is None


def test_schedule_and_rate_of_a_resumed_training_follow_the_command_line(im2im):
    run = im2im(*SMALL)
    im2im(f"run={run}", "mode=train", "max_epochs=3", "learning_rate=0.01")
    config = yaml.safe_load((run / "config.yaml").read_text())
    optimization = config["framework"]["optimization"]
    assert optimization["scheduler"]["max_epochs"] == 3
    assert optimization["optimizer"]["lr"] == 0.01


def test_dropout_goes_on_with_its_random_numbers(im2im):
    small = [setting for setting in SMALL if not setting.startswith("network")]
    settings = ["network=unet", "network.channels=[4,8]", "network.strides=[2]", "+network.dropout=0.3", *small]
    whole, half = im2im(*settings, "max_epochs=2", "scheduler=constant"), im2im(*settings, "scheduler=constant")
    im2im(f"run={half}", "mode=train", "max_epochs=2")
    expected, found = weights(whole), weights(half)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_averaged_weights_are_what_is_kept(im2im):
    plain = weights(im2im(*SMALL, "max_epochs=3"))
    averaged = weights(im2im(*SMALL, "max_epochs=3", "callbacks=[default,ema]", "callbacks.ema.decay=0.5"))
    assert any(not torch.equal(value, averaged[name]) for name, value in plain.items())


def test_a_run_without_any_logger_ends_well(im2im):
    run = im2im(*SMALL, "logger=none")
    assert (run / "report.html").exists()
    assert not (run / "logs").exists()


def test_a_training_that_would_keep_nothing_is_refused_at_its_start(im2im, capsys):
    with pytest.raises(SystemExit):
        im2im(*SMALL, "callbacks=ema")
    assert "choose callbacks=[default,ema]" in capsys.readouterr().err


def test_what_the_command_line_says_of_epochs_wins_over_the_trainer(im2im):
    run = im2im(*SMALL, "trainer=quick", "max_epochs=2")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == config["scheduler"]["max_epochs"] == 2
    assert json.loads((run / "metrics.json").read_text())["train"]["epochs"] == 2


def test_a_class_named_on_the_command_line_needs_no_settings_of_the_default_network(im2im):
    small = [setting for setting in SMALL if not setting.startswith("network")]
    target = "network._target_=monai.networks.nets.BasicUNet"
    run = im2im(target, "+network.features=[4,4,4,4,4,4]", *small)
    assert yaml.safe_load((run / "config.yaml").read_text())["network"]["in_channels"] == 1


@pytest.mark.parametrize("setting", ["batch_size=abc", "learning_rate=fast", "seed=-1", "max_time=10", "spatial_dims=4", "max_epochs=0"])
def test_a_short_key_of_the_wrong_kind_is_named(setting, im2im, capsys):
    with pytest.raises(SystemExit):
        im2im(setting)
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0
    assert setting.split("=")[0] in error
    assert "HYDRA_FULL_ERROR" not in error


def test_training_goes_on_in_a_new_folder_from_a_checkpoint_alone(im2im, tmp_path, capsys):
    first = im2im(*SMALL)
    shutil.copy(first / "checkpoints" / "last.ckpt", tmp_path / "moved.ckpt")
    second = im2im(f"run={tmp_path}/moved.ckpt", "mode=train", "max_epochs=2")
    assert second != first
    assert f"run={second.relative_to(tmp_path)}" in (second / "im2im.log").read_text()
    with pytest.raises(SystemExit):
        im2im(f"run={tmp_path}/moved.ckpt", "mode=train")
    assert "is complete; raise max_epochs" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["training_step", "validation_step"])
@pytest.mark.parametrize("framework", ["fcn", "pix2pix", "cyclegan", "embedseg"])
def test_a_training_that_runs_out_of_memory_names_sizes_and_keys(framework, step, im2im, capsys, monkeypatch):
    monkeypatch.setattr(EmbedSeg if framework == "embedseg" else Framework, "forward", greedy(step))
    with pytest.raises(SystemExit) as ended:
        im2im(*small(framework))
    assert ended.value.code == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "out of memory with batches of (2, 1, 32, 32) (batch_size=2, patch_size=[32, 32]): 1.05e+06 GB more were asked for, " in told
    assert told.endswith("lower batch_size or patch_size")


def greedy(step: str):
    """Give a forward that asks for a petabyte in training, or in validation."""
    forward = Framework.forward

    def wanting(self, source):
        if self.training == (step == "training_step") and self.trainer.state.fn == "fit":
            torch.empty(2**50, dtype=torch.uint8)
        return forward(self, source)

    return wanting


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            ["hardware=auto"],
            r"training on cpu in [\w-]+: no GPU; this CPU (multiplies|does not multiply) bfloat16; \d workers?: images are in memory",
        ),
        (["hardware=auto", "data.memory=0"], r"workers?: patches are read from disk"),
        (["hardware=auto", "hardware.workers=0", "hardware.precision=32-true"], r"training on cpu in 32-true: no GPU$"),
        (["hardware=cpu"], r"training on cpu in 32-true$"),
        (["hardware=cpu", "hardware.workers=auto"], r"training on cpu in 32-true: \d workers?: images are in memory"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="another device is chosen")
def test_what_was_chosen_is_told_with_the_reason(settings, told, im2im):
    run = im2im(*SMALL, *settings)
    assert re.search(told, (run / "im2im.log").read_text(), re.MULTILINE)


def test_workers_that_are_no_number_are_refused(im2im, capsys):
    with pytest.raises(SystemExit):
        im2im(*SMALL, "hardware.workers=-1")
    assert "hardware.workers is a number of processes or auto, got -1; set hardware.workers=auto" in capsys.readouterr().err
