"""Every task with every framework, network and number of axes: it runs, or it is refused by a line that says what fits."""

import itertools

import pytest
from tests_tiny import CONF, NETWORKS, built, composed, evaluate_once, measured_once, predict_once, tiny, train_once

from im2im.app import EXPECTED, one_line

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*")  # of the trainer's own making
AXES = (2, 3)
TASKS = ("labelfree", "restoration", "modality", "staining", "synthesis", "semantic", "instance")
FRAMEWORKS = ("fcn", "pix2pix", "pix2pixhd", "cyclegan", "embedseg")
ALL = set(itertools.product(TASKS, FRAMEWORKS, NETWORKS, AXES))


def fits(task: str, framework: str) -> bool:
    return (task == "instance") == (framework == "embedseg")


def usual_task(framework: str) -> str:
    return "instance" if framework == "embedseg" else "labelfree"


WITH_ONE_NETWORK = {(*pair, "fnet", dims) for pair in itertools.product(TASKS, FRAMEWORKS) for dims in AXES}
WITH_ONE_TASK = {
    (usual_task(framework), framework, network, dims) for framework, network, dims in itertools.product(FRAMEWORKS, NETWORKS, AXES)
}
SOME = WITH_ONE_NETWORK | WITH_ONE_TASK


def of(combinations) -> pytest.MarkDecorator:
    """Parametrize in an order in which neighbours share their images."""
    order = sorted(combinations, key=lambda names: (names[0], names[3], names[1], names[2]))
    return pytest.mark.parametrize(("task", "framework", "network", "spatial_dims"), order, ids=str)


@pytest.fixture(autouse=True)
def _sizes_measured_once(monkeypatch):
    monkeypatch.setattr("im2im.frameworks.base.input_size", measured_once)


def runs_or_is_refused(task: str, framework: str, network: str, spatial_dims: int, folder) -> None:
    """Train, evaluate and predict; or be refused in one line that names the framework, or the task, that fits."""
    config = tiny(composed(f"task={task}", f"framework={framework}"), network, spatial_dims)
    if not fits(task, framework):
        with pytest.raises(EXPECTED) as refused:
            built(config)
        line = one_line(refused.value)
        assert "\n" not in line
        assert "HYDRA_FULL_ERROR" not in line
        assert line.endswith("set framework=embedseg" if task == "instance" else "set task=instance or framework=fcn")
        return
    learner, data, batch = built(config)
    train_once(learner, batch, folder)
    evaluate_once(learner, data)
    predict_once(learner, data)


@of(SOME)
def test_a_combination_runs_or_is_refused(task, framework, network, spatial_dims, tmp_path):
    runs_or_is_refused(task, framework, network, spatial_dims, tmp_path)


@pytest.mark.slow
@of(ALL - SOME)
def test_any_other_combination_runs_or_is_refused_too(task, framework, network, spatial_dims, tmp_path):
    runs_or_is_refused(task, framework, network, spatial_dims, tmp_path)


@pytest.mark.parametrize(("group", "tested"), [("task", TASKS), ("framework", FRAMEWORKS), ("network", NETWORKS)])
def test_every_option_is_among_the_combinations(group, tested):
    assert {path.stem for path in (CONF / group).glob("[!_]*.yaml")} == set(tested)


@pytest.mark.parametrize(
    ("settings", "advice"),
    [(["task=instance", "framework=fcn"], "set framework=embedseg"), (["task=semantic", "framework=embedseg"], "set task=instance")],
)
def test_the_command_line_refuses_what_does_not_fit_in_one_line(im2im, capsys, settings, advice):
    with pytest.raises(SystemExit, match="1"):
        im2im(*settings, "data.counts={train:1,val:0,test:0}", "data.size=[32,32]")
    *first, line = capsys.readouterr().err.splitlines()
    assert [one[:6] for one in first] == ["im2im "]
    assert advice in line
