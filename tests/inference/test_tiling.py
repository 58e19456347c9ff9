import math
import time
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from monai.networks.nets import UNETR
from omegaconf import OmegaConf
from torch import nn

from im2im.inference.blending import Crop, Gaussian
from im2im.inference.tiling import TiledInference, one_ahead
from im2im.networks.demand import Demand
from im2im.networks.padding import pad_to_multiple
from im2im.networks.receptive_field import receptive_field
from im2im.networks.stride import input_size

OPTION = Path(__file__).resolve().parents[2] / "conf" / "inference" / "tiled.yaml"
by_blending = pytest.mark.parametrize("blending", [Crop(), Gaussian()], ids=str)
CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
POOLINGS = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


def convolutional(axes):
    """Two convolutions, 1 to 3 channels; a pixel depends on 2 neighbours to each side."""
    torch.manual_seed(0)
    convolution = CONVOLUTIONS[axes]
    return nn.Sequential(convolution(1, 4, 3, padding=1), nn.ReLU(), convolution(4, 3, 3, padding=1)).eval()


def pooling(axes, levels):
    """Down by 2 in every level and up again; a pixel depends on fewer than 4 pixels of the coarsest level to each side."""
    torch.manual_seed(0)
    convolution, pool = CONVOLUTIONS[axes], POOLINGS[axes]
    down = [layer for level in range(levels) for layer in (convolution(4 if level else 1, 4, 3, padding=1), pool(2))]
    up = [nn.Upsample(scale_factor=2**levels), convolution(4, 2, 3, padding=1)]
    return nn.Sequential(*down, convolution(4, 4, 3, padding=1), *up).eval()


def whole(network, image, multiple=(1,)):
    padded, crop = pad_to_multiple(image, multiple * (image.ndim - 1))
    with torch.no_grad():
        return network(padded[None])[0][crop]


def image_of(*shape):
    return torch.rand(1, *shape, generator=torch.Generator().manual_seed(1))


def sizes_seen(inference, image, multiple=(1,), fixed=False):
    seen = []

    def network(batch):
        seen.append(tuple(batch.shape))
        return batch

    inference(network, image, Demand(multiple, fixed))
    return seen


@pytest.mark.parametrize("shape", [(64, 64), (61, 47), (20, 97), (16, 32, 32), (13, 31, 25)], ids=str)
def test_tiles_with_enough_halo_give_what_the_whole_image_gives(shape):
    network, image = convolutional(len(shape)), image_of(*shape)
    inference = TiledInference(tile=(16,) * len(shape), overlap=0.25)
    assert len(inference.plan(shape)) > 1
    torch.testing.assert_close(inference(network, image), whole(network, image), atol=1e-5, rtol=0)


def test_tiles_without_halo_do_not():
    network, image = convolutional(2), image_of(64, 64)
    assert not torch.allclose(TiledInference(tile=(16, 16), overlap=0)(network, image), whole(network, image), atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "levels"), [((160, 96), 2), ((151, 77), 2), ((301, 180), 3), ((500, 161), 4), ((8, 40, 72), 1), ((9, 45, 70), 2)], ids=str
)
def test_tiles_of_a_pooling_network_give_what_the_whole_image_gives(shape, levels):
    stride = 2**levels
    network, image = pooling(len(shape), levels), image_of(*shape)
    inference = TiledInference(tile=(12 * stride,) * len(shape), overlap=2 / 3)
    assert len(inference.plan(shape, Demand((stride,)))) > 1
    torch.testing.assert_close(inference(network, image, Demand((stride,))), whole(network, image, (stride,)), atol=1e-5, rtol=0)


def test_tiles_of_a_pooling_network_that_start_between_its_strides_do_not():
    network, image = pooling(2, 3), image_of(301, 180)
    shifted = TiledInference(tile=(96, 90), overlap=0.6)(lambda batch: whole(network, batch[0], (8,))[None], image)
    assert not torch.allclose(shifted, whole(network, image, (8,)), atol=1e-3)


