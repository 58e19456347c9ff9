import logging

import numpy as np
import pytest
import torch
from torch import nn

from im2im.affine import Affine
from im2im.frameworks.cyclegan import Weights
from im2im.losses.adversarial import LeastSquares
from im2im.losses.segmentation import CrossEntropy
from im2im.tasks.semantic import Semantic


class Line(nn.Module):
    """A network that is a known function, and counts its forwards."""

    calls = 0

    def __init__(self, factor: float, out_channels: int | None = None) -> None:
        super().__init__()
        self.factor, self.out_channels = nn.Parameter(torch.tensor(factor)), out_channels

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        image = image if self.out_channels is None else image[:, :1].expand(-1, self.out_channels, *image.shape[2:])
        return self.factor * image


class Pairs(torch.utils.data.Dataset):
    """Eight fixed random pairs of 16² pixels, with what else is said of each."""

    def __init__(self, **facts) -> None:
        self.images, self.facts = torch.randn(2, 8, 1, 16, 16, generator=torch.Generator().manual_seed(3)), facts

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        return {"source": self.images[0, index], "target": self.images[1, index], "name": str(index), **self.facts}


def batch_of(size: int = 4) -> dict:
    source, target = torch.randn(2, size, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    return {"source": source, "target": target, "name": ["a"] * size}


def values(module: nn.Module) -> list[float]:
    return [float(value) for parameter in module.parameters() for value in parameter.detach().flatten()]


def terms_of(framework, batch) -> dict[str, float]:
    return {name: value.item() for name, value in framework.validation_terms(batch, torch.empty(0)).items()}


def test_each_term_is_that_of_the_paper(make_cyclegan):
    framework, batch = make_cyclegan(Weights(1, 10, 2), Line(2.0), Line(0.25)), batch_of()
    terms, size = terms_of(framework, batch), {side: float(batch[side].abs().mean()) for side in ("source", "target")}
    assert terms["cycle_source"] == pytest.approx(10 * 0.5 * size["source"])  # 0.25 · 2 · A
    assert terms["cycle_target"] == pytest.approx(10 * 0.5 * size["target"])
    assert terms["identity_target"] == pytest.approx(2 * 1.0 * size["target"])  # the network for the target: 2 · B
    assert terms["identity_source"] == pytest.approx(2 * 0.75 * size["source"])  # the network for the source: 0.25 · A
    for side, fake in (("target", 2 * batch["source"]), ("source", 0.25 * batch["target"])):
        judge = framework.judges[side]
        assert terms[f"deceive_{side}"] == pytest.approx(float(judge.deceived(fake)))
        assert terms[f"judge_{side}"] == pytest.approx(float(judge.loss(batch[side], fake)))


@pytest.mark.parametrize(("identity", "forwards"), [(0.0, 4), (2.0, 6)])
def test_no_forward_is_made_twice_and_none_for_a_term_that_is_left_out(identity, forwards, make_cyclegan, fit):
    there, back = Line(2.0), Line(0.5)
    fit(make_cyclegan(Weights(identity=identity), there, back), batch_size=8, limit_val_batches=0)
    assert there.calls + back.calls == forwards


def test_identity_is_left_out_where_the_sides_differ_in_channels_and_that_is_said_once(make_cyclegan, caplog):
    framework, batch = make_cyclegan(Weights(), Line(2.0, 2), Line(0.5, 1), channels=(1, 2)), batch_of()
    batch["target"] = batch["target"].repeat(1, 2, 1, 1)
    with caplog.at_level(logging.WARNING):
        terms = [terms_of(framework, batch) for _ in range(3)]
    assert not [name for name in terms[0] if name.startswith("identity")]
    assert "cycle_target" in terms[0]
    assert [record.getMessage() for record in caplog.records] == [
        "source and target have 1 and 2 channels: framework.weights.identity is left out"
    ]


def test_the_judges_see_what_the_pools_give(make_cyclegan, fit, monkeypatch):
    framework, seen = make_cyclegan(), {}
    for number, side in enumerate(("source", "target"), start=1):
        judge = framework.judges[side]
        monkeypatch.setattr(judge.pool, "exchange", lambda images, number=number: torch.full_like(images, number))
        loss = judge.loss
        monkeypatch.setattr(judge, "loss", lambda real, fake, side=side, loss=loss: seen.update({side: (real, fake)}) or loss(real, fake))
    fit(framework, batch_size=8, limit_val_batches=0, data=(pairs := Pairs()))
    for number, (side, images) in enumerate(zip(("source", "target"), pairs.images, strict=True), start=1):
        assert (seen[side][1] == number).all()
        assert torch.equal(seen[side][0], images)


def test_pools_hold_the_predictions_of_their_side(make_cyclegan, fit):
    framework = make_cyclegan(there=Line(2.0), back=Line(0.5), pool_size=3, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0))
    fit(framework, batch_size=2, limit_train_batches=1, limit_val_batches=0, data=(pairs := Pairs()))
    assert torch.equal(torch.stack(framework.judges["target"].pool.images), 2 * pairs.images[0, :2])
    assert torch.equal(torch.stack(framework.judges["source"].pool.images), 0.5 * pairs.images[1, :2])


