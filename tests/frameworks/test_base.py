from types import SimpleNamespace

import pytest
import torch
from torch import nn

from im2im.frameworks.optimization import Optimization


@pytest.fixture
def make(request):
    """Whatever makes a framework, by its name."""
    return lambda name, **settings: request.getfixturevalue(f"make_{name}")(**settings)


@pytest.mark.parametrize("name", ["fcn", "pix2pix", "cyclegan"])
def test_clipping_bounds_the_gradient_of_each_step(name, make, fit):
    norms = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            loss = closure() if closure else None
            gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
            norms.append(float(torch.cat([g.flatten() for g in gradients]).norm()))
            return loss

    fit(make(name, optimizer=lambda parameters: Watched(parameters, lr=0.0), gradient_clip=0.01))
    assert norms
    assert max(norms) <= 0.0101
    norms.clear()
    fit(make(name, optimizer=lambda parameters: Watched(parameters, lr=0.0)))
    assert max(norms) > 0.0101


def test_accumulating_two_batches_of_four_equals_one_batch_of_eight(make_fcn, fit):
    whole, halves = make_fcn(), make_fcn(accumulate=2)
    fit(whole, batch_size=8)
    fit(halves, batch_size=4)
    assert torch.allclose(whole.network.weight, halves.network.weight, atol=1e-6)
    assert not torch.allclose(whole.network.weight, make_fcn().network.weight)


def test_the_clock_stops_with_the_training(make_fcn, fit, monkeypatch):
    framework = make_fcn()
    fit(framework)
    seconds = framework.trained_seconds()
    assert seconds > 0
    monkeypatch.setattr("im2im.frameworks.base.time", SimpleNamespace(monotonic=lambda: 1e12))
    assert framework.trained_seconds() == seconds


def test_last_batches_of_an_epoch_count_even_when_fewer_than_accumulate(make_fcn, fit):
    framework = make_fcn(accumulate=100)
    fit(framework, batch_size=4)
    assert not torch.allclose(framework.network.weight, make_fcn().network.weight)


def test_schedule_steps_once_an_epoch(make_pix2pix, fit):
    framework = make_pix2pix(scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.1))
    trainer = fit(framework, max_epochs=2)
    assert [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups] == pytest.approx([1e-5, 1e-5])


@pytest.mark.parametrize("name", ["fcn", "pix2pix", "cyclegan"])
def test_mixed_precision_trains(name, make, fit):
    framework = make(name)
    before = framework.network.weight.clone()
    trainer = fit(framework, precision="bf16-mixed")
    assert not torch.equal(before, framework.network.weight)
    assert torch.isfinite(trainer.callback_metrics["val/loss"])


def test_validation_logs_the_losses_of_training_and_the_metrics_of_the_task(make_pix2pix, fit):
    seen = fit(make_pix2pix()).callback_metrics
    assert {"val/loss", "val/pearson", "val/discriminator", "val/adversarial", "val/reconstruction"} <= seen.keys()
    assert {"train/discriminator", "train/adversarial", "train/reconstruction"} <= seen.keys()


@pytest.mark.parametrize("shape", [(1, 37, 50), (1, 16, 16)])
def test_a_network_of_stride_four_takes_images_of_any_size(shape, make_fcn):
    framework = make_fcn()
    framework.network = nn.Sequential(nn.Conv2d(1, 2, 4, stride=4), nn.ConvTranspose2d(2, 1, 4, stride=4))
    assert framework.predict(torch.randn(shape)).shape == shape
    assert framework.size(torch.zeros(shape)).multiple == (4, 4)


def test_the_outputs_of_several_runs_are_averaged(make_fcn):
    first, *others = frameworks = [make_fcn() for _ in range(3)]
    for factor, framework in enumerate(frameworks):
        framework.network.weight.data.fill_(0.1 * factor)
    image = torch.randn(1, 16, 16)
    mean = torch.stack([framework.predict(image) for framework in frameworks]).mean(dim=0)
    first.others = others
    assert torch.allclose(first.predict(image), mean, atol=1e-6)
    assert not torch.allclose(first.inference(first.output, image), mean, atol=1e-2)


def test_predicting_leaves_batch_statistics_alone(make_fcn):
    framework = make_fcn()
    framework.network = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 1, 3, padding=1))
    framework.train()
    framework.predict(torch.randn(1, 16, 16) + 5)
    assert float(framework.network[0].running_mean) == 0


@pytest.mark.parametrize("settings", [{"accumulate": 0}, {"gradient_clip": 0.0}])
def test_settings_that_train_nothing_are_refused(settings):
    with pytest.raises(ValueError, match=f"framework.optimization.{next(iter(settings))}"):
        Optimization(torch.optim.SGD, **settings)
