"""Every bare task trains, scores and predicts by the command line; what only some tasks and frameworks have."""

import json

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
import tifffile
from tests_shared import SMALL, SMALL_3D, SMALL_GAN, SMALL_JUDGES

import im2im as package
from im2im.report.record import read_record
from im2im.report.results import results

FNET = ["network.channels=2", "network.depth=2"]
UNET = ["network.channels=[4,8]", "network.strides=[2]"]
OF_TASK = {
    "labelfree": FNET,
    "restoration": FNET,
    "modality": FNET,
    "staining": [*FNET, *SMALL_GAN],
    "synthesis": [*FNET, *SMALL_GAN],
    "semantic": UNET,
    "instance": ["network.channels=4"],
}
FIRST = {"semantic": "dice", "instance": "ap_50"}


def settings_of(task: str, small: list[str]) -> list[str]:
    plain = [setting for setting in small if not setting.startswith(("network.", "data.counts"))]
    return [f"task={task}", *OF_TASK[task], *plain, "data.counts={train:1,val:1,test:1}"]


@pytest.mark.parametrize(
    ("task", "small"),
    [*((task, SMALL) for task in OF_TASK), ("semantic", SMALL_3D), ("instance", SMALL_3D), ("staining", SMALL_3D)],
    ids=lambda value: value if isinstance(value, str) else f"{2 + (value is SMALL_3D)}D",
)
def test_a_bare_task_trains_and_scores_on_built_in_data(task, small, im2im):
    run = im2im(*settings_of(task, small))
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert next(iter(metrics)) == FIRST.get(task, "pearson")
    rows = pd.read_csv(run / "metrics.csv")
    assert list(rows.columns[:3]) == ["stage", "image", next(iter(metrics))]
    assert (run / "report.html").exists()
    assert len(list((run / "samples").glob("test_*.png"))) == 3


def first_rows(run, part: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = pd.read_csv(run / "metrics.csv")
    return rows[rows[part].isna()], rows[rows[part].notna()]


def test_classes_have_rows_beside_those_of_their_images(segmented):
    images, parts = first_rows(segmented, "class")
    assert list(images.image) == list(parts.image)
    assert set(parts["class"]) == {"foreground"}
    assert parts.dice.tolist() == pytest.approx(images["dice/foreground"].tolist(), nan_ok=True)
    metrics = json.loads((segmented / "metrics.json").read_text())["test"]
    assert metrics["dice"]["n"] == images.dice.notna().sum()
    assert {"dice", "iou", "f1", "dice/foreground"} <= set(metrics)


def test_objects_have_rows_beside_those_of_their_images(objects):
    images, parts = first_rows(objects, "object")
    assert len(images) == 2
    assert set(images.image) == set(parts.image)
    assert {"ap_50", "ap_75", "map", "f1_50", "pq", "aji", "mean_iou"} <= set(images.columns)
    assert parts.iou.between(0, 1).all()
    assert set(json.loads((objects / "metrics.json").read_text())["test"]["ap_50"]) == {"mean", "std", "n"}


@pytest.mark.parametrize("name", ["segmented", "objects"])
def test_the_report_shows_one_dot_per_image_whatever_its_parts(name, request):
    run = request.getfixturevalue(name)
    page = results(read_record(run))
    assert "one dot per image" in page
    assert "row of metrics.csv" not in page


@pytest.fixture
def picture(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.random.default_rng(0).integers(0, 999, (37, 50), np.uint16))
    return tmp_path / "x.tif"


def test_colours_are_predicted_as_channels(picture, im2im, tmp_path):
    run = im2im(*settings_of("staining", SMALL), "builtin.source=target", "builtin.target=stained")
    im2im("mode=predict", f"run={run}", f"input={picture}", f"output={tmp_path}/out")
    with tifffile.TiffFile(tmp_path / "out" / "x.tif") as tif:
        assert tif.series[0].axes.strip("QS") in ("CYX", "YX")
        assert tif.asarray().shape == (3, 37, 50)


def test_several_outputs_have_a_folder_each(segmented, picture, im2im, tmp_path):
    im2im("mode=predict", f"run={segmented}", f"input={picture}", f"output={tmp_path}/out", "mode.outputs=[labels,probabilities]")
    written = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.tif"))
    assert written == ["labels/x.tif", "probabilities/x.tif"]
    labels, probabilities = (tifffile.imread(tmp_path / "out" / name / "x.tif") for name in ("labels", "probabilities"))
    assert labels.dtype == np.uint8
    assert labels.shape == (37, 50)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (2, 37, 50)
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1
    assert np.array_equal(labels, probabilities[1] > 0.5)
    model = package.load(segmented)
    assert np.array_equal(model.predict(picture), labels)
    assert np.array_equal(model.predict(picture, output="probabilities"), probabilities)


@pytest.mark.parametrize("outputs", ["probabilities", "[probabilities]"])
def test_one_output_needs_no_folder_of_its_own(outputs, segmented, picture, im2im, tmp_path):
    im2im("mode=predict", f"run={segmented}", f"input={picture}", f"output={tmp_path}/out", f"mode.outputs={outputs}")
    assert tifffile.imread(tmp_path / "out" / "x.tif").dtype == np.float32


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("segmented", "this task puts out labels, probabilities, got logits; choose among them with mode.outputs"),
        ("objects", "this task puts out labels, seed, embedding, got logits; choose among them with mode.outputs"),
    ],
)
def test_an_unknown_output_is_refused_in_one_line(name, told, picture, im2im, tmp_path, capsys, request):
    run = request.getfixturevalue(name)
    with pytest.raises(SystemExit):
        im2im("mode=predict", f"run={run}", f"input={picture}", f"output={tmp_path}/out", "mode.outputs=[labels,logits]")
    assert capsys.readouterr().err.strip().splitlines()[-1].endswith(told)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match=told):
        package.load(run).predict(picture, output="logits")