def test_validation_adds_nothing_to_the_pools(make_cyclegan):
    framework = make_cyclegan()
    terms_of(framework, batch_of())
    assert framework.judges["source"].pool.images == framework.judges["target"].pool.images == []


def test_an_interrupted_training_goes_on_with_its_pools(make_cyclegan, fit, tmp_path):
    settings = {"pool_size": 3, "optimizer": lambda parameters: torch.optim.Adam(parameters, lr=0.01)}
    whole, half, resumed, fresh = (make_cyclegan(**settings) for _ in range(4))
    make_cyclegan()  # seeds
    fit(whole, batch_size=2, max_epochs=2)
    make_cyclegan()
    fit(half, batch_size=2, max_epochs=1).save_checkpoint(tmp_path / "half.ckpt")
    fit(resumed, batch_size=2, max_epochs=2, resume=tmp_path / "half.ckpt")
    assert values(resumed) == values(whole) != values(half)
    state = torch.load(tmp_path / "half.ckpt", weights_only=True)
    state["pools"] = [{side: [] for side in pools} for pools in state["pools"]]
    torch.save(state, tmp_path / "empty.ckpt")
    fit(fresh, batch_size=2, max_epochs=2, resume=tmp_path / "empty.ckpt")
    assert values(fresh) != values(whole)


def test_one_update_moves_both_networks_and_no_judge(make_cyclegan, fit):
    class Mute(LeastSquares):
        def discriminator(self, real_scores, fake_scores):
            return 0 * super().discriminator(real_scores, fake_scores)

    framework = make_cyclegan(adversarial=Mute())
    before = [values(part) for part in (framework.network, framework.backward_network, framework.judging)]
    fit(framework)
    after = [values(part) for part in (framework.network, framework.backward_network, framework.judging)]
    assert [old != new for old, new in zip(before, after, strict=True)] == [True, True, False]


def test_the_other_update_moves_both_judges_and_no_network(make_cyclegan, fit):
    framework = make_cyclegan(Weights(0, 0, 0))
    parts = [framework.network, framework.backward_network, *framework.judges.values()]
    before = [values(part) for part in parts]
    fit(framework)
    assert [old != values(part) for old, part in zip(before, parts, strict=True)] == [False, False, True, True]


def test_judges_gather_no_gradient_from_being_deceived(make_cyclegan, fit):
    framework = make_cyclegan()
    gradients = []
    framework.on_before_optimizer_step = lambda optimizer: gradients.append([p.grad is not None for p in framework.judging.parameters()])
    fit(framework, batch_size=8, limit_val_batches=0)
    of_networks, of_judges = gradients
    assert not any(of_networks)
    assert all(of_judges)


@pytest.mark.parametrize("term", ["deceive_target", "deceive_source", "cycle_source", "cycle_target", "identity_target", "identity_source"])
def test_every_sample_of_a_batch_reaches_the_networks(term, make_cyclegan):
    batch = batch_of()
    inputs = [batch[side].requires_grad_() for side in ("source", "target")]
    make_cyclegan(there=Line(2.0), back=Line(0.25)).validation_terms(batch, torch.empty(0))[term].backward()
    side = inputs[term in ("deceive_source", "cycle_target", "identity_target")]
    assert (side.grad.flatten(1).abs().sum(1) > 0).all()


