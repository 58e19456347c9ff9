import json
import logging
import shutil
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from tests_shared import SMALL, command
from torch import nn

import im2im
from im2im.checkpoint import find, read
from im2im.clustering import Clustering
from im2im.frameworks.fcn import FCN
from im2im.frameworks.optimization import Optimization
from im2im.inference.tiling import TiledInference
from im2im.losses.segmentation import Dice
from im2im.report.record import read_record
from im2im.report.selection import selection as report_of
from im2im.settings import given_keys
from im2im.stages.candidates import decoding_settings, view_settings
from im2im.stages.choosing import Choice, Trial
from im2im.stages.quality import deciding_metric
from im2im.stages.selection import Selection, forget
from im2im.tasks.semantic import Semantic

QUALITY = {"monitor": "val/dice", "mode": "max"}
FOREVER = 1e9  # seconds that the training took, or shares of its time: no result depends on how fast this is


class Shifted(nn.Module):
    """Gives back the logits of an image of probabilities, all of them wrong by a bias."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.logit(image.clamp(0.001, 0.999)) + self.bias


def logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


class Images:
    """Validation images of probabilities, whose targets are where these exceed one half."""

    def __init__(self, count: int, cost_map: np.ndarray | None = None) -> None:
        rng = np.random.default_rng(0)
        self.sources = rng.uniform(0.0, 1.0, (count, 1, 32, 32)).astype(np.float32)
        self.cutter = SimpleNamespace(normalized=self.normalized, given_cost_map=lambda entry: cost_map)

    def normalized(self, entry):
        return self.sources[entry.index], (self.sources[entry.index] > 0.5).astype("u1")

    def entries(self, split: str) -> list[SimpleNamespace]:
        assert split == "val"
        image = SimpleNamespace(shape=(1, 1, 1, 32, 32))
        return [SimpleNamespace(index=index, matched=True, cost_map=None, source=image) for index in range(len(self.sources))]


def segmentation(bias: float = 0.0, threshold: float = 0.5, views: list = []) -> FCN:  # noqa: B006
    optimization = Optimization(torch.optim.SGD)
    framework = FCN(Shifted(bias), Semantic(Dice(), single=True, threshold=threshold), TiledInference(views=views), optimization)
    framework.record.update(config="before", patch_size=[32, 32])
    framework._earlier_seconds = FOREVER
    return framework


def keep(path, bias: float) -> None:
    record = {"config": "before", "target_scale": {}, "random": []}
    path.parent.mkdir(exist_ok=True)
    torch.save({"state_dict": segmentation(bias).state_dict(), "im2im": record, "epoch": int(path.stem == "last")}, path)


def select(framework, folder, count=2, fixed=(), last: float | None = None, cost_map=None):
    """Choose with checkpoints of the framework's bias and another one; gives the choices by key, and what was written."""
    keep(folder / "checkpoints" / "best.ckpt", framework.network.bias.item())
    if last is not None:
        keep(folder / "checkpoints" / "last.ckpt", last)
    written: dict = {}
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device="cpu"), checkpoint_callbacks=[])
    choices = Selection(QUALITY, lambda values: written.update(values) or "after", fixed)(
        trainer, framework, Images(count, cost_map), folder
    )
    return {one.key: one for one in choices}, written


def test_the_threshold_that_undoes_a_bias_is_found(tmp_path):
    framework = segmentation(bias=logit(0.8))  # one half becomes 0.8
    choices, written = select(framework, tmp_path)
    choice = choices["task.threshold"]
    assert (choice.before, choice.chosen, framework.task.threshold) == (0.5, 0.8, 0.8)
    scores = dict(choice.tried)
    assert scores[0.8] == pytest.approx(1.0, abs=1e-3)
    assert choice.gain == pytest.approx(scores[0.8] - scores[0.5])
    assert written == {"task.threshold": 0.8}
    assert framework.record["config"] == read(tmp_path / "checkpoints" / "chosen.ckpt")["im2im"]["config"] == "after"
    assert read(tmp_path / "checkpoints" / "best.ckpt")["im2im"]["config"] == "before"


@pytest.mark.parametrize("fixed", ["task.threshold", "task"])
def test_a_key_that_was_given_is_left_alone(fixed, tmp_path):
    framework = segmentation(bias=logit(0.8))
    choices, written = select(framework, tmp_path, fixed=[fixed])
    assert "task.threshold" not in choices
    assert framework.task.threshold == 0.5
    assert not written


