import pytest
import torch

from im2im.frameworks.pix2pix import Weights
from im2im.losses.segmentation import CrossEntropy
from im2im.tasks.semantic import Semantic


def batch_of(size: int) -> dict:
    generator = torch.Generator().manual_seed(1)
    source, target = torch.randn(2, size, 1, 32, 32, generator=generator)
    return {"source": source, "target": target, "name": ["a"] * size}


def test_one_forward_of_the_generator_serves_both_updates(make_pix2pix, fit):
    framework = make_pix2pix()
    fit(framework, batch_size=8, limit_val_batches=0)
    assert framework.network.calls == 1


@pytest.mark.parametrize("weights", [Weights(1, 0, 0), Weights(0, 0, 10)], ids=["adversarial", "feature matching"])
def test_every_sample_of_a_batch_reaches_the_loss(weights, make_pix2pix):
    framework, batch = make_pix2pix(weights, scales=2), batch_of(4)
    prediction = batch["target"].roll(1, dims=0).clone().requires_grad_()
    torch.stack(list(framework._generate(batch, prediction).values())).sum().backward()
    assert (prediction.grad.flatten(1).abs().sum(1) > 0).all()


def test_losses_of_a_batch_are_the_mean_over_its_samples(make_pix2pix):
    framework, batch = make_pix2pix(Weights(1, 100, 10), scales=2), batch_of(3)
    prediction = batch["source"]
    whole = framework.validation_terms(batch, prediction)
    singles = [framework.validation_terms({key: value[i : i + 1] for key, value in batch.items()}, prediction[i : i + 1]) for i in range(3)]
    for name, value in whole.items():
        assert value.item() == pytest.approx(torch.stack([single[name] for single in singles]).mean().item(), rel=1e-4), name


def test_updating_the_discriminator_leaves_the_network_alone(make_pix2pix, fit):
    framework = make_pix2pix(Weights(0, 0, 0), optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    before = [parameter.clone() for parameter in framework.network.parameters()]
    judge = [parameter.clone() for parameter in framework.discriminator.parameters()]
    fit(framework)
    assert all(torch.equal(a, b) for a, b in zip(before, framework.network.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(judge, framework.discriminator.parameters(), strict=True))


def test_feature_matching_costs_nothing_when_its_weight_is_zero(make_pix2pix):
    assert "feature_matching" not in make_pix2pix().validation_terms(batch_of(2), batch_of(2)["source"])


@pytest.mark.parametrize("weights", [Weights(1, 100, 0), Weights(1, 100, 10)], ids=["pix2pix", "feature matching"])
@pytest.mark.parametrize("terms", ["_judge", "_generate"])
def test_excluded_pixels_take_part_in_no_loss(weights, terms, make_pix2pix):
    framework, batch = make_pix2pix(weights, scales=2), batch_of(2)
    batch["cost_map"] = torch.ones(2, 1, 32, 32)
    batch["cost_map"][0, :, :, :13] = 0
    prediction = torch.zeros(2, 1, 32, 32, requires_grad=True)
    loss = torch.stack(list(getattr(framework, terms)(batch, prediction).values())).sum()
    loss.backward()
    excluded = batch["cost_map"] == 0
    assert (prediction.grad[excluded] == 0).all()
    assert (prediction.grad[~excluded] != 0).any()
    changed = {**batch, "target": torch.where(excluded, 99.0, batch["target"])}
    assert torch.stack(list(getattr(framework, terms)(changed, prediction).values())).sum() == loss


def test_the_discriminator_sees_the_masks_of_classes_and_none_that_is_ignored(make_pix2pix):
    task = Semantic(CrossEntropy(), ("a", "b", "c"), ignore_index=9)
    framework, batch = make_pix2pix(task=task, channels=(1, 3)), batch_of(2)
    batch["target"] = batch["target"].clamp(0, 2).round()
    batch["target"][..., :5] = 9
    seen = []
    scales = framework.discriminator.forward
    framework.discriminator.forward = lambda images: seen.append(images) or scales(images)
    framework._judge(batch, 50 * torch.randn(2, 3, 32, 32))
    source, real, fake = seen[0][:, :1], seen[0][:2, 1:], seen[0][2:, 1:]
    assert torch.equal(source, batch["source"].repeat(2, 1, 1, 1))
    assert torch.equal(real[..., 5:], task.present(batch["target"])[..., 5:])
    assert (real[..., :5] == 0).all()
    assert (fake[..., :5] == 0).all()
    assert fake[..., 5:].min() == pytest.approx(-1)
    assert fake[..., 5:].max() == pytest.approx(1)
