import pytest
import yaml
from omegaconf import OmegaConf
from tests_commands import im2im, result

from im2im.search.planned import of_trial

PLAN = {"patch_size": [32, 32], "network.depth": 3, "criterion": "mse_correlation", "criterion.weights.mse": 2.0}
CHOICES = {"network": "fnet", "criterion": "mse_correlation"}
WHOLE = ["patch_size=[32,32]", "network.depth=3", "criterion=mse_correlation", "criterion.weights.mse=2.0"]


@pytest.mark.parametrize(
    ("trial", "kept"),
    [
        ((), WHOLE),
        (("learning_rate=0.1",), WHOLE),
        (("network=fnet", "network.depth=2"), WHOLE),  # the trial's own depth comes later
        (("network=unet",), [WHOLE[0], *WHOLE[2:]]),
        (("criterion=mse",), WHOLE[:2]),
    ],
)
def test_a_trial_keeps_the_plan_but_for_settings_of_an_option_that_it_replaces(trial, kept):
    assert of_trial(PLAN, trial, CHOICES) == kept


def test_a_trial_with_another_framework_has_an_optimizer_of_its_own():
    plan = {"optimizer": "adamw", "optimizer.weight_decay": 0.01, "learning_rate": 0.002}
    choices = {"framework": "fcn", "optimizer": "adamw"}
    assert of_trial(plan, ["framework=pix2pix"], choices) == ["learning_rate=0.002"]
    assert of_trial(plan, ["framework=fcn"], choices) == ["optimizer=adamw", "optimizer.weight_decay=0.01", "learning_rate=0.002"]


def test_a_search_on_images_of_a_folder_starts_from_their_plan(folders, tmp_path):
    settings = ["task=labelfree", "data=folders", f"data.root={folders}", "data.index=false", "hardware=cpu", "plan=auto"]
    settings += ["data.fractions.test=0.2", "data.fractions.val=0.2", "data.steps_per_epoch=2", "network.depth=1", "batch_size=2"]
    search = ["-m", "search=quick", "search.trials=2", "search.rungs=1", "max_epochs=1", "callbacks.sample_images=null", *settings]
    told = im2im(tmp_path, *search)
    home = result(tmp_path)
    first = OmegaConf.load(home / "trials" / "0" / "config.yaml")
    assert "plan: network: " in told
    assert first.network.residual  # source and target are alike
    assert (first.network.depth, first.batch_size, first.patch_size) == (1, 2, [32, 48])
    assert not first.plan
    assert not (home / "trials" / "0" / "plan.yaml").exists()
    planned = yaml.safe_load((home / "plan.yaml").read_text())["plan"]
    assert planned["patches"]["settings"] == {"patch_size": [32, 48]}
    space = yaml.safe_load((home / "space.yaml").read_text())["space"]
    assert space["criterion"].startswith(f"choice({planned['loss']['settings']['criterion']},")
    width = planned["network"]["settings"]["network.channels"]
    assert "network" not in space  # network.depth was given
    assert first.network.channels == width
    again = im2im(tmp_path, *search)
    assert "plan: " not in again  # the one that the search began with
    assert OmegaConf.load(result(tmp_path) / "best" / "config.yaml").network.channels == width
