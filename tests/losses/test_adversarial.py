import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from im2im.losses.adversarial import CrossEntropy, Hinge, LeastSquares

CRITERIA = [CrossEntropy(), LeastSquares(), Hinge()]
REAL = torch.tensor([2.0, 0.5]).view(2, 1, 1, 1)  # scores of two samples
FAKE = torch.tensor([-1.0, 3.0]).view(2, 1, 1, 1)


def test_cross_entropy_is_that_of_torch():
    real, fake = (binary_cross_entropy_with_logits(scores, torch.full_like(scores, label)) for scores, label in ((REAL, 1), (FAKE, 0)))
    torch.testing.assert_close(CrossEntropy().discriminator([REAL], [FAKE]), (real + fake) / 2)
    torch.testing.assert_close(CrossEntropy().generator([FAKE]), binary_cross_entropy_with_logits(FAKE, torch.ones_like(FAKE)))


def test_least_squares_is_the_distance_to_one_and_zero():
    assert LeastSquares().discriminator([REAL], [FAKE]).item() == pytest.approx(((1 + 0.25) / 2 + (1 + 9) / 2) / 2)
    assert LeastSquares().generator([FAKE]).item() == pytest.approx((4 + 4) / 2)


def test_hinge_is_the_distance_to_the_margin():
    assert Hinge().discriminator([REAL], [FAKE]).item() == pytest.approx((0 + 0.5) / 2 + (0 + 4) / 2)
    assert Hinge().generator([FAKE]).item() == pytest.approx(-(-1 + 3) / 2)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_scales_weigh_alike_however_many_scores_they_have(criterion):
    coarse, fine = torch.full((2, 1, 1, 1), 0.3), torch.full((2, 1, 8, 8), -0.8)
    both = criterion.generator([coarse, fine])
    torch.testing.assert_close(both, (criterion.generator([coarse]) + criterion.generator([fine])) / 2)
    both = criterion.discriminator([coarse, fine], [fine, coarse])
    torch.testing.assert_close(both, (criterion.discriminator([coarse], [fine]) + criterion.discriminator([fine], [coarse])) / 2)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("size", [(4, 4), (2, 4, 4)])
def test_every_sample_of_the_batch_gets_the_same_gradient(criterion, size):
    real, fake = torch.zeros(3, 1, *size, requires_grad=True), torch.zeros(3, 1, *size, requires_grad=True)
    (criterion.discriminator([real], [fake]) + 2 * criterion.generator([fake])).backward()
    for scores in (real, fake):
        gradients = scores.grad.flatten(1).sum(dim=1)
        assert gradients[0] != 0
        torch.testing.assert_close(gradients, gradients[:1].expand(3))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_better_scores_are_a_smaller_loss_for_either_side(criterion):
    high, low = [torch.full((1, 1, 2, 2), 0.7)], [torch.full((1, 1, 2, 2), 0.2)]
    assert criterion.discriminator(high, low) < criterion.discriminator(low, high)
    assert criterion.generator(high) < criterion.generator(low)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_large_scores_of_half_precision_do_not_overflow(criterion):
    scores = [torch.full((1, 1, 2, 2), 1000.0, dtype=torch.float16)]
    assert torch.isfinite(criterion.discriminator(scores, scores))
    assert torch.isfinite(criterion.generator(scores))
