import shutil

import pytest
import torch
import yaml
from omegaconf import OmegaConf
from tests_shared import command

from im2im.saved import saved_configuration


def edited(run, tmp_path, change) -> object:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    config = yaml.safe_load((copy / "config.yaml").read_text())
    change(config)
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    return copy


def test_a_short_key_still_reaches_everything_that_follows_it(trained):
    config = saved_configuration(str(trained))
    config.batch_size = 7
    assert config.data.module.sampling.batch_size == 7
    assert config.network.channels == 2


def test_an_edited_configuration_wins(trained, tmp_path):
    copy = edited(trained, tmp_path, lambda config: config.update(batch_size=5))
    assert saved_configuration(str(copy)).data.module.sampling.batch_size == 5


@pytest.mark.parametrize("key", ["plan", "voxel_size"])
def test_a_run_from_before_a_key_existed_predicts_and_goes_on(trained, tmp_path, key):
    copy = edited(trained, tmp_path, lambda config: config.pop(key))
    for path in (copy / "checkpoints").glob("*.ckpt"):
        content = torch.load(path, weights_only=True)
        config = OmegaConf.create(content["im2im"]["config"])
        del config[key]
        torch.save({**content, "im2im": {**content["im2im"], "config": OmegaConf.to_yaml(config)}}, path)
    command(tmp_path, f"run={copy}", "mode=evaluate")
    command(tmp_path, f"run={copy}", "mode=train", "max_epochs=2")
    assert OmegaConf.load(copy / "config.yaml").max_epochs == 2


@pytest.mark.parametrize("target", ["os.system", "subprocess.Popen"])
def test_a_run_that_would_build_something_foreign_is_refused_unless_trusted(target, trained, tmp_path):
    copy = edited(trained, tmp_path, lambda config: config["callbacks"].update(evil={"_target_": target}))
    with pytest.raises(ValueError, match=f"'{target}' at config.callbacks.evil, which is not allowed; set trust=true"):
        saved_configuration(str(copy))
    assert OmegaConf.select(saved_configuration(str(copy), trust=True), "callbacks.evil._target_") == target


def test_a_harmful_run_is_refused_on_the_command_line(trained, tmp_path):
    harm = tmp_path / "harm"
    copy = edited(trained, tmp_path, lambda config: config["network"].update(_target_="os.mkdir", path=str(harm)))
    with pytest.raises(ValueError, match="not allowed"):
        command(tmp_path, "mode=predict", f"run={copy}", f"input={tmp_path}", "output=y")
    assert not harm.exists()


def test_a_finished_run_keeps_its_task(trained, tmp_path):
    with pytest.raises(ValueError, match="task= cannot change a finished run"):
        command(tmp_path, f"run={trained}", "task=labelfree")
    with pytest.raises(ValueError, match="search= cannot change a finished run, got run="):
        command(tmp_path, "-m", "search=quick", f"run={trained}")


def test_keys_beside_run_are_checked_against_the_saved_configuration(trained, tmp_path):
    with pytest.raises(Exception, match="Could not override 'network.colour'"):
        command(tmp_path, f"run={trained}", "network.colour=3")


def test_several_options_of_a_group_can_be_chosen_beside_a_run(trained, tmp_path):
    run = command(tmp_path, f"run={trained}", "mode=evaluate", "logger=[csv,tensorboard]")
    assert set(yaml.safe_load((run / "config.yaml").read_text())["logger"]) == {"csv", "tensorboard"}


def test_an_edit_of_an_interpolated_part_keeps_the_rest_of_it(trained, tmp_path):
    copy = edited(trained, tmp_path, lambda config: config["framework"]["network"].update(channels=3))
    config = saved_configuration(str(copy))
    assert (config.framework.network.channels, config.network.channels) == (3, 2)
    assert config.framework.network._target_.endswith("FNet")


def test_an_edit_of_a_short_key_does_not_cut_what_follows_it(trained, tmp_path):
    def change(config):
        config["max_epochs"] = config["trainer"]["max_epochs"] = config["scheduler"]["max_epochs"] = 7

    config = saved_configuration(str(edited(trained, tmp_path, change)))
    assert config.trainer.max_epochs == 7
    config.max_epochs = 9
    assert config.trainer.max_epochs == 9


def test_settings_of_hydra_in_a_run_are_not_taken_up(trained, tmp_path):
    harm = tmp_path / "harm"
    handler = {"()": "os.mkdir", "path": str(harm)}
    copy = edited(trained, tmp_path, lambda config: config.update(hydra={"job_logging": {"handlers": {"evil": handler}}}))
    command(tmp_path, "mode=evaluate", f"run={copy}")
    assert not harm.exists()


def test_values_computed_in_a_run_are_refused(trained, tmp_path):
    copy = edited(trained, tmp_path, lambda config: config["network"].update(channels="${oc.env:HOME}"))
    with pytest.raises(ValueError, match=r"computes network\.channels"):
        saved_configuration(str(copy))