def test_objects_are_written_as_numbers_of_sixteen_bits(objects, picture, im2im, tmp_path):
    im2im("mode=predict", f"run={objects}", f"input={picture}", f"output={tmp_path}/out", "inference=flips")
    found = tifffile.imread(tmp_path / "out" / "x.tif")
    assert found.dtype == np.uint16
    assert found.shape == (37, 50)


def test_imagej_shows_objects_in_colours_and_classes_alike(objects, segmented, picture, im2im, tmp_path):
    for run in (objects, segmented):
        im2im("mode=predict", f"run={run}", f"input={picture}", f"output={tmp_path}/{run.name}", "mode.format=tif")
        with tifffile.TiffFile(next((tmp_path / run.name).glob("x.tif*"))) as tif:
            assert np.shape(tif.imagej_metadata["LUTs"]) == (3, 256)


def test_the_threshold_of_a_finished_run_can_be_changed(segmented, picture, im2im, tmp_path):
    model = package.load(segmented)
    limit = float(np.quantile(model.predict(picture, output="probabilities")[1], 0.7))
    im2im("mode=predict", f"run={segmented}", f"input={picture}", f"output={tmp_path}/out", f"task.threshold={limit}")
    assert np.mean(tifffile.imread(tmp_path / "out" / "x.tif")) == pytest.approx(0.3, abs=0.01)


def write_images(folder, *names: str) -> None:
    folder.mkdir(parents=True)
    for index, name in enumerate(names):
        tifffile.imwrite(folder / f"{name}.tif", np.random.default_rng(index).integers(0, 999, (40, 48), np.uint16))


def test_without_any_matched_test_image_there_are_pictures_and_no_figures(unpaired, im2im, tmp_path):
    write_images(tmp_path / "images" / "source", "a", "b", "c")
    write_images(tmp_path / "images" / "target", "d", "e")
    run = im2im("mode=evaluate", f"run={unpaired}", "data=unpaired", f"data.root={tmp_path}/images")
    assert json.loads((run / "metrics.json").read_text()) == {"test": {}}
    assert not (run / "metrics.csv").exists()
    assert (run / "report.html").exists()
    pictures = list((run / "samples").glob("test_*.png"))
    assert len(pictures) == 3
    assert np.ptp(iio.imread(pictures[0])) > 100
    assert "there are pictures, but no figures" in (run / "im2im.log").read_text()


def test_of_unpaired_data_what_is_matched_is_scored(unpaired, im2im, tmp_path):
    write_images(tmp_path / "images" / "test" / "source", "a", "b", "c")
    write_images(tmp_path / "images" / "test" / "target", "b", "c", "d", "e")
    run = im2im("mode=evaluate", f"run={unpaired}", "data=unpaired", f"data.root={tmp_path}/images")
    assert sorted(pd.read_csv(run / "metrics.csv").image) == ["b", "c"]
    assert json.loads((run / "metrics.json").read_text())["test"]["pearson"]["n"] == 2


def test_a_training_without_pairs_scores_those_of_its_test_images_that_are_matched(im2im, tmp_path):
    for split, (sources, targets) in {"train": ("ab", "xyz"), "val": ("c", "c"), "test": ("de", "eu")}.items():
        write_images(tmp_path / "images" / split / "source", *sources)
        write_images(tmp_path / "images" / split / "target", *targets)
    small = [setting for setting in SMALL if not setting.startswith(("data.size", "data.counts"))]
    run = im2im("framework=cyclegan", "data=unpaired", f"data.root={tmp_path}/images", *small, *SMALL_JUDGES)
    assert list(pd.read_csv(run / "metrics.csv").image) == ["e"]
    assert json.loads((run / "metrics.json").read_text())["train"]["epochs"] == 1