@by_blending
@pytest.mark.parametrize("overlap", [0, 0.25, 0.6])
@pytest.mark.parametrize("shape", [(50, 33), (3, 100), (9, 20, 31), (1, 1, 40)], ids=str)
def test_the_identity_gives_the_image_back(blending, overlap, shape):
    image = image_of(*shape)
    inference = TiledInference(tile=(12,) * len(shape), overlap=overlap, blending=blending)
    torch.testing.assert_close(inference(lambda batch: batch, image, Demand((4,))), image, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(30, 30), (5, 7), (1, 1), (3, 9, 20)], ids=str)
def test_an_image_smaller_than_its_tile_is_padded_to_the_multiple_alone_and_cropped_back(shape):
    inference = TiledInference(tile=(64,) * len(shape))
    assert sizes_seen(inference, image_of(*shape), (16,)) == [(1, 1, *(-(-length // 16) * 16 for length in shape))]
    assert inference(lambda batch: batch, image_of(*shape), Demand((16,))).shape == (1, *shape)


def test_an_image_within_max_voxels_goes_through_the_network_whole():
    assert sizes_seen(TiledInference(max_voxels=100 * 90), image_of(100, 90)) == [(1, 1, 100, 90)]
    assert len(sizes_seen(TiledInference(max_voxels=100 * 90 - 1), image_of(100, 90))) > 1


@pytest.mark.parametrize("shape", [(100, 90), (400, 30), (5, 60, 70), (40, 41, 42)], ids=str)
def test_no_tile_has_more_than_max_voxels(shape):
    inference = TiledInference(max_voxels=3000)
    assert max(torch.Size(size).numel() for size in sizes_seen(inference, image_of(*shape), (4,))) <= 3000


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.6, 0.9])
def test_any_overlap_can_be_planned_within_the_smallest_max_voxels(overlap):
    sizes = sizes_seen(TiledInference(max_voxels=1, overlap=overlap), image_of(300, 300), (16,))
    assert max(size[-1] for size in sizes) <= 16 / (1 - overlap) + 32


def test_each_axis_has_a_multiple_of_its_own():
    sizes = sizes_seen(TiledInference(tile=(7, 30, 30)), image_of(12, 64, 64), (1, 8, 8))
    assert set(sizes) == {(1, 1, 7, 32, 32)}


@by_blending
@pytest.mark.parametrize("shape", [(40, 75), (20, 75), (10, 9), (32, 48), (20, 40, 75), (3, 33, 40)], ids=str)
@pytest.mark.parametrize("overlap", [0, 0.25, 0.9])
def test_tiles_of_one_size_give_the_image_back(blending, shape, overlap):
    image, only = image_of(*shape), (16, 32, 48)[-len(shape) :]
    inference = TiledInference(overlap=overlap, blending=blending)
    assert {size[2:] for size in sizes_seen(inference, image, only, fixed=True)} == {only}
    torch.testing.assert_close(inference(lambda batch: batch, image, Demand(only, True)), image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(33, 75), (40, 100), (9, 33, 75), (8, 64, 65)], ids=str)
def test_tiles_of_one_size_read_the_image_as_far_as_it_goes(shape):
    image, only = image_of(*shape), (8, 32, 48)[-len(shape) :]
    tiles = TiledInference().plan(shape, Demand(only, fixed=True))
    assert {tuple(read.stop - read.start for read in tile.read) for tile in tiles} == {only}
    assert all(read.start >= 0 and read.stop <= length for tile in tiles for read, length in zip(tile.read, shape, strict=True))
    network = convolutional(len(shape))
    torch.testing.assert_close(TiledInference()(network, image, Demand(only, fixed=True)), whole(network, image), atol=1e-5, rtol=0)


@pytest.mark.parametrize("settings", [{"tile": (200, 200)}, {"tile": (5, 5)}, {"max_voxels": 10}], ids=str)
def test_no_setting_changes_the_only_size(settings):
    sizes = sizes_seen(TiledInference(**settings, batch_size=2), image_of(70, 50), (32, 48), fixed=True)
    assert {size[2:] for size in sizes} == {(32, 48)}


@pytest.mark.parametrize(("only", "shape"), [((64, 64), (50, 141)), ((16, 64, 64), (21, 64, 70))], ids=["2D", "3D"])
def test_a_transformer_of_one_size_predicts_images_of_any_size(only, shape):
    torch.manual_seed(0)
    network = UNETR(1, 2, only, feature_size=2, hidden_size=8, mlp_dim=8, num_heads=2, spatial_dims=len(only)).eval()
    size, image = input_size(network, 1, len(only)), image_of(*shape)
    prediction = TiledInference()(network, image, Demand(size.multiple, size.fixed))
    corner = tuple(slice(0, edge) for edge in only)
    padded, crop = pad_to_multiple(image[(slice(None), *corner)], only)
    with torch.no_grad():
        first = network(padded[None])[0][crop]
    assert prediction.shape == (2, *shape)
    near = tuple(slice(0, length) if length <= edge else slice(0, edge // 4) for length, edge in zip(shape, only, strict=True))
    torch.testing.assert_close(prediction[(slice(None), *near)], first[(slice(None), *near)])


def test_tiles_go_through_the_network_in_batches():
    image = image_of(40, 40)
    sizes = sizes_seen(TiledInference(tile=(16, 16), batch_size=4), image, (4,))
    assert [size[0] for size in sizes] == [4, 4, 1]
    torch.testing.assert_close(
        TiledInference(tile=(16, 16), batch_size=4)(convolutional(2), image), whole(convolutional(2), image), atol=1e-5, rtol=0
    )


def test_a_single_tile_is_a_view_of_the_image():
    image = image_of(40, 40)
    storages = set()

    def network(batch):
        storages.add(batch.untyped_storage().data_ptr())
        return batch

    TiledInference(tile=(16, 16))(network, image)
    assert storages == {image.untyped_storage().data_ptr()}


def test_the_result_needs_no_gradient_and_can_be_changed_in_place():
    result = TiledInference()(convolutional(2), image_of(16, 16))
    assert not result.requires_grad
    assert result.clamp_(0, 0).sum() == 0


def test_half_precision_predictions_come_back_in_single_precision():
    assert TiledInference()(lambda batch: batch.bfloat16(), image_of(8, 8)).dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@by_blending
def test_an_image_on_the_gpu_is_predicted_there_and_comes_back_on_the_cpu(blending):
    network, image = convolutional(3), image_of(20, 60, 50)
    inference = TiledInference(tile=(20, 32, 32), blending=blending)
    result = inference(network.to("cuda"), image.to("cuda"))
    torch.testing.assert_close(result, inference(network.cpu(), image), atol=1e-2, rtol=0)


def test_less_memory_makes_smaller_tiles():
    def largest(memory, bytes_per_voxel):
        tiles = TiledInference(memory=memory).plan((400, 400), Demand(bytes_per_voxel=bytes_per_voxel))
        return max(math.prod(part.stop - part.start for part in tile.read) for tile in tiles)

    assert largest(1.0, 1000) == 400 * 400
    assert 0 < largest(0.1, 1000) <= 0.1e9 / 2000
    assert largest(0.1, 10_000) <= 0.1e9 / 20_000


def test_half_of_what_is_free_is_used_unless_memory_is_given(monkeypatch):
    monkeypatch.setattr("im2im.inference.tiling.free_memory", lambda device: 6000)
    assert TiledInference().budget() == 3000
    assert TiledInference(memory=2).budget() == 2_000_000_000


@pytest.mark.parametrize("grid", [False, True])
def test_a_halo_as_wide_as_the_network_sees_makes_tiles_invisible(grid):
    network, image, stride = pooling(2, 2), image_of(150, 90), 4
    demand = Demand((stride,), reach=lambda: receptive_field(network, 1, (stride, stride)))
    inference = TiledInference(tile=(48, 48), halo="receptive_field")
    tiles = inference.plan((150, 90), demand, grid=grid)
    assert len(tiles) > 4
    result = Crop()(inference.run(network, lambda region: image[(slice(None), *region)], tiles, demand), (150, 90))
    torch.testing.assert_close(result, whole(network, image, (stride,)), atol=1e-5, rtol=0)


def test_with_a_border_the_zeros_that_convolutions_pad_with_leave_no_frame():
    network, image = convolutional(2), torch.full((1, 40, 50), 3.0)
    without, bordered = (TiledInference(border=border)(network, image) for border in (0, 2))
    torch.testing.assert_close(bordered, without[:, 20:21, 20:21].expand(3, 40, 50))
    assert not torch.allclose(without, bordered, atol=1e-2)


def test_planes_get_no_border():
    assert sizes_seen(TiledInference(border=16), image_of(8, 100, 90), (4,)) == [(1, 1, 8, 132, 124)]


def test_a_network_of_one_size_gets_no_border():
    assert set(sizes_seen(TiledInference(border=16), image_of(100, 90), (64, 64), fixed=True)) == {(1, 1, 64, 64)}


def test_an_image_with_its_border_is_within_max_voxels():
    sizes = sizes_seen(TiledInference(border=8, max_voxels=100 * 90), image_of(100, 90))
    assert len(sizes) > 1
    assert all(math.prod(size) <= 100 * 90 for size in sizes)


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("border", [4, 16])
def test_with_a_border_tiles_are_as_invisible(grid, border):
    network, image, stride = pooling(2, 2), image_of(150, 91), 4
    demand = Demand((stride,), reach=lambda: receptive_field(network, 1, (stride, stride)))
    at_once = TiledInference(border=border)
    assert len(at_once.plan((150, 91), demand)) == 1
    inference = TiledInference(tile=(48, 48), halo="receptive_field", border=border, batch_size=3)
    tiles = inference.plan((150, 91), demand, grid=grid)
    assert len(tiles) > 4
    result = Crop()(inference.run(network, lambda region: image[(slice(None), *region)], tiles, demand), (150, 91))
    torch.testing.assert_close(result, at_once(network, image, demand), atol=1e-5, rtol=0)
    assert not torch.allclose(result, whole(network, image, (stride,)), atol=1e-3)


def test_a_halo_can_be_given_in_pixels():
    tiles = TiledInference(tile=(1, 20), halo=(0, 4)).plan((1, 60))
    assert 4 <= tiles[0].read[1].stop - tiles[0].write[1].stop < 6
    with pytest.raises(ValueError, match=r"a number of pixels for each of the 2 axes, got \(4,\); change inference.halo"):
        TiledInference(tile=(1, 20), halo=(4,)).plan((1, 60))


def test_the_next_item_is_worked_on_while_one_is_used():
    order = []

    def work(item):
        order.append(f"work {item}")
        return 10 * item

    for item, result in one_ahead(work, [1, 2, 3]):
        time.sleep(0.05)
        order.append(f"use {item}")
        assert result == 10 * item
    assert order.index("work 2") < order.index("use 1")
    assert order.index("work 3") < order.index("use 2")
    assert list(one_ahead(work, [])) == []


def test_what_fails_ahead_is_told_where_it_is_used():
    with pytest.raises(ZeroDivisionError):
        list(one_ahead(lambda item: 1 // item, [1, 0]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"memory": 0}, "got 0 GB; raise inference.memory"),
        ({"halo": "wide"}, "or receptive_field, got wide; change inference.halo"),
        ({"overlap": 1}, "got 1; set inference.overlap"),
        ({"overlap": -0.1}, "got -0.1; set inference.overlap"),
        ({"tile": (16, 0)}, r"got \(16, 0\); change inference.tile"),
        ({"border": -1}, "got -1; set inference.border to 16, or to 0"),
        ({"max_voxels": 0}, "max_voxels must be at least 1, got 0; raise inference.max_voxels"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0; raise inference.batch_size"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        TiledInference(**settings)
    assert "\n" not in str(error.value)


def test_a_tile_of_other_axes_than_the_image_is_refused():
    with pytest.raises(ValueError, match=r"each of the 3 spatial axes, got \(16, 16\); change inference.tile"):
        TiledInference(tile=(16, 16))(lambda batch: batch, image_of(8, 8, 8))


def test_a_network_that_changes_the_size_is_refused():
    with pytest.raises(ValueError, match=r"must keep the size of its input \(1, 1, 9, 9\), got \(1, 1, 4, 4\)"):
        TiledInference()(nn.MaxPool2d(2), image_of(9, 9))


def test_a_full_device_is_told_which_setting_to_lower():
    def network(batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(
        ValueError, match=r"too small for a batch of tiles, got \(1, 1, 9, 9\); lower inference.memory or inference.batch_size"
    ):
        TiledInference()(network, image_of(9, 9))


def test_the_option_builds_the_defaults_of_the_class_and_a_border():
    assert instantiate(OmegaConf.load(OPTION), _convert_="all") == TiledInference(border=16)
