import math

import pytest
import torch

from im2im.clustering import Clustering
from im2im.embedding import EmbeddingLayout, activate
from im2im.losses import hinge
from im2im.losses.embedding import EmbeddingLoss

SCENES = {"2D": ((24, 28), (1.0, 1.0)), "3D": ((6, 14, 12), (2.5, 1.0, 0.5))}
by_scene = pytest.mark.parametrize(("shape", "voxel_size"), SCENES.values(), ids=SCENES)


@pytest.fixture(params=["one object at a time", "many"])
def way(request, monkeypatch):
    """Take either way to the loss: that of a CPU and that of other devices."""
    if request.param == "many":
        monkeypatch.setattr(hinge, "object_by_object", hinge.many_at_a_time)


def boxes(shape):
    """Two samples B1(Z)YX: four boxes, two of which touch, with numbers that have gaps; and nothing."""
    instances = torch.zeros(2, 1, *shape)
    rows = [(2, 7, 3, 8, 4.0), (2, 7, 8, 11, 9.0), (8, 13, 1, 6, 2.0), (9, 11, 9, 11, 700.0)]
    for top, bottom, left, right, number in rows:
        instances[0, ..., top:bottom, left:right] = number
    return instances


def random_output(shape, sigma=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(2, 2 * len(shape) + 1, *shape, generator=generator)
    raw[:, : len(shape)] *= 0.1
    raw[:, len(shape) : -1] = sigma + 0.05 * raw[:, len(shape) : -1]
    return raw


def reference(raw, instances, cost_map, loss):
    """Follow the paper, object by object over the whole image, in double precision."""
    raw, axes = raw.double(), len(loss.voxel_size)
    steps = [size / min(loss.voxel_size[-2:]) / loss.extent for size in loss.voxel_size]
    coordinates = [torch.arange(length, dtype=torch.float64) * step for length, step in zip(raw.shape[2:], steps, strict=True)]
    grid = torch.stack(torch.meshgrid(*coordinates, indexing="ij"))
    total = 0.0
    for output, numbers, valid in zip(raw, instances[:, 0], cost_map[:, 0] != 0, strict=True):
        embeddings, sigmas, seed = output[:axes].tanh() + grid, output[axes:-1], output[-1].sigmoid()
        terms, variances, seed_loss = [], [], (seed[valid & (numbers == 0)] ** 2).sum()
        for number in set(numbers[valid].tolist()) - {0}:
            mask = valid & (numbers == number)
            centre = grid[:, mask].mean(dim=1)[:, None]
            sigma = sigmas[:, mask].mean(dim=1)[:, None]
            phi = torch.exp(-(torch.exp(10 * sigma) * (embeddings[:, valid] - centre) ** 2).sum(dim=0))
            terms.append(lovasz_hinge(2 * phi - 1, mask[valid]))
            variances.append(((sigmas[:, mask] - sigma.detach()) ** 2).mean())
            seed_loss = seed_loss + loss.foreground_weight * ((seed[mask] - phi.detach()[mask[valid]]) ** 2).sum()
        total = total + loss.seed_weight * seed_loss / valid.sum()
        if terms:
            total = total + loss.instance_weight * sum(terms) / len(terms) + loss.variance_weight * sum(variances) / len(terms)
    return total / len(raw)


def lovasz_hinge(logits, truth):
    """Sum relu(errors), in descending order, times the steps of the Jaccard loss."""
    errors, order = (1 - logits * (2.0 * truth - 1)).sort(descending=True)
    truth = truth[order].double()
    jaccard = 1 - (truth.sum() - truth.cumsum(0)) / (truth.sum() + (1 - truth).cumsum(0))
    return (errors.relu() * torch.cat((jaccard[:1], jaccard[1:] - jaccard[:-1]))).sum()


def value_and_gradient(function, raw, *others):
    raw = raw.clone().requires_grad_()
    value = function(raw, *others)
    value.backward()
    return value.detach(), raw.grad


def perfect_output(instances, voxel_size, extent):
    """Let every pixel point to the centroid of its object, with phi of one half half a pixel from it."""
    layout = EmbeddingLayout(voxel_size, extent)
    axes = len(voxel_size)
    pixels = torch.arange(instances[0].numel())
    positions = layout.positions(pixels, instances.shape[2:]).reshape(axes, *instances.shape[2:])
    raw = torch.full((len(instances), 2 * axes + 1, *instances.shape[2:]), -20.0)
    raw[:, :axes] = 0
    raw[:, axes:-1] = math.log(math.log(2) / (0.5 / extent) ** 2) / 10
    for sample, numbers in zip(raw, instances[:, 0], strict=True):
        for number in set(numbers.unique().tolist()) - {0}:
            mask = numbers == number
            offsets = positions[:, mask].mean(dim=1, keepdim=True) - positions[:, mask]
            sample[:axes, mask] = offsets.atanh().float()
            sample[-1, mask] = 20
    return raw


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("sigma", [0.0, 0.7, 1.0, 1.4])
@by_scene
def test_loss_and_gradient_are_those_of_the_paper(shape, voxel_size, sigma):
    loss = EmbeddingLoss(voxel_size, extent=100, centre="centroid", foreground_weight=4.5)
    raw, instances, everywhere = random_output(shape, sigma), boxes(shape), torch.ones(2, 1, *shape)
    expected, gradient = value_and_gradient(reference, raw, instances, everywhere, loss)
    for cost_map in (None, everywhere):
        value, found = value_and_gradient(loss, raw, instances, cost_map)
        assert value.item() == pytest.approx(expected.item(), abs=1e-6)
        for channel in range(raw.shape[1]):
            assert (found - gradient)[:, channel].norm() <= 5e-4 * gradient[:, channel].norm() + 1e-12


@pytest.mark.usefixtures("way")
@by_scene
def test_a_cost_map_takes_pixels_out_of_every_term(shape, voxel_size):
    loss = EmbeddingLoss(voxel_size, extent=100, centre="centroid")
    raw, instances = random_output(shape), boxes(shape)
    cost_map = (torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(1)) > 0.3).float()
    cost_map[instances == 700] = 0
    expected, gradient = value_and_gradient(reference, raw, instances, cost_map, loss)
    value, found = value_and_gradient(loss, raw, instances, cost_map)
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    assert (found - gradient).norm() <= 5e-4 * gradient.norm()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("centre", ["centroid", "medoid", "approximate_medoid"])
@by_scene
def test_what_an_excluded_pixel_holds_does_not_matter(shape, voxel_size, centre):
    loss = EmbeddingLoss(voxel_size, extent=100, centre=centre)
    raw, instances, cost_map = random_output(shape), boxes(shape), torch.ones(2, 1, *shape)
    cost_map[..., 4:10] = 0
    value, gradient = value_and_gradient(loss, raw, instances, cost_map)
    excluded = (cost_map == 0).expand_as(raw)
    others = instances.masked_fill(cost_map == 0, 4)
    changed_value, changed_gradient = value_and_gradient(loss, raw.masked_fill(excluded, math.nan), others, cost_map)
    assert changed_value == value
    assert (changed_gradient[excluded] == 0).all()
    assert (gradient[excluded] == 0).all()
    torch.testing.assert_close(changed_gradient, gradient, rtol=0, atol=0)
    assert (gradient[:, -1:][cost_map != 0] != 0).all()