def test_every_sample_of_a_batch_reaches_the_judges(make_cyclegan):
    framework, batch = make_cyclegan(), batch_of(3)
    whole = terms_of(framework, batch)
    singles = [terms_of(framework, {key: value[i : i + 1] for key, value in batch.items()}) for i in range(3)]
    for side in ("source", "target"):
        each = [single[f"judge_{side}"] for single in singles]
        assert whole[f"judge_{side}"] == pytest.approx(np.mean(each), rel=1e-4)
        assert len(set(each)) == 3


def test_without_pairs_validation_logs_cycle_and_identity_as_its_loss_and_no_metric(make_cyclegan, fit):
    seen = fit(make_cyclegan(there=Line(2.0), back=Line(0.25)), data=Pairs(matched=False)).callback_metrics
    own = [float(seen[f"val/{name}"]) for name in ("cycle_source", "cycle_target", "identity_source", "identity_target")]
    assert float(seen["val/loss"]) == pytest.approx(sum(own))
    assert {"val/deceive_target", "val/judge_source"} <= seen.keys()
    assert "val/pearson" not in seen


def test_with_pairs_validation_scores_and_its_loss_is_the_tasks(make_cyclegan, fit):
    framework = make_cyclegan(there=Line(2.0), optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0))
    seen = fit(framework, data=(pairs := Pairs())).callback_metrics
    assert "val/pearson" in seen
    assert float(seen["val/loss"]) == pytest.approx(float((2 * pairs.images[0] - pairs.images[1]).square().mean()), rel=1e-4)


def test_images_that_match_are_scored_beside_others_and_choose_nothing(make_cyclegan):
    framework, batch = make_cyclegan(there=Line(2.0), back=Line(0.25)), batch_of(3)
    logged = {}
    framework.log_terms = lambda stage, terms, size: logged.update(terms)
    framework.log_scores = lambda part, prediction: logged.update(scored=part["source"], prediction=prediction)
    framework.validation_step({**batch, "matched": torch.tensor([False, True, False])}, 0)
    own = [value for name, value in logged.items() if name.startswith(("cycle", "identity"))]
    assert torch.allclose(logged["loss"], torch.stack(own).sum())
    assert torch.equal(logged["scored"], batch["source"][1:2])
    assert torch.allclose(logged["prediction"], 2 * batch["source"][1:2])


def test_backward_predicts_sources_from_targets_in_the_sources_intensities(make_cyclegan):
    framework, image = make_cyclegan(there=Line(2.0), back=Line(0.25), direction="backward"), torch.randn(1, 20, 24)
    framework.record.update(target_scale=Affine((7.0,), (3.0,)).to_dict(), source_scale=Affine((100.0,), (10.0,)).to_dict())
    assert framework.reads == "target"
    assert framework.outputs == ("intensities",)
    output = framework.predict(image)
    assert torch.allclose(output, 0.25 * image)
    assert framework.decode(output.numpy()) == pytest.approx(100 + 10 * 0.25 * image.numpy())


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_network_of_the_direction_is_exchanged(direction, make_cyclegan):
    framework, asked = make_cyclegan(there=Line(2.0), back=Line(0.25), direction=direction), []
    computed = framework.predictor().exchanged(lambda network: asked.append(network) or (lambda image: torch.full_like(image, 0.5)))
    assert torch.equal(computed(torch.randn(1, 1, 8, 8)), torch.full((1, 1, 8, 8), 0.5))
    assert asked == [framework.predicting]
    assert not torch.equal(framework.predictor()(torch.ones(1, 1, 8, 8)), torch.full((1, 1, 8, 8), 0.5))


def test_forward_predicts_targets_from_sources(make_cyclegan):
    framework, image = make_cyclegan(there=Line(2.0), back=Line(0.25)), torch.randn(1, 20, 24)
    framework.record["target_scale"] = Affine((7.0,), (3.0,)).to_dict()
    assert framework.reads == "source"
    assert framework.decode(framework.predict(image).numpy()) == pytest.approx(7 + 3 * 2 * image.numpy())


