import importlib.util
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image

from im2im.__main__ import folder, store_experiments

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "gallery.md"
LARGEST = 2_000_000  # bytes of all pictures


def make_gallery():
    spec = importlib.util.spec_from_file_location("make_gallery", ROOT / "docs" / "make_gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gallery = make_gallery()
REAL = [name for name, entry in gallery.ENTRIES.items() if entry.data is not None]
BUILT_IN = [name for name in gallery.ENTRIES if name not in REAL]


def told(name: str) -> dict:
    """What the record says of one entry."""
    test = {"pearson": {"mean": 0.8765, "n": 8}, "map": {"mean": float("nan"), "n": 0}}
    return {
        "picture": f"{name}.jpg",
        "settings": ["task=labelfree", "task.classes=[a,b]"],
        "test": test,
        "train": {"seconds": 61.2, "epochs": 1, "device": "cpu"},
    }


@pytest.fixture
def run(tmp_path) -> Path:
    """A finished run on built-in cells, as far as the gallery looks at it."""
    run = tmp_path / "run"
    for part in ("samples", ".hydra"):
        (run / part).mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (600, 1400, 3), np.uint8)
    Image.fromarray(noise).save(run / "samples" / "test_median_cells_003.png")
    metrics = {name: {"mean": value, "std": 0.0, "n": 3} for name, value in zip("abcd", range(4), strict=True)}
    (run / "metrics.json").write_text(json.dumps({"test": metrics, "train": {"seconds": 9.0, "epochs": 2, "device": "cpu"}}))
    write_data(run, "im2im.data.index.Synthetic", None)
    write_settings(run, "task=semantic", "hydra.run.dir=/somewhere/run")
    return run


def write_data(run: Path, images: str, root: str | None) -> None:
    (run / "config.yaml").write_text(yaml.safe_dump({"data": {"root": root, "module": {"images": {"_target_": images}}}}))


def write_settings(run: Path, *settings: str) -> None:
    (run / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(list(settings)))


def test_the_page_is_written_from_the_record():
    record = json.loads((ROOT / "docs" / "gallery" / "gallery.json").read_text())
    assert gallery.page(record) == PAGE.read_text(), "run python docs/make_gallery.py"


def test_every_picture_is_there_and_all_are_small():
    pictures = re.findall(r"\]\((gallery/[^)]+)\)", PAGE.read_text())
    assert pictures
    assert {f"gallery/{path.name}" for path in (ROOT / "docs" / "gallery").glob("*.jpg")} == set(pictures)
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "gallery").iterdir()) < LARGEST
    assert gallery.LARGEST * len(gallery.ENTRIES) < LARGEST


def test_only_images_that_may_be_shown_are_and_their_origin_is_said():
    assert {gallery.ENTRIES[name].data for name in REAL} == {"nuclei_2d", "nuclei_3d"}
    page = gallery.page({name: told(name) for name in REAL})
    assert re.search(r"nuclei_2d\.jpg\)\n\n\*.*BBBC039.*CC0\.\*\n", page)
    assert re.search(r"nuclei_3d\.jpg\)\n\n\*.*idr0062.*CC BY 4\.0.*\*\n", page)


@pytest.mark.parametrize("name", gallery.ENTRIES)
def test_the_command_of_every_entry_composes(name):
    store_experiments()
    with initialize_config_dir(str(folder("conf")), version_base="1.3"):
        config = compose("config", gallery.ENTRIES[name].arguments())
    assert config.max_time == (None if name in REAL else f"00:00:{gallery.ENTRIES[name].minutes:02d}:00")
    assert config.data.get("unpaired", False) == (name == "unsupervised")


def test_no_command_of_the_page_holds_a_path():
    commands = re.findall(r"```\n(python -m im2im[^`]+)```", PAGE.read_text())
    assert commands
    assert not [word for text in commands for word in shlex.split(text.replace("\\\n", "")) if "/" in word]


def test_the_page_follows_from_the_record_alone_in_the_order_of_the_entries():
    record = {name: told(name) for name in gallery.ENTRIES}
    page = gallery.page(record)
    assert page == gallery.page(dict(reversed(record.items())))
    assert re.findall(r"gallery/(\w+)\.jpg", page) == list(gallery.ENTRIES)


