import pytest

from im2im.ranks import RANKS, first_process, started_together


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    for name in (*RANKS, "WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True),
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "0"}, True),
        ({"SLURM_PROCID": "3"}, False),
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),
        ({"NODE_RANK": "1"}, False),
    ],
)
def test_only_the_first_process_of_all_machines_speaks(variables, first, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert first_process() == first


@pytest.mark.parametrize(
    ("variables", "together"),
    [({}, False), ({"WORLD_SIZE": "1"}, False), ({"SLURM_NTASKS": "4"}, False), ({"SLURM_STEP_NUM_TASKS": "4"}, True)],
)
def test_a_job_of_several_tasks_is_only_together_where_srun_started_it(variables, together, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert started_together() == together
