import pickle

import pytest
import torch
from torch import nn

from im2im import checkpoint


class Holder(nn.Module):
    def __init__(self, width: int = 2, **parts: nn.Module) -> None:
        super().__init__()
        self.network = nn.Linear(1, width)
        for name, part in parts.items():
            self.add_module(name, part)


def saved(module: nn.Module, path) -> dict:
    torch.save({"state_dict": module.state_dict(), "im2im": {"config": "", "target_scale": {}}}, path)
    return checkpoint.read(path)


def test_the_best_checkpoint_of_a_run_is_found_and_the_last_one_where_it_is_asked_for(tmp_path):
    for name in ("best", "last"):
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        (tmp_path / "checkpoints" / f"{name}.ckpt").touch()
    assert checkpoint.find(tmp_path).name == "best.ckpt"
    assert checkpoint.find(tmp_path, "last").name == "last.ckpt"
    assert checkpoint.find(tmp_path / "checkpoints" / "last.ckpt").name == "last.ckpt"
    (tmp_path / "checkpoints" / "chosen.ckpt").touch()
    assert checkpoint.find(tmp_path).name == "chosen.ckpt"
    assert checkpoint.find(tmp_path, "last").name == "last.ckpt"
    (tmp_path / "checkpoints" / "last.ckpt").unlink()
    assert checkpoint.find(tmp_path, "last").name == "best.ckpt"


@pytest.mark.parametrize(("place", "told"), [("nowhere", "nothing at run="), ("", "holds no checkpoints/best.ckpt")])
def test_a_run_that_is_none_is_named(place, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        checkpoint.find(tmp_path / place)


@pytest.mark.parametrize(
    "content", [{"state_dict": {}}, {"im2im": {}}, {"model": 1}, [1, 2]], ids=["no record", "no weights", "other", "list"]
)
def test_a_checkpoint_of_something_else_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="a checkpoint of something else"):
        checkpoint.read(tmp_path / "a.ckpt")


class Harmful:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_reading_a_checkpoint_runs_none_of_its_code(tmp_path):
    torch.save({"state_dict": {}, "im2im": Harmful(tmp_path / "harm")}, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        checkpoint.read(tmp_path / "a.ckpt")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", pickle.dumps({"a": 1})])
def test_a_file_that_is_no_checkpoint_is_named(content, tmp_path):
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.ckpt"):
        checkpoint.read(tmp_path / "a.ckpt")


def test_weights_are_taken_wholly(tmp_path):
    first, second = Holder(), Holder()
    checkpoint.load_weights(second, saved(first, tmp_path / "a.ckpt"), tmp_path)
    assert torch.equal(first.network.weight, second.network.weight)


@pytest.mark.parametrize(("other", "told"), [(Holder(3), "2 of another shape"), (Holder(judge=nn.Linear(1, 1)), "2 missing")])
def test_weights_that_do_not_fit_are_refused(other, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        checkpoint.load_weights(other, saved(Holder(), tmp_path / "a.ckpt"), tmp_path)


def test_a_gan_starts_from_the_network_of_a_supervised_run(tmp_path):
    trained, gan = Holder(), Holder(discriminator=nn.Linear(1, 1))
    fresh = gan.discriminator.weight.clone()
    said = checkpoint.initialize(gan, saved(trained, tmp_path / "a.ckpt"), tmp_path / "a.ckpt")
    assert torch.equal(gan.network.weight, trained.network.weight)
    assert torch.equal(gan.discriminator.weight, fresh)
    assert "network: all 2 tensors taken" in said
    assert "discriminator starts fresh" in said


def test_what_a_new_training_does_not_use_is_said(tmp_path):
    said = checkpoint.initialize(Holder(), saved(Holder(discriminator=nn.Linear(1, 1)), tmp_path / "a.ckpt"), tmp_path / "a.ckpt")
    assert "discriminator of a.ckpt unused" in said


def test_starting_from_a_network_of_another_shape_is_refused_and_changes_nothing(tmp_path):
    network = Holder(2)
    before = network.network.weight.clone()
    with pytest.raises(ValueError, match=r"does not fit the network: 2 of another shape \(first: bias\)"):
        checkpoint.initialize(network, saved(Holder(3), tmp_path / "a.ckpt"), tmp_path / "a.ckpt")
    assert torch.equal(network.network.weight, before)


def test_starting_from_a_run_without_a_network_is_refused(tmp_path):
    other = nn.ModuleDict({"encoder": nn.Linear(1, 1)})
    with pytest.raises(ValueError, match="holds no network"):
        checkpoint.initialize(Holder(), saved(other, tmp_path / "a.ckpt"), tmp_path / "a.ckpt")