def test_a_section_has_command_figures_and_time():
    text = gallery.section(gallery.ENTRIES["restoration"], told("restoration"))
    assert "```\npython -m im2im task=labelfree 'task.classes=[a,b]'\n```" in text
    assert "| Pearson r | 0.876 | 8 |\n| mean AP, IoU 0.5–0.95 | – | 0 |" in text
    assert "Training: 1 min 01 s, 1 epoch, cpu." in text


def test_a_long_command_is_broken_between_its_arguments():
    settings = [f"key_{index}={'x' * 40}" for index in range(4)]
    text = gallery.command(settings)
    assert len(text.splitlines()) == 2
    assert max(map(len, text.splitlines())) < 140
    assert shlex.split(text.replace("\\\n", "")) == ["python", "-m", "im2im", *settings]


def test_what_an_entry_says_is_read_from_its_run_and_others_stay(run, tmp_path):
    (tmp_path / "gallery.json").write_text(json.dumps({"nuclei_3d": told("nuclei_2d")}))
    gallery.renew("semantic", run, tmp_path)
    record = json.loads((tmp_path / "gallery.json").read_text())
    assert list(record) == ["semantic", "nuclei_3d"]
    assert record["semantic"]["settings"] == ["task=semantic"]
    assert record["semantic"]["test"] == {"a": {"mean": 0, "n": 3}, "b": {"mean": 1, "n": 3}, "c": {"mean": 2, "n": 3}}
    assert record["semantic"]["train"] == {"seconds": 9.0, "epochs": 2, "device": "cpu"}
    assert (tmp_path / "semantic.jpg").stat().st_size <= gallery.LARGEST
    assert Image.open(tmp_path / "semantic.jpg").size == (1000, 429)


@pytest.mark.parametrize("name", ["semantic", "nuclei_2d"])
def test_a_run_on_other_images_is_refused(run, tmp_path, name):
    write_data(run, "im2im.data.index.Files", "/images/glands_2d")
    with pytest.raises(ValueError, match="glands_2d, which are not those of"):
        gallery.renew(name, run, tmp_path)
    assert not list(tmp_path.glob("*.jpg"))


def test_a_run_on_the_images_of_an_entry_is_shown_without_its_paths(run, tmp_path):
    write_data(run, "im2im.data.index.Files", "/images/nuclei_2d")
    write_settings(run, "task=instance", "data=folders", "data.root=/images/nuclei_2d", "init=outputs/run")
    gallery.renew("nuclei_2d", run, tmp_path)
    assert json.loads((tmp_path / "gallery.json").read_text())["nuclei_2d"]["settings"] == [
        "task=instance",
        "data=folders",
        "data.root=DATA",
        "init=RUN",
    ]


def test_a_run_that_went_on_with_another_has_no_single_command(run):
    write_settings(run, "run=outputs/run", "max_epochs=9")
    with pytest.raises(ValueError, match="went on with another run"):
        gallery.settings_of(run)


def test_only_the_chosen_entries_are_trained_and_a_failed_one_stays(run, tmp_path, monkeypatch):
    (tmp_path / "gallery.json").write_text(json.dumps({"modality": told("modality")}))
    places = {"FOLDER": tmp_path, "RECORD": tmp_path / "gallery.json", "PAGE": tmp_path / "page.md"}
    for name, path in places.items():
        monkeypatch.setattr(gallery, name, path)
    trained = []

    def train(name, folder, minutes):
        trained.append((name, minutes))
        if name == "modality":
            raise gallery.subprocess.CalledProcessError(1, "im2im")
        return run

    monkeypatch.setattr(gallery, "trained", train)
    with pytest.raises(SystemExit, match="1 entries failed: modality"):
        gallery.main(["--only", "modality", "semantic", "nuclei_3d", "--minutes", "0.5"])
    assert trained == [("modality", 0.5), ("semantic", 0.5)]
    record = json.loads((tmp_path / "gallery.json").read_text())
    assert set(record) == {"modality", "semantic"}
    assert (tmp_path / "page.md").read_text() == gallery.page(record)


def test_an_unknown_entry_is_refused_before_anything_is_trained():
    with pytest.raises(SystemExit, match="no such entry, got cats; choose among labelfree_2d"):
        gallery.main(["--only", "cats"])


def test_minutes_become_the_time_of_the_training():
    assert gallery.ENTRIES["restoration"].arguments(0.3)[-1] == "max_time=00:00:00:18"
    assert gallery.ENTRIES["restoration"].arguments(90)[-1] == "max_time=00:01:30:00"