@pytest.mark.parametrize("single", [True, False])
def test_backward_starts_from_masks_as_the_task_presents_them(single, make_cyclegan):
    task, count = Semantic(CrossEntropy(), single=single), 1 if single else 2
    frameworks = [
        make_cyclegan(there=Line(1.0, count), back=Line(factor, 1), task=task, channels=(1, count), direction="backward")
        for factor in (1.0, 3.0)
    ]
    labels = torch.tensor([[[0.0, 5, 0, 7]] * 4])
    wanted = task.present(labels[None])[0, :1]
    assert torch.equal(frameworks[0].predict(labels), wanted)
    frameworks[0].others = frameworks[1:]
    assert torch.allclose(frameworks[0].predict(labels), 2 * wanted)


def test_what_cannot_be_undone_is_said(make_cyclegan):
    framework = make_cyclegan(direction="backward")
    framework.record["source_scale"] = None
    with pytest.raises(ValueError, match=r"cannot be undone; set framework\.direction=forward"):
        framework.decode(np.zeros((1, 4, 4), np.float32))


def test_another_direction_is_refused(make_cyclegan):
    with pytest.raises(ValueError, match=r"forward, backward, got sideways; change framework\.direction"):
        make_cyclegan(direction="sideways")


def excluded_batch() -> tuple[dict, torch.Tensor]:
    batch = batch_of(2)
    batch["cost_map"] = torch.ones(2, 1, 16, 16)
    batch["cost_map"][:, :, 3:9, 2:7] = 0
    return batch, batch["cost_map"] == 0


def test_excluded_pixels_of_the_target_change_no_term(make_cyclegan):
    framework, (batch, excluded) = make_cyclegan(there=Line(2.0), back=Line(0.25)), excluded_batch()
    changed = {**batch, "target": torch.where(excluded, 99.0, batch["target"])}
    assert terms_of(framework, changed) == terms_of(framework, batch)
    assert terms_of(framework, {**changed, "cost_map": torch.ones_like(batch["cost_map"])}) != terms_of(framework, batch)


class Shifted(Line):
    """Another value than 0 where the image is 0, as real networks give."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(image) + 0.5


@pytest.mark.parametrize("term", ["cycle_target", "identity_target"])
def test_what_is_drawn_in_excluded_pixels_is_not_measured(term, make_cyclegan):
    framework, (batch, excluded) = make_cyclegan(there=Shifted(2.0), back=Line(0.25)), excluded_batch()
    drawn = []
    framework.size(batch["source"][0], framework.network)  # measured on a copy, before it is watched
    framework.network.register_forward_hook(lambda network, inputs, output: drawn.append(output) or output.retain_grad())
    framework.validation_terms(batch, torch.empty(0))[term].backward()
    gradients = [image.grad for image in drawn if image.grad is not None]
    assert len(gradients) == 1
    assert (gradients[0][excluded] == 0).all()
    assert (gradients[0][~excluded] != 0).any()


def test_a_judge_of_targets_does_not_see_what_is_predicted_in_excluded_pixels(make_cyclegan):
    framework, (batch, excluded) = make_cyclegan(there=Line(2.0), back=Line(0.25)), excluded_batch()
    batch["source"].requires_grad_()
    framework.validation_terms(batch, torch.empty(0))["deceive_target"].backward()
    assert (batch["source"].grad[excluded] == 0).all()
    assert (batch["source"].grad[~excluded] != 0).any()


def test_ignored_classes_are_hidden_from_the_judges(make_cyclegan):
    framework = make_cyclegan(there=Line(2.0, 2), back=Line(0.5, 1), task=Semantic(CrossEntropy(), ignore_index=9), channels=(1, 2))
    batch = batch_of(2)
    batch["target"] = (batch["target"] > 0).float()
    batch["target"][..., :5] = 9
    real = []
    framework.judges["target"].loss = lambda images, fake: real.append(images) or images.sum()
    framework.validation_terms(batch, torch.empty(0))
    assert (real[0][..., :5] == 0).all()
    assert (real[0][..., 5:].abs() == 1).all()
