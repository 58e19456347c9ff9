import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tests_shared import SMALL

import im2im as package
from im2im.stages.divergence import contrast


def folders_settings(root, *more) -> list[str]:
    return [
        *(setting for setting in SMALL if not setting.startswith(("data.size", "data.counts"))),
        "data=folders",
        f"data.root={root}",
        *more,
    ]


def test_other_data_without_a_test_folder_are_all_test(trained, folders, im2im):
    run = im2im("mode=evaluate", f"run={trained}", "data=folders", f"data.root={folders}")
    assert json.loads((run / "metrics.json").read_text())["test"]["pearson"]["n"] == 6
    assert set(pd.read_csv(run / "splits.csv").split) == {"test"}
    assert (run / "report.html").exists()


def test_the_data_of_the_training_are_scored_on_their_test_part_again(folders, im2im):
    run = im2im(*folders_settings(folders))
    again = im2im("mode=evaluate", f"run={run}")
    assert again != run
    assert (again / "metrics.csv").read_text() == (run / "metrics.csv").read_text()


def test_figures_agree_with_scikit_image(trained, folders, im2im):
    run = im2im("mode=evaluate", f"run={trained}", "data=folders", f"data.root={folders}")
    rows = pd.read_csv(run / "metrics.csv").set_index("image")
    model = package.load(trained)
    for name in ("cell_0", "cell_3"):
        source, target = (tifffile.imread(folders / role / f"{name}.tif").astype(float) for role in ("source", "target"))
        target = (target - target.mean()) / target.std()
        scale = model.framework.target_scale
        prediction = (model.predict(source, axes="YX") - scale.offset[0]) / scale.scale[0]
        span = np.ptp(target)
        assert rows.pearson[name] == pytest.approx(np.corrcoef(prediction.ravel(), target.ravel())[0, 1], abs=1e-4)
        assert rows.psnr[name] == pytest.approx(peak_signal_noise_ratio(target, prediction, data_range=span), abs=1e-3)
        ssim = structural_similarity(target, prediction, data_range=span, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        assert rows.ssim[name] == pytest.approx(ssim, abs=1e-3)


def test_time_lapses_are_scored_frame_by_frame(trained, im2im, tmp_path):
    root = tmp_path / "movies"
    for role in ("source", "target"):
        (root / role).mkdir(parents=True)
        tifffile.imwrite(
            root / role / "m.tif", np.random.default_rng(0).integers(0, 99, (3, 32, 32), np.uint8), metadata={"axes": "TYX"}, imagej=True
        )
    run = im2im("mode=evaluate", f"run={trained}", "data=folders", f"data.root={root}")
    assert list(pd.read_csv(run / "metrics.csv").image) == ["m_scene0_t0", "m_scene0_t1", "m_scene0_t2"]


def test_excluded_pixels_change_no_figure(trained, folders, im2im, monkeypatch):
    contrasts = []
    monkeypatch.setattr("im2im.stages.evaluate.contrast", lambda found, truth: contrasts.append(contrast(found, truth)) or contrasts[-1])
    (folders / "cost_map").mkdir()
    for path in (folders / "target").iterdir():
        cost_map = np.ones((40, 48), np.uint8)
        cost_map[:, :16] = 0
        tifffile.imwrite(folders / "cost_map" / path.name, cost_map)
    settings = ["mode=evaluate", f"run={trained}", "data=folders", f"data.root={folders}"]
    first = im2im(*settings)
    for path in (folders / "target").iterdir():
        image = tifffile.imread(path)
        image[:, :16] = 9 * image[:, :16][::-1] + 1000
        tifffile.imwrite(path, image)
    second = im2im(*settings)
    assert pd.read_csv(first / "metrics.csv").shape == (6, 2 + 7)
    assert (first / "metrics.csv").read_text() == (second / "metrics.csv").read_text()
    assert contrasts[:6] == contrasts[6:]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (shutil.rmtree, "images"),
        (lambda root: shutil.rmtree(root / "target"), "target"),
        (lambda root: (root / "source" / "cell_3.tif").unlink(), "cell_3"),
        (lambda root: (root / "target" / "cell_3.tif").unlink(), "cell_3"),
        (lambda root: tifffile.imwrite(root / "target" / "cell_3.tif", np.zeros((40, 40), np.uint16)), "shapes differ"),
        (lambda root: (root / "target" / "cell_3.tif").write_bytes((root / "target" / "cell_3.tif").read_bytes()[:300]), "cell_3"),
        (
            lambda root: tifffile.imwrite(root / "source" / "cell_3.tif", np.zeros((2, 40, 48), np.uint16), metadata={"axes": "CYX"}),
            "data.source_channels",
        ),
        (
            lambda root: tifffile.imwrite(root / "source" / "cell_3.tif", np.zeros((5, 40, 48), np.uint16), metadata={"axes": "ZYX"}),
            "spatial_dims=3",
        ),
    ],
    ids=["folder gone", "no targets", "source missing", "target missing", "shapes", "truncated", "channels", "3D"],
)
def test_data_that_do_not_fit_are_refused_in_one_line(spoil, told, trained, folders, im2im, capsys):
    spoil(folders)
    with pytest.raises((SystemExit, ValueError)) as caught:  # what is told before torch is loaded is printed by the command line
        im2im("mode=evaluate", f"run={trained}", "data=folders", f"data.root={folders}")
    error = [*capsys.readouterr().err.strip().splitlines(), *([str(caught.value)] if caught.type is ValueError else [])][-1]
    assert told in error
    assert "HYDRA_FULL_ERROR" not in error


def without_test(root, folders, layout):
    """Arrange pairs so that none is left for the test."""
    if layout == "one image":
        rng = np.random.default_rng(0)
        image = rng.integers(0, 1000, (128, 128)).astype(np.uint16)
        for role in ("source", "target"):
            (root / role).mkdir(parents=True)
            tifffile.imwrite(root / role / "a.tif", image)
        return root
    for index in range(4):
        for role in ("source", "target"):
            place = root / ("val" if index == 3 and layout == "train and val" else "train") / role
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(folders / role / f"cell_{index}.tif", place)
    return root


@pytest.mark.parametrize("layout", ["one image", "train and val", "train alone"])
def test_a_training_without_test_images_ends_with_figures_of_the_validation(layout, folders, im2im, tmp_path):
    root, nothing = without_test(tmp_path / "here", folders, layout), layout == "train alone"
    run = im2im(*folders_settings(root, *["data.fractions.val=0"] * nothing))
    metrics, log = json.loads((run / "metrics.json").read_text()), (run / "im2im.log").read_text()
    assert "there is no test image" in log.partition("training on")[0]
    assert "mode=predict" in log.partition("report:")[2]
    assert {"val", "train"} <= metrics.keys()
    assert "test" not in metrics
    assert bool(metrics["val"]) != nothing
    assert ("Validation results" in (run / "report.html").read_text()) != nothing
    if not nothing:
        assert metrics["val"]["pearson"]["n"] == 1
        assert set(metrics["baselines"]) == {"identity", "gaussian", "linear_filter"}
        assert set(pd.read_csv(run / "metrics.csv").stage) == {"val"}
        assert len(list((run / "samples").glob("val_best_*.png"))) == 1
    else:
        assert "neither a test nor a validation image" in log


def test_an_evaluation_without_test_images_is_refused(folders, im2im, tmp_path, capsys):
    run = im2im(*folders_settings(without_test(tmp_path / "here", folders, "train and val")))
    with pytest.raises(SystemExit):
        im2im("mode=evaluate", f"run={run}")
    assert "no image to score" in capsys.readouterr().err
