import json
import re
import subprocess
import sys

import numpy as np
import pytest

from im2im.report.figures import save_png
from im2im.report.page import write_page

CONFIG = """
spatial_dims: 3
patch_size: [16, 64, 64]
seed: 7
network: {_target_: im2im.networks.fnet.FNet, note: "https://example.org/<script>"}
"""


@pytest.fixture
def run(tmp_path):
    """A finished training with all of its files."""
    run = tmp_path / "2026-02-03" / "14-30-05"
    (run / "logs" / "version_0").mkdir(parents=True)
    (run / ".hydra").mkdir()
    (run / ".hydra" / "hydra.yaml").write_text("hydra: {runtime: {choices: {task: labelfree, framework: pix2pix}}}")
    (run / "config.yaml").write_text(CONFIG)
    metrics = {"pearson": {"mean": 0.834, "std": 0.05, "n": 3}, "dice/<gland>": {"mean": 0.712, "std": None, "n": 3}}
    (run / "metrics.json").write_text(json.dumps({"test": metrics, "train": {"seconds": 200.0, "epochs": 5, "device": "cpu"}}))
    (run / "metrics.csv").write_text("stage,image,pearson\ntest,<script>alert(1)</script>,0.9\ntest,b.tif,0.8\ntest,c,\nval,d,0.1\n")
    (run / "splits.csv").write_text("stage,image\ntrain,a\ntrain,b\ntest,c\n")
    (run / "logs" / "version_0" / "metrics.csv").write_text("epoch,step,train/loss,val/loss,val/ssim\n0,1,1.0,1.1,0.2\n1,2,nan,0.5,0.4\n")
    for name in ["test_best_b", "test_median_c", "test_worst_a&b", *(f"epoch_{epoch:03d}" for epoch in range(9))]:
        save_png(run / "samples" / f"{name}.png", np.zeros((4, 4, 3), np.uint8))
    return run


def read(run, **arguments):
    return write_page(run, **arguments).read_text(encoding="utf-8")


def test_page_lies_in_the_run_folder_and_nothing_else_is_left(run):
    before = {path.name for path in run.iterdir()}
    assert write_page(run) == run / "report.html"
    assert {path.name for path in run.iterdir()} == before | {"report.html"}


def test_page_needs_no_other_file_and_no_network(run):
    page = read(run)
    links = re.findall(r'(?:src|href|srcset|action|data)\s*=\s*"([^"]*)"', page) + re.findall(r"url\(([^)]*)\)|@import", page)
    assert links
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert "<script" not in page
    assert "<link" not in page


def test_page_is_headed_by_task_network_framework_and_date(run):
    page = read(run)
    assert "<h1>labelfree · FNet · pix2pix</h1>" in page
    assert "2026-02-03 14:30 · 5 epochs in 3 min 20 s on cpu" in page


def test_page_holds_every_metric(run):
    page = read(run)
    assert "<strong>0.834</strong><small>± 0.050 · n = 3</small>" in page
    assert re.search(r"Dice, &lt;gland&gt;</th><td>0.712</td><td>–</td><td>3</td>", page)


def test_distribution_shows_the_images_of_the_test_alone(run):
    page = read(run)
    assert page.count('class="dot"') == 2
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: 0.900" in page
    assert "1 without a finite value left out." in page


def test_pictures_are_captioned_with_image_and_score(run):
    page = read(run)
    assert "<figcaption>Best: b, Pearson r 0.800</figcaption>" in page
    assert "<figcaption>Worst: a&amp;b</figcaption>" in page


def test_at_most_four_epochs_are_shown_from_first_to_last(run):
    assert re.findall(r"<figcaption>Epoch (\d+)", read(run)) == ["0", "3", "5", "8"]


def test_one_picture_of_a_rank_is_shown(run):
    for index in range(5):
        save_png(run / "samples" / f"test_best_{index}.png", np.zeros((4, 4, 3), np.uint8))
    assert read(run).count("<figcaption>Best") == 1


def test_curves_name_what_they_left_out(run):
    page = read(run)
    assert "<h3>Loss</h3><svg" in page
    assert "Lowest validation loss 0.500 in epoch 1. 1 value NaN or infinite, left out." in page
    assert "<h3>Validation: SSIM</h3><svg" in page


def test_commands_configuration_and_counts_are_there(run):
    page = read(run, commands={"Predict": "im2im run=<RUN>"})
    assert "<pre>im2im run=&lt;RUN&gt;</pre>" in page
    assert "<dt>patch size</dt><dd>16 × 64 × 64</dd>" in page
    assert "https://example.org/&lt;script&gt;" in page
    assert "<dt>train</dt><dd>2 files</dd>" in page
    assert "<dt>seed</dt><dd>7</dd>" in page


MISSING = ["config.yaml", "metrics.json", "metrics.csv", "splits.csv", ".hydra/hydra.yaml", "logs/version_0/metrics.csv"]


@pytest.mark.parametrize("name", MISSING)
@pytest.mark.parametrize("content", [None, "", "{["])
def test_page_is_written_when_a_file_is_missing_empty_or_broken(run, name, content):
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_text(content)
    assert "<h2>Environment</h2>" in read(run)


def test_a_broken_file_is_named(run):
    (run / "metrics.json").write_text('{"test": {')
    assert "Could not be read: metrics.json." in read(run)


def test_an_empty_folder_gets_a_page_without_empty_sections(tmp_path):
    page = read(tmp_path)
    assert re.findall("<h2>([^<]*)", page) == ["Environment"]
    assert tmp_path.name in page


def test_terms_of_an_adversarial_training_have_a_plot_of_their_own(run):
    text = "epoch,step,train/generator,train/discriminator_step,train/discriminator_epoch\n0,1,1,2,3\n1,2,1,2,3\n"
    (run / "logs" / "version_0" / "metrics.csv").write_text(text)
    page = read(run)
    assert "<h3>Generator and discriminator</h3><svg" in page
    assert re.findall(r'class="label[^>]*>([^<]*)', page) == ["generator", "discriminator"]


def test_page_is_written_without_torch():
    code = "import sys, im2im.report.page, im2im.report.figures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["001", "NA"])
def test_names_that_look_like_numbers_stay_names(name, run):
    (run / "metrics.csv").write_text(f"stage,image,pearson\ntest,{name},0.5\n")
    for path in (run / "samples").glob("test_best*"):
        path.unlink()
    save_png(run / "samples" / f"test_best_{name}.png", np.zeros((4, 4, 3), np.uint8))
    assert f"Best: {name}, Pearson r 0.5" in read(run)