def test_excluded_pixels_take_no_part(tmp_path, monkeypatch):
    seen, score = [], Semantic.score
    monkeypatch.setattr(Semantic, "score", lambda task, *images: seen.append(images[2]) or score(task, *images))
    cost_map = np.ones((1, 32, 32), np.float32)
    cost_map[:, 16:] = 0
    choices, _ = select(segmentation(bias=logit(0.8)), tmp_path, cost_map=cost_map)
    assert choices["task.threshold"].chosen == 0.8
    assert len(seen) > 9
    assert all(one is cost_map for one in seen)


def test_a_gain_below_the_margin_changes_nothing(tmp_path, monkeypatch):
    framework = segmentation(bias=logit(0.8))
    before = select(framework, tmp_path)[0]["task.threshold"]
    monkeypatch.setattr("im2im.stages.choosing.MARGIN", 1.01 * before.gain / (1 - before.tried[0][1]))
    framework = segmentation(bias=logit(0.8))
    choices, written = select(framework, tmp_path)
    assert framework.task.threshold == choices["task.threshold"].chosen == 0.5
    assert choices["task.threshold"].gain == 0
    assert len(choices["task.threshold"].tried) == 9
    assert not written


def test_mirrored_views_that_help_nothing_are_not_taken(tmp_path):
    framework = segmentation()
    choices, written = select(framework, tmp_path)
    assert [value for value, _ in choices["inference.views"].tried] == [[], [[-1], [-2], [-2, -1]]]
    assert framework.inference.views == []
    assert not written