def test_the_result_does_not_depend_on_how_many_objects_are_looked_at_together(monkeypatch):
    shape, voxel_size = SCENES["3D"]
    loss, raw, instances = EmbeddingLoss(voxel_size, extent=100), random_output(shape, 0.5), boxes(shape)
    together, gradient = value_and_gradient(loss, raw, instances)
    whole_chunks = []
    monkeypatch.setattr(hinge, "object_by_object", hinge.many_at_a_time)
    pairs = hinge.Neighbours.pairs

    def in_small_chunks(self, centres, reach, budget):
        whole_chunks.append(budget)
        return pairs(self, centres, reach, 1)

    monkeypatch.setattr(hinge.Neighbours, "pairs", in_small_chunks)
    apart, other_gradient = value_and_gradient(loss, raw, instances)
    assert whole_chunks
    torch.testing.assert_close(apart, together)
    torch.testing.assert_close(other_gradient, gradient)


@by_scene
def test_a_perfect_output_costs_next_to_nothing_and_a_shifted_one_more(shape, voxel_size):
    loss, instances = EmbeddingLoss(voxel_size, extent=64, centre="centroid"), boxes(shape)
    raw = perfect_output(instances, voxel_size, 64)
    assert loss(raw, instances).item() < 2e-3
    raw[:, 0] += 2 / 64
    assert loss(raw, instances).item() > 0.1


def test_a_voxel_counts_as_long_as_it_is():
    instances = boxes(SCENES["3D"][0])
    raw = perfect_output(instances, (2.0, 1.0, 1.0), 64)
    costs = [EmbeddingLoss(size, extent=64, centre="centroid")(raw, instances).item() for size in ((2, 1, 1), (1, 1, 1))]
    assert costs[0] < 2e-3
    assert costs[1] > 0.1


