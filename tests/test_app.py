import pytest
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from im2im.app import one_line, read_from_data, root_of
from im2im.ensemble import runs_of


def test_the_message_meant_for_the_user_is_told_not_the_one_of_the_builder():
    error = InstantiationException("Error in call to target")
    error.__cause__ = ValueError("first line\nsecond line")
    assert one_line(error) == "first line second line"


def test_an_error_that_nobody_foresaw_says_its_kind_and_how_to_see_more():
    assert one_line(KeyError("x")) == "KeyError: 'x' (HYDRA_FULL_ERROR=1 shows where)"


class Data:
    """Images of two channels, whose targets have one."""

    def channels(self):
        return 2, 1

    def voxel_size(self):
        return [0.5, 0.25]


TASK = {
    "_target_": "im2im.tasks.semantic.Semantic",
    "criterion": {"_target_": "im2im.losses.segmentation.CrossEntropy"},
    "classes": ["background", "cell", "nucleus"],
}


def test_what_nobody_gave_is_read_from_the_data():
    cfg = OmegaConf.create({"in_channels": None, "out_channels": None, "voxel_size": None, "task": TASK})
    read_from_data(cfg, Data())
    assert (cfg.in_channels, cfg.out_channels, list(cfg.voxel_size)) == (2, 3, [0.5, 0.25])


def test_what_was_given_stays_and_the_data_are_not_opened_for_it():
    given = {"in_channels": 4, "out_channels": 5, "voxel_size": [1.0, 1.0], "task": TASK}
    cfg = OmegaConf.create(given)
    read_from_data(cfg, None)
    assert OmegaConf.to_container(cfg) == given
    cfg.voxel_size = None
    read_from_data(cfg, Data())
    assert (cfg.in_channels, cfg.out_channels, list(cfg.voxel_size)) == (4, 5, [0.5, 0.25])


@pytest.mark.parametrize(("run", "runs"), [("a", ["a"]), (["a"], ["a"]), (["a", "b"], ["a", "b"])])
def test_one_run_or_several_can_be_given(run, runs):
    assert runs_of(OmegaConf.create({"run": run})) == runs


def test_a_data_folder_is_the_same_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = [OmegaConf.create({"data": {"root": root}}) for root in ("images", "images/", "./images", str(tmp_path / "images"))]
    assert len({root_of(cfg) for cfg in written}) == 1
    assert root_of(OmegaConf.create({"data": {"root": None}})) is None