def test_a_training_without_any_matched_test_image_keeps_what_is_known_of_it(im2im, tmp_path):
    for split in ("train", "val", "test"):
        write_images(tmp_path / "images" / split / "source", *"ab")
        write_images(tmp_path / "images" / split / "target", *"xy")
    small = [setting for setting in SMALL if not setting.startswith(("data.size", "data.counts"))]
    run = im2im("framework=cyclegan", "data=unpaired", f"data.root={tmp_path}/images", *small, *SMALL_JUDGES)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"] == {}
    assert metrics["train"]["epochs"] == 1
    assert len(list((run / "samples").glob("test_*.png"))) == 2


def test_cyclegan_scores_the_pairs_of_unpaired_built_in_data(unpaired):
    assert json.loads((unpaired / "metrics.json").read_text())["test"]["pearson"]["n"] == 2
    logged = pd.concat(pd.read_csv(path) for path in unpaired.glob("logs/*/metrics.csv"))
    assert {"val/loss", "val/cycle_source", "train/identity_target", "train/judge_source", "lr"} <= set(logged.columns)


def test_backward_reads_the_target_side_and_gives_the_sources_intensities(unpaired, picture, im2im, tmp_path):
    for direction in ("forward", "backward"):
        output = f"output={tmp_path}/{direction}"
        im2im("mode=predict", f"run={unpaired}", f"input={picture}", output, f"framework.direction={direction}")
    forward, backward = (tifffile.imread(tmp_path / direction / "x.tif") for direction in ("forward", "backward"))
    record = package.load(unpaired).framework.record
    assert record["source_scale"]["offset"][0] > 2 * record["target_scale"]["offset"][0]
    for prediction, side in ((forward, "target"), (backward, "source")):
        scale = record[f"{side}_scale"]
        assert abs(prediction.mean() - scale["offset"][0]) < 6 * scale["scale"][0]


@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_backward_is_for_prediction_alone(mode, unpaired, im2im, capsys):
    given = {"train": ["framework=cyclegan", "data.unpaired=true", *SMALL], "evaluate": ["mode=evaluate", f"run={unpaired}"]}[mode]
    with pytest.raises(SystemExit):
        im2im(*given, "framework.direction=backward")
    assert "set framework.direction=forward" in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("framework", ["fcn", "pix2pix"])
@pytest.mark.parametrize("data", ["synthetic", "files"])
def test_a_framework_that_learns_from_pairs_refuses_data_that_are_none(framework, data, im2im, capsys, tmp_path):
    if data == "files":
        write_images(tmp_path / "images" / "source", *"abcd")
        write_images(tmp_path / "images" / "target", *"xyz")
    given = {"synthetic": ["data.unpaired=true"], "files": ["data=unpaired", f"data.root={tmp_path}/images"]}[data]
    small = [setting for setting in SMALL if data == "synthetic" or not setting.startswith(("data.size", "data.counts"))]
    with pytest.raises(SystemExit):
        im2im(f"framework={framework}", *given, *small, *(SMALL_GAN if framework == "pix2pix" else []))
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.endswith("set framework=cyclegan or data=folders")
    assert not list(tmp_path.glob("outputs/**/*.ckpt"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["task=instance", "framework=fcn"], "set framework=embedseg"),
        (["task=semantic", "framework=embedseg"], "set task=instance or framework=fcn"),
        (["task=semantic", "task.threshold=2"], "change task.threshold"),
        (["task=semantic", "task.classes=[a,b,c]", "task.single=true"], "set task.single=false task.threshold=0.5"),
        (["framework=cyclegan", "framework.direction=up"], "change framework.direction"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_go_together_is_refused_in_one_line(given, told, im2im, capsys):
    with pytest.raises(SystemExit):
        im2im(*given, *(setting for setting in SMALL if not setting.startswith("network.")))
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].endswith(told)
    assert "HYDRA_FULL_ERROR" not in lines[-1]


def test_classes_of_the_built_in_cells_are_told_apart(im2im):
    given = ["task=semantic", "data.target=classes", "task.classes=[background,cytoplasm,nucleus]"]
    run = im2im(*given, *UNET, *(setting for setting in SMALL if not setting.startswith("network.")))
    assert {"dice", "dice/cytoplasm", "dice/nucleus"} <= set(json.loads((run / "metrics.json").read_text())["test"])
