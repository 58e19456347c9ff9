from functools import partial

import pytest
import torch
from torch import nn

from im2im.networks.patchgan import MultiScale, PatchGAN


def identity(channels):
    return nn.Identity()


@pytest.mark.parametrize(
    ("spatial_dims", "layers", "parameters"), [(2, 3, 660_929), (2, 4, 2_762_689), (3, 3, 2_642_369), (3, 4, 11_047_873)]
)
def test_without_the_block_of_stride_one_it_has_as_many_parameters_as_the_reference(spatial_dims, layers, parameters):
    with torch.device("meta"):
        discriminator = PatchGAN(spatial_dims, 1, layers=layers, stride_one_block=False)
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == parameters


@pytest.mark.parametrize(("layers", "stride_one_block", "edge"), [(3, True, 70), (3, False, 46), (2, True, 34), (1, True, 16)])
def test_a_score_sees_a_patch_of_known_size(layers, stride_one_block, edge):
    torch.manual_seed(0)
    discriminator = PatchGAN(2, 1, channels=4, layers=layers, stride_one_block=stride_one_block, norm_layer=identity)
    image = torch.rand(1, 1, 160, 160, requires_grad=True)
    score, _ = discriminator(image)
    middle = score.shape[-1] // 2
    score[0, 0, middle, middle].backward()
    seen = image.grad[0, 0] != 0
    assert (seen.any(dim=0).sum().item(), seen.any(dim=1).sum().item()) == (edge, edge)


def test_256_pixels_become_30_scores_as_in_the_paper():
    score, features = PatchGAN(2, 6, channels=2)(torch.rand(1, 6, 256, 256))
    assert score.shape == (1, 1, 30, 30)
    assert [tuple(feature.shape[1:]) for feature in features] == [(2, 128, 128), (4, 64, 64), (8, 32, 32), (16, 31, 31)]


def test_channels_are_at_most_eightfold():
    discriminator = PatchGAN(2, 1, channels=2, layers=6)
    assert [stage[0].out_channels for stage in discriminator.stages] == [2, 4, 8, 16, 16, 16, 16]


def test_several_images_beside_each_other_add_their_channels():
    assert PatchGAN(2, [3, 2], channels=2)(torch.rand(1, 5, 32, 32))[0].shape == (1, 1, 2, 2)


def test_the_first_and_the_last_layer_have_no_norm():
    kinds = [[type(layer) for layer in stage] for stage in PatchGAN(3, 1, channels=2, layers=2).stages]
    assert kinds == [[nn.Conv3d, nn.LeakyReLU]] + 2 * [[nn.Conv3d, nn.InstanceNorm3d, nn.LeakyReLU]]


@pytest.mark.parametrize("planes", [1, 2, 5, 8, 12, 16])
@pytest.mark.parametrize("stride_one_block", [True, False])
def test_a_stack_of_few_planes_is_judged_at_two_scales(planes, stride_one_block):
    discriminator = MultiScale(partial(PatchGAN, 3, 1, channels=2, stride_one_block=stride_one_block), 3, scales=2)
    stack = torch.rand(2, 1, planes, 64, 64, requires_grad=True)
    judgements = discriminator(stack)
    sum(score.square().sum() for score, _ in judgements).backward()
    assert [score.shape[2] for score, _ in judgements] == [1, 1]
    assert torch.isfinite(stack.grad).all()
    assert (stack.grad.abs().sum(dim=(0, 1, 3, 4)) > 0).all()


@pytest.mark.parametrize(("stride_one_block", "smallest"), [(True, 24), (False, 16)])
@pytest.mark.parametrize("planes", [(), (4,)])
def test_an_image_of_the_smallest_size_gets_one_score_and_a_smaller_one_is_refused(stride_one_block, smallest, planes):
    discriminator = PatchGAN(2 + len(planes), 1, channels=2, stride_one_block=stride_one_block)
    assert discriminator(torch.rand(1, 1, *planes, smallest, smallest))[0].numel() == 1
    with pytest.raises(
        ValueError, match=rf"needs {smallest} pixels along Y and X, got \({smallest}, {smallest - 1}\); make patch_size larger"
    ):
        discriminator(torch.rand(1, 1, *planes, smallest, smallest - 1))


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_each_further_scale_sees_an_image_of_half_the_size(spatial_dims):
    image = torch.rand(1, 1, *[32] * spatial_dims)
    judgements = MultiScale(RecordingDiscriminator, spatial_dims, scales=3)(image)
    assert [seen.shape[2:] for seen, _ in judgements] == [(edge,) * spatial_dims for edge in (32, 16, 8)]
    assert torch.equal(judgements[0][0], image)


def test_padding_does_not_count_in_the_pooling_between_scales():
    judgements = MultiScale(RecordingDiscriminator, 2)(torch.ones(1, 1, 5, 8))
    assert torch.equal(judgements[1][0], torch.ones(1, 1, 3, 4))


def test_scales_do_not_share_weights():
    discriminator = MultiScale(partial(PatchGAN, 2, 1, channels=2), 2, scales=2)
    first, second = discriminator.discriminators
    assert not torch.equal(first.score.weight, second.score.weight)


def test_a_discriminator_without_layers_is_refused():
    with pytest.raises(ValueError, match="got 0 layers; set framework"):
        PatchGAN(2, 1, layers=0)


def test_a_discriminator_without_scales_is_refused():
    with pytest.raises(ValueError, match="at least one scale, got 0"):
        MultiScale(partial(PatchGAN, 2, 1), 2, scales=0)


class RecordingDiscriminator(nn.Module):
    def forward(self, image):
        return image, []
