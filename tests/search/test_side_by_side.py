"""Trials side by side, killed, and in one group of W&B."""

import time
from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf
from tests_commands import SEARCH, im2im, im2im_alone, im2im_beside, result, telling, trials_of


def test_a_command_that_is_killed_in_mid_trial_goes_on_when_it_is_started_again(tmp_path):
    again = [*SEARCH, "search.trials=3", "max_epochs=20"]
    running = im2im_beside(tmp_path, *again)
    try:
        while not (halfway := [one for one in trials_of(tmp_path) if one.user_attrs.get("trained") and "reached" in one.user_attrs]):
            assert running.poll() is None
            time.sleep(0.05)
    finally:
        running.kill()
        running.wait()
    ended = {one.number: one for one in trials_of(tmp_path) if one.state.is_finished()}
    im2im(tmp_path, *again)
    table = pd.read_csv(result(tmp_path) / "trials.csv").set_index("trial")
    counted = table[table["state"] != "killed"]
    assert len(counted) == 3
    assert set(counted["state"]) <= {"complete", "pruned"}
    assert len(counted[["learning_rate", "batch_size", "criterion", "normalization", "augmentation"]].drop_duplicates()) == 3
    assert {one.number: one for one in trials_of(tmp_path) if one.number in ended} == ended
    (repeated,) = [one for one in trials_of(tmp_path) if one.params == halfway[0].params and one.number != halfway[0].number]
    assert repeated.user_attrs["reached"].items() > halfway[0].user_attrs["reached"].items()
    assert OmegaConf.load(Path(repeated.user_attrs["folder"]) / "config.yaml").mode.resume == repeated.user_attrs["folder"]


def test_trials_are_trained_side_by_side(tmp_path):
    settings = ["search.trials=2", "search.rungs=1", "max_epochs=1", "search.parallel=2", "hydra/launcher=submitit_local"]
    im2im_alone(tmp_path, *SEARCH, *settings, f"search.storage=sqlite:///{tmp_path}/s3cret.sqlite")
    assert telling(tmp_path, b"s3cret") == []
    table = pd.read_csv(result(tmp_path) / "trials.csv")
    assert table["state"].tolist() == ["complete"] * 2
    assert not table.duplicated(["batch_size", "criterion", "learning_rate", "normalization", "augmentation"]).any()
    assert (result(tmp_path) / "best" / "metrics.json").is_file()


def test_a_trial_that_kills_its_process_takes_no_other_with_it(tmp_path):
    kills = '["+callbacks.kill._target_=signal.raise_signal", "+callbacks.kill._args_=[9]"]'
    (tmp_path / "space.yaml").write_text(f"space:\n  kind: {{good: [batch_size=4], kills: {kills}}}\n")
    settings = ["search.space=space.yaml", "search.sampler=grid", "search.rungs=1", "max_epochs=1"]
    beside = ["search.parallel=2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    im2im_alone(tmp_path, *SEARCH, *settings, *beside, f"search.storage=sqlite:///{tmp_path}/s3cret.sqlite")
    assert telling(tmp_path, b"s3cret") == []
    table = pd.read_csv(result(tmp_path) / "trials.csv")
    ended = table[table["reason"] != "killed"].set_index("kind")
    assert ended["state"].to_dict() == {"good": "complete", "kills": "fail"}
    assert set(table.loc[table["reason"] == "killed", "state"]) == {"killed"}
    assert "the launcher lost it" in ended["reason"]["kills"]
    assert (result(tmp_path) / "best" / "metrics.json").is_file()


def test_trials_are_runs_of_one_group_in_wandb(tmp_path):
    settings = ["search.trials=2", "search.rungs=1", "max_epochs=1", "logger=[csv,wandb]", "logger.wandb.offline=true"]
    told = im2im(tmp_path, *SEARCH, *settings)
    name = next(line.split()[1] for line in told.splitlines() if line.startswith("search labelfree"))
    kept = {path.parents[2].name: path.read_bytes() for path in result(tmp_path).glob("**/run-*.wandb")}
    assert {"0", "1"} <= kept.keys()
    assert all(name.encode() in run for run in kept.values())