def test_only_ratios_of_voxel_sizes_count():
    shape, _ = SCENES["3D"]
    raw, instances = random_output(shape), boxes(shape)
    torch.testing.assert_close(EmbeddingLoss((2, 1, 1))(raw, instances), EmbeddingLoss((0.5, 0.25, 0.25))(raw, instances))


def test_the_pixel_farthest_an_offset_can_reach_is_extent_pixels_away():
    assert EmbeddingLayout((3.0, 0.5, 1.0), 256).spacing == (6 / 256, 1 / 256, 2 / 256)


@pytest.mark.usefixtures("way")
@by_scene
def test_without_objects_the_seed_alone_learns(shape, voxel_size):
    loss, raw = EmbeddingLoss(voxel_size, seed_weight=3), random_output(shape)
    value, gradient = value_and_gradient(loss, raw, torch.zeros(2, 1, *shape))
    assert value.item() == pytest.approx(3 * raw[:, -1].sigmoid().square().mean().item(), rel=1e-5)
    assert (gradient[:, :-1] == 0).all()
    assert (gradient[:, -1] > 0).all()


@pytest.mark.usefixtures("way")
@by_scene
def test_where_everything_is_excluded_the_loss_is_0_and_can_be_minimized(shape, voxel_size):
    value, gradient = value_and_gradient(EmbeddingLoss(voxel_size), random_output(shape), boxes(shape), torch.zeros(2, 1, *shape))
    assert value == 0
    assert (gradient == 0).all()


def test_half_precision_is_left_behind_under_autocast():
    shape, voxel_size = SCENES["2D"]
    loss, raw, instances = EmbeddingLoss(voxel_size), random_output(shape).bfloat16(), boxes(shape)
    expected = loss(raw.float(), instances)
    with torch.autocast("cpu", torch.bfloat16):
        value, gradient = value_and_gradient(loss, raw, instances.int())
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)
    assert gradient.isfinite().all()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("sigma", [-50.0, 7.0, 50.0])
def test_any_sigma_has_a_finite_loss_and_gradient(sigma):
    shape, voxel_size = SCENES["2D"]
    value, gradient = value_and_gradient(EmbeddingLoss(voxel_size, variance_weight=0), random_output(shape, sigma), boxes(shape))
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("channel", range(5))
def test_a_nan_that_takes_part_is_not_hidden(channel):
    shape, voxel_size = SCENES["2D"]
    raw = random_output(shape)
    raw[0, channel, 4, 5] = math.nan
    assert EmbeddingLoss(voxel_size)(raw, boxes(shape)).isnan()


def test_activation_bounds_offsets_and_seed_and_leaves_sigma():
    raw = random_output((4, 5))
    assert torch.equal(activate(raw), torch.cat((raw[:, :2].tanh(), raw[:, 2:4], raw[:, 4:].sigmoid()), dim=1))


def test_shapes_and_settings_that_mean_nothing_are_refused():
    loss, raw, instances = EmbeddingLoss((1, 1)), torch.zeros(1, 5, 4, 4), torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match="take 5 channels, got 4; set out_channels"):
        loss(raw[:, :4], instances)
    with pytest.raises(ValueError, match="change voxel_size"):
        loss(raw[:, :, None], instances[:, :, None])
    with pytest.raises(ValueError, match=r"instances must have shape \(1, 1, 4, 4\), got \(1, 4, 4\)"):
        loss(raw, instances[0])
    with pytest.raises(ValueError, match="cost map must have shape"):
        loss(raw, instances, raw)
    with pytest.raises(ValueError, match="got 'middle'; change centre"):
        EmbeddingLoss((1, 1), centre="middle")
    with pytest.raises(ValueError, match="two or three positive lengths"):
        EmbeddingLoss((1, 0))
    with pytest.raises(ValueError, match="change extent"):
        EmbeddingLoss((1, 1), extent=0)


@by_scene
@pytest.mark.parametrize("centre", ["medoid", "approximate_medoid"])
def test_minimizing_the_loss_leads_to_the_objects(shape, voxel_size, centre):
    instances = boxes(shape)[:1]
    raw = torch.zeros(1, 2 * len(shape) + 1, *shape)
    raw[:, len(shape) : -1] = 0.5
    raw.requires_grad_()
    loss, optimizer = EmbeddingLoss(voxel_size, extent=64, centre=centre), torch.optim.Adam([raw], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss(raw, instances).backward()
        optimizer.step()
    found = Clustering(voxel_size, extent=64, min_size=3)(activate(raw.detach())[0].numpy())
    expected = instances[0, 0].unique(return_inverse=True)[1]
    assert len({*zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True)}) == 5
    assert found.max() == 4
