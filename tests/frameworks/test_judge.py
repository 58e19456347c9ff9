from functools import partial

import pytest
import torch

from im2im.frameworks.judge import ImagePool, Judge
from im2im.losses.adversarial import LeastSquares
from im2im.networks.patchgan import MultiScale, PatchGAN


def numbered(first: int, count: int, shape=(1, 2, 2)) -> torch.Tensor:
    return torch.arange(first, first + count).float().reshape(-1, *[1] * len(shape)).expand(-1, *shape)


def numbers(images) -> list[int]:
    return [int(image.flatten()[0]) for image in images]


@pytest.mark.parametrize("shape", [(1, 2, 2), (2, 2, 2, 2)], ids=["2D", "3D"])
def test_until_it_is_full_a_pool_keeps_all_and_gives_back_what_came(shape):
    pool, images = ImagePool(5), numbered(0, 5, shape)
    assert torch.equal(pool.exchange(images), images)
    assert numbers(pool.images) == [0, 1, 2, 3, 4]


def test_a_full_pool_swaps_half_of_what_comes_and_keeps_its_size():
    torch.manual_seed(0)
    pool, given = ImagePool(50), []
    for first in range(0, 4000, 8):
        given += numbers(pool.exchange(numbered(first, 8)))
        assert len(pool.images) == min(first + 8, 50)
    swapped = [index for index, number in enumerate(given) if number != index]
    assert 0.46 < len(swapped) / 3950 < 0.54
    assert all(given[index] < index for index in swapped)


def test_an_image_is_given_back_once_or_still_kept():
    torch.manual_seed(1)
    pool, given = ImagePool(7), []
    for first in range(0, 200, 4):
        given += numbers(pool.exchange(numbered(first, 4)))
    assert max(given.count(number) for number in set(given)) == 2  # as it came while the pool filled, and when it left
    assert not set(numbers(pool.images)) & {number for number in given if number >= 7}


def test_every_place_of_a_pool_is_exchanged():
    torch.manual_seed(2)
    pool = ImagePool(5)
    pool.exchange(numbered(0, 100))
    assert min(numbers(pool.images)) >= 5


def test_a_pool_of_size_zero_gives_everything_back():
    pool, images = ImagePool(0), numbered(0, 20)
    assert torch.equal(pool.exchange(images), images)
    assert pool.images == []


def test_what_a_pool_keeps_holds_no_graph_and_does_not_change():
    pool, images = ImagePool(4), torch.ones(2, 1, 2, 2, requires_grad=True)
    assert not pool.exchange(images * 1).requires_grad
    with torch.no_grad():
        images *= 5
    assert numbers(pool.images) == [1, 1]
    assert not any(image.requires_grad for image in pool.images)


def test_earlier_images_come_in_the_type_of_the_new_ones():
    torch.manual_seed(0)
    pool = ImagePool(1)
    pool.exchange(numbered(0, 1).bfloat16())
    assert pool.exchange(numbered(1, 20)).dtype == torch.float32


def test_earlier_images_of_another_size_are_replaced_and_not_shown():
    torch.manual_seed(0)
    pool = ImagePool(5)
    pool.exchange(numbered(0, 5))
    assert pool.exchange(numbered(5, 50, (1, 3, 4))).shape == (50, 1, 3, 4)
    assert {image.shape for image in pool.images} == {(1, 3, 4)}


@pytest.fixture
def judge() -> Judge:
    torch.manual_seed(0)
    return Judge(MultiScale(partial(PatchGAN, 2, (1,), channels=4, layers=1), 2, 2), LeastSquares())


def test_a_judge_is_trained_on_real_and_on_fake_images(judge):
    real, fake = torch.randn(2, 3, 1, 32, 32)
    scores = [[score for score, _ in judge.discriminator(images)] for images in (real, fake)]
    assert float(judge.loss(real, fake)) == pytest.approx(float(LeastSquares().discriminator(*scores)), rel=1e-4)


def test_a_judge_sends_no_gradient_to_the_network_that_it_is_trained_against(judge):
    real, fake = torch.randn(2, 3, 1, 32, 32).unbind()
    fake.requires_grad_()
    judge.loss(real, fake).backward()
    assert fake.grad is None
    judge.deceived(fake).backward()
    assert (fake.grad.flatten(1).abs().sum(1) > 0).all()


def test_a_pool_of_negative_size_is_refused(judge):
    with pytest.raises(ValueError, match=r"got -1; change framework\.judges\.target\.pool_size"):
        Judge(judge.discriminator, LeastSquares(), -1)