class Lopsided(Shifted):
    """Knows only the left half of an image; where it knows nothing it says slightly less than one half."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        known = super().forward(image)
        known[..., known.shape[-1] // 2 :] = -0.1
        return known


def test_mirrored_views_that_help_are_taken(tmp_path):
    framework = segmentation()
    framework.network = Lopsided(0.0)
    images = Images(1)
    images.sources[..., 16:] = images.sources[..., 15::-1]  # symmetric: the mirrored view sees what is missing
    written: dict = {}
    keep(tmp_path / "checkpoints" / "best.ckpt", 0.0)
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device="cpu"), checkpoint_callbacks=[])
    Selection(QUALITY, lambda values: written.update(values) or "after", ["task"])(trainer, framework, images, tmp_path)
    assert written == {"inference.views": [[-1], [-2], [-2, -1]]}
    assert framework.inference.views == [[-1], [-2], [-2, -1]]


def test_better_last_weights_become_those_that_predict(tmp_path):
    framework = segmentation(bias=logit(0.9))
    choices, written = select(framework, tmp_path, last=0.0)
    assert choices["weights"].chosen == "last"
    assert not written  # with these nothing else gains
    chosen, best, last = (read(tmp_path / "checkpoints" / f"{name}.ckpt") for name in ("chosen", "best", "last"))
    assert framework.network.bias.item() == float(chosen["state_dict"]["network.bias"]) == 0.0
    assert float(best["state_dict"]["network.bias"]) == pytest.approx(logit(0.9))
    assert [one["epoch"] for one in (chosen, best, last)] == [1, 0, 1]
    assert [one["im2im"]["config"] for one in (chosen, best, last)] == ["after", "before", "before"]
    assert find(tmp_path).name == "chosen.ckpt"
    assert find(tmp_path, "last").name == "last.ckpt"


def test_worse_last_weights_are_not_taken(tmp_path):
    framework = segmentation()
    choices, _ = select(framework, tmp_path, last=logit(0.9))
    assert choices["weights"].chosen == "best"
    assert framework.network.bias.item() == 0.0
    assert find(tmp_path).name == "best.ckpt"


def test_weights_beside_their_average_can_predict(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    keep(path, logit(0.9))
    content = torch.load(path, weights_only=True)
    content["current_model_state"] = segmentation().state_dict()
    torch.save(content, path)
    choices, _ = select(segmentation(bias=logit(0.9)), tmp_path)
    assert [name for name, _ in choices["weights"].tried] == ["best", "last, not averaged"]
    assert float(read(find(tmp_path))["state_dict"]["network.bias"]) == 0.0


def test_nothing_is_chosen_where_there_is_no_time(tmp_path):
    framework = segmentation(bias=logit(0.8))
    framework._earlier_seconds = 0.0
    choices, written = select(framework, tmp_path)
    assert not choices
    assert not written
    assert not (tmp_path / "selection.json").exists()


def test_nothing_is_chosen_without_validation_images(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        assert select(segmentation(bias=logit(0.8)), tmp_path, count=0) == ({}, {})
    assert "there is no validation image" in caplog.text


def test_images_without_a_foreground_choose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(np.random, "default_rng", lambda seed: SimpleNamespace(uniform=lambda low, high, shape: np.full(shape, 0.4)))
    framework = segmentation()  # nothing is found, rightly: a lower threshold would find what is not there
    choices, written = select(framework, tmp_path, last=1.0)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    json.loads((tmp_path / "selection.json").read_text(), parse_constant=refuse)
    assert choices["weights"].gain == 0
    assert dict(choices["task.threshold"].tried)[0.5] is None
    assert framework.task.threshold == 0.5
    assert not written


def test_at_most_eight_images_are_used(tmp_path):
    select(segmentation(bias=logit(0.8)), tmp_path, count=11)
    assert json.loads((tmp_path / "selection.json").read_text())["images"] == 8


def test_the_settings_of_objects_are_free(tmp_path):
    framework = segmentation()
    framework.clustering = Clustering([1.0, 1.0], min_size=32)
    found = {one.key: list(one.values) for one in decoding_settings(framework)}
    assert found["framework.clustering.min_size"] == [0, 8, 16, 64, 128]
    assert {"task.threshold", "framework.clustering.seed_threshold", "framework.clustering.foreground"} < found.keys()
    assert [one.key for one in view_settings(framework)] == ["inference.views"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a threshold that nothing exceeds, which nobody gave; look, do not touch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("im2im.app.given_keys", list)
        return command(tmp_path_factory.mktemp("chosen"), "task=semantic", "network=fnet", *SMALL, "task.threshold=0.999", share=FOREVER)


def threshold_of(run) -> float:
    choices = json.loads((run / "selection.json").read_text())["choices"]
    return next(one["chosen"] for one in choices if one["key"] == "task.threshold")


def test_configuration_and_checkpoint_carry_the_choice(run):
    chosen = threshold_of(run)
    assert chosen < 0.95
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["task"]["threshold"] == config["framework"]["task"]["threshold"] == chosen
    kept = {name: yaml.safe_load(read(run / "checkpoints" / f"{name}.ckpt")["im2im"]["config"]) for name in ("chosen", "best", "last")}
    assert {name: one["task"]["threshold"] for name, one in kept.items()} == {"chosen": chosen, "best": 0.999, "last": 0.999}
    assert "chosen on 1 validation image" in (run / "im2im.log").read_text()


def test_the_run_and_its_checkpoint_predict_with_the_choice(run, tmp_path):
    shutil.copy(run / "checkpoints" / "chosen.ckpt", tmp_path)
    for place in (run, tmp_path / "chosen.ckpt"):
        assert im2im.load(place).framework.task.threshold == threshold_of(run)


def test_the_test_images_are_scored_with_the_choice(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "2000-01-01" / "run" / "copy")
    command(tmp_path, f"run={copy}", "mode=evaluate", f"hydra.run.dir={tmp_path}/again/x/y")
    again = json.loads((tmp_path / "again" / "x" / "y" / "metrics.json").read_text())
    assert again["test"]["dice"] == json.loads((run / "metrics.json").read_text())["test"]["dice"]
    assert again["test"]["dice"]["mean"] > 0


def test_the_report_shows_the_choice(run):
    page = (run / "report.html").read_text()
    assert "Chosen after training" in page
    assert str(threshold_of(run)) in report_of(read_record(run))


def test_a_training_goes_on_as_it_would_have_without_a_choice(run, tmp_path):
    copies = [shutil.copytree(run, tmp_path / name / "a" / "b" / "copy") for name in ("chosen", "never")]
    forget(copies[1])
    text = (copies[1] / "config.yaml").read_text()
    (copies[1] / "config.yaml").write_text(text.replace(f"threshold: {threshold_of(run)}", "threshold: 0.999"))
    lasts, bests = [], []
    for copy in copies:
        command(copy.parents[2], f"run={copy}", "mode=train", "max_epochs=2")
        assert not (copy / "selection.json").exists()  # of the first part
        assert not (copy / "checkpoints" / "chosen.ckpt").exists()
        assert yaml.safe_load((copy / "config.yaml").read_text())["task"]["threshold"] == 0.999
        lasts.append(read(copy / "checkpoints" / "last.ckpt"))
        bests.append(read(copy / "checkpoints" / "best.ckpt"))
    for states in (lasts, bests):
        assert states[0]["epoch"] == states[1]["epoch"]
        assert all(value.equal(states[1]["state_dict"][key]) for key, value in states[0]["state_dict"].items())
        assert [yaml.safe_load(state["im2im"]["config"])["task"]["threshold"] for state in states] == [0.999, 0.999]
    assert lasts[0]["im2im"]["seconds"] > read(run / "checkpoints" / "last.ckpt")["im2im"]["seconds"]


def test_what_the_command_line_and_an_experiment_gave_is_kept_in_the_run(tmp_path, monkeypatch):
    given: list[str] = []
    monkeypatch.setattr("im2im.app.given_keys", lambda: given.extend(given_keys()) or given_keys())
    run = command(tmp_path, "task=semantic", "network=fnet", *SMALL, "task.threshold=0.3", "inference=flips", share=FOREVER)
    assert {"task.threshold", "inference", "network.channels"} <= set(given)
    assert yaml.safe_load((run / "config.yaml").read_text())["task"]["threshold"] == 0.3
    assert not (run / "selection.json").exists()  # nothing else is free where the last epoch is the best
    kept = read(run / "checkpoints" / "last.ckpt")["im2im"]["given"]
    assert "task.threshold" in kept
    assert "task" not in kept


def test_nothing_is_chosen_where_it_is_switched_off(tmp_path):
    run = command(tmp_path, "task=semantic", "network=fnet", *SMALL, "mode.select=false", share=FOREVER)
    assert not (run / "selection.json").exists()


def tried(scores, before, metric="dice", factor=1.0) -> float:
    """Give the gain of scores over those before."""
    return Trial(None, metric, maximize=True, scores=np.array(before, float)).gain(np.array(scores, float), factor)


@pytest.mark.parametrize(
    ("gains", "enough"),
    [
        ([0.1, -0.08, 0.05, -0.03], False),  # 0.01 on average, with a standard error of 0.04
        ([0.011, 0.009, 0.01, 0.01], True),
        ([0.001, 0.001, 0.001, 0.001], False),  # below the margin
        ([0.009], False),  # a single image must gain more
        ([0.011], True),
        ([0.011, float("nan")], True),  # likewise a single one
        ([0.009, float("nan")], False),
        ([float("nan")], False),
    ],
)
def test_a_gain_must_exceed_its_noise(gains, enough):
    gain = tried(0.5 + np.array(gains), [0.5] * len(gains))
    assert gain == (pytest.approx(np.nanmean(gains)) if enough else 0)


def test_a_gain_that_costs_more_must_be_larger():
    assert tried([0.503, 0.503], [0.5, 0.5]) == pytest.approx(0.003)
    assert tried([0.503, 0.503], [0.5, 0.5], factor=2) == 0


def test_a_good_score_is_improved_by_a_small_gain():
    assert tried([0.9922, 0.9921], [0.9916, 0.9916], metric="pearson", factor=2) == pytest.approx(0.00055)
    assert tried([0.99164, 0.99164], [0.9916, 0.9916], metric="pearson", factor=2) == 0
    assert tried([0.9922], [0.9916], metric="pearson", factor=2) == pytest.approx(0.0006)  # .4 % of .0084, ten times


def test_scores_at_chance_choose_nothing():
    assert tried([0.04, 0.04], [0.0, 0.0]) == 0
    assert tried([0.06, 0.06], [0.0, 0.0]) == pytest.approx(0.06)


def test_a_metric_without_a_best_value_must_gain_a_share():
    assert tried([30.2, 30.2], [30.0, 30.0], metric="psnr") == 0
    assert tried([30.4, 30.4], [30.0, 30.0], metric="psnr") == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("quality", "decides"),
    [
        ({"monitor": "val/nrmse", "mode": "min"}, ("nrmse", False)),
        ({"monitor": "val/ssim", "mode": "max"}, ("ssim", True)),
        ({"monitor": "val/loss", "mode": "min"}, ("pearson", True)),
        (None, ("pearson", True)),
    ],
)
def test_quality_decides_where_it_names_a_metric_of_whole_images(quality, decides):
    assert deciding_metric(quality, ["pearson", "ssim", "nrmse"]) == decides


def test_the_report_names_choices_as_the_terminal_does(tmp_path):
    flips = [[-1], [-2], [-2, -1]]
    choices = [
        Choice("inference.views", [], flips, 0.1, [([], 0.5), (flips, 0.6)]),
        Choice("weights", "best", "best", 0.0, [("best", 0.5)]),
    ]
    (tmp_path / "selection.json").write_text(json.dumps({"metric": "dice", "images": 1, "choices": [asdict(one) for one in choices]}))
    page = report_of(read_record(tmp_path))
    assert "mirrored views" in page
    assert "off: 0.500, on: 0.600" in page
    assert "[[" not in page
