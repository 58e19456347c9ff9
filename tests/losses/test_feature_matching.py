import pytest
import torch

from im2im.losses.feature_matching import feature_matching


def constant(value, *shape):
    return torch.full(shape, float(value), requires_grad=True)


@pytest.mark.parametrize("size", [(4, 4), (2, 4, 4)])
def test_layers_are_summed_and_scales_averaged(size):
    real = [[constant(1, 2, 3, *size), constant(0, 2, 5, *size)], [constant(0, 2, 3, *size)]]
    fake = [[constant(3, 2, 3, *size), constant(0.5, 2, 5, *size)], [constant(4, 2, 3, *size)]]
    assert feature_matching(real, fake).item() == pytest.approx(((2 + 0.5) + 4) / 2)


def test_every_sample_of_the_batch_gets_the_same_gradient():
    real, fake = constant(0, 3, 2, 4, 4), constant(1, 3, 2, 4, 4)
    feature_matching([[real]], [[fake]]).backward()
    torch.testing.assert_close(fake.grad.flatten(1).sum(dim=1), torch.full((3,), 1 / 3))


def test_every_layer_of_every_scale_gets_a_gradient():
    real = [[constant(0, 1, 1, 2, 2) for _ in range(3)] for _ in range(2)]
    fake = [[constant(1, 1, 1, 2, 2) for _ in range(3)] for _ in range(2)]
    feature_matching(real, fake).backward()
    assert all(feature.grad.abs().min() > 0 for scale in fake for feature in scale)


def test_nothing_flows_back_through_the_real_features():
    real, fake = constant(0, 1, 1, 2, 2), constant(1, 1, 1, 2, 2)
    feature_matching([[real]], [[fake]]).backward()
    assert real.grad is None


def test_a_missing_layer_is_refused():
    feature = constant(0, 1, 1, 2, 2)
    with pytest.raises(ValueError, match="shorter"):
        feature_matching([[feature, feature]], [[feature]])
