import math
from functools import partial

import numpy as np
import pytest
import torch
from tests_tiny import built, composed, tiny
from torch import nn
from torch.nn.functional import pad

from im2im.affine import Affine
from im2im.clustering import Clustering
from im2im.frameworks.embedseg import EmbedSeg
from im2im.frameworks.optimization import Optimization
from im2im.inference.blending import Gaussian
from im2im.inference.tiling import TiledInference
from im2im.losses.embedding import EmbeddingLoss
from im2im.networks.erfnet import BranchedERFNet
from im2im.tasks.instance import Instance

RADIUS = 4.6
CENTRES = {2: [(7, 8), (8, 24), (20, 15), (24, 31)], 3: [(6, 7, 8), (7, 8, 22), (14, 20, 15)]}
SIZES = {2: (32, 40), 3: (22, 28, 30)}


def scene(spatial_dims: int) -> tuple[torch.Tensor, np.ndarray]:
    """A source whose slope points to the nearest centre, 1(Z)YX, and the balls in which it is above zero, numbered."""
    grid = np.stack(np.meshgrid(*map(np.arange, SIZES[spatial_dims]), indexing="ij"))
    squares = np.stack([sum((axis - place) ** 2 for axis, place in zip(grid, centre, strict=True)) for centre in CENTRES[spatial_dims]])
    image = RADIUS**2 - squares.min(axis=0)
    return torch.from_numpy(image[None]).float(), np.where(image > 0, squares.argmin(axis=0) + 1, 0)


class Slope(nn.Module):
    """Points up the slope of an image, by its neighbours alone: the perfect embedding of a scene, mirrored as its image is."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(1.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        axes = range(2, image.ndim)
        wide = pad(image, [1, 1] * len(axes), mode="replicate")
        inner = [slice(None), slice(None), *[slice(1, -1)] * len(axes)]
        slopes = []
        for axis in axes:
            ahead, behind = list(inner), list(inner)
            ahead[axis], behind[axis] = slice(2, None), slice(None, -2)
            slopes.append((wide[tuple(ahead)] - wide[tuple(behind)]) / 4)
        offsets = torch.atanh((torch.cat(slopes, dim=1) / 1024).clamp(-0.9, 0.9))
        return self.factor * torch.cat((offsets, torch.zeros_like(offsets), 20 * image), dim=1)


def make(network: nn.Module | None = None, spatial_dims: int = 2, inference=TiledInference(), task=Instance(), **settings) -> EmbedSeg:
    voxels = [1.0] * spatial_dims
    optimization = Optimization(partial(torch.optim.SGD, lr=0.0))
    return EmbedSeg(network or Slope(), task, inference, optimization, EmbeddingLoss(voxels), Clustering(voxels), **settings)


def same_objects(found: np.ndarray, wanted: np.ndarray) -> bool:
    pairs = set(zip(found.ravel().tolist(), wanted.ravel().tolist(), strict=True))
    return len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs}) and (0, 0) in pairs


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_perfect_embedding_of_a_scene_gives_its_objects(spatial_dims):
    source, objects = scene(spatial_dims)
    framework = make(spatial_dims=spatial_dims)
    found = framework.interpret(framework.predict(source).numpy())
    assert found.max() == len(CENTRES[spatial_dims])
    assert same_objects(found[0], objects)


@pytest.mark.parametrize("blending", [Gaussian(), TiledInference().blending], ids=["blended", "cropped"])
@pytest.mark.parametrize(("spatial_dims", "tile"), [(2, (8, 8)), (2, (12, 20)), (2, (16, 40)), (3, (8, 8, 12)), (3, (22, 10, 16))])
def test_tiles_of_any_size_give_the_same_objects(spatial_dims, tile, blending):
    source, objects = scene(spatial_dims)
    framework = make(spatial_dims=spatial_dims, inference=TiledInference(tile=tile, overlap=0.4, blending=blending))
    assert len(framework.inference.plan(source.shape[1:])) > 1
    found = framework.interpret(framework.predict(source).numpy())
    whole = make(spatial_dims=spatial_dims)
    assert np.array_equal(found[0] > 0, objects > 0)
    assert same_objects(found[0], whole.interpret(whole.predict(source).numpy())[0])


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_averaging_mirrored_views_turns_the_offsets_back(spatial_dims):
    source, objects = scene(spatial_dims)
    plain, averaged = (
        make(spatial_dims=spatial_dims),
        make(spatial_dims=spatial_dims, inference=TiledInference(views=[[-1], [-2], [-2, -1]])),
    )
    output = averaged.predict(source)
    assert torch.allclose(output, plain.predict(source), atol=1e-6)
    assert float(output[:spatial_dims].abs().max()) > 1e-3
    assert same_objects(averaged.interpret(output.numpy())[0], objects)


@pytest.mark.parametrize(("axes", "signs"), [((-1,), (1, 1, -1)), ((-2, -1), (1, -1, -1)), ((-3,), (-1, 1, 1))])
def test_only_offsets_along_mirrored_axes_change_their_sign(axes, signs):
    output = torch.arange(1.0, 8)[:, None, None, None].expand(7, 2, 2, 2).contiguous()
    turned = make(spatial_dims=3).unmirror(output, axes)
    assert turned[:, 0, 0, 0].tolist() == [signs[0] * 1, signs[1] * 2, signs[2] * 3, 4, 5, 6, 7]
    assert output[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]


class Scenes(torch.utils.data.Dataset):
    """Two equal scenes."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict:
        source, objects = scene(2)
        return {"source": source, "target": torch.from_numpy(objects)[None].float(), "name": str(index)}


def test_validation_finds_objects_and_scores_them(fit):
    seen = fit(make(), data=Scenes(), batch_size=2).callback_metrics
    assert float(seen["val/ap_50"]) == 1
    assert math.isfinite(float(seen["val/loss"]))


def test_validation_tells_a_network_that_finds_one_object_in_all(fit):
    class OneObject(Slope):
        def forward(self, image):
            output = super().forward(image)
            return torch.cat((0 * output[:, :2], output[:, 2:4] - 2, output[:, 4:]), dim=1)

    assert float(fit(make(OneObject()), data=Scenes(), batch_size=2).callback_metrics["val/ap_50"]) == 0


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_excluded_pixels_send_no_gradient(spatial_dims):
    source, objects = scene(spatial_dims)
    framework, target = make(spatial_dims=spatial_dims), torch.from_numpy(objects)[None, None].float()
    prediction = torch.randn(1, 2 * spatial_dims + 1, *source.shape[1:], requires_grad=True)
    cost_map = torch.ones_like(target)
    cost_map[..., :12] = 0
    loss = framework.loss(prediction, {"target": target, "cost_map": cost_map})
    loss.backward()
    assert (prediction.grad[..., :12] == 0).all()
    assert (prediction.grad[..., 12:] != 0).any()
    changed = target.clone()
    changed[..., :12] = 77
    assert framework.loss(prediction, {"target": changed, "cost_map": cost_map}) == loss


@pytest.mark.parametrize(("settings", "sigma"), [({}, 1.0), ({"start_sigma": 0.5}, 0.5)], ids=["default", "start_sigma"])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_a_network_that_cannot_start_an_embedding_is_shifted(spatial_dims, settings, sigma):
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[spatial_dims](1, 2 * spatial_dims + 1, 1)
    nn.init.zeros_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    start = make(convolution, spatial_dims, **settings)(torch.randn(1, 1, *[8] * spatial_dims))[0].flatten(1)[:, 0]
    assert start.tolist() == [*[0] * spatial_dims, *[sigma] * spatial_dims, 0]


@pytest.mark.parametrize(("settings", "sigma"), [({}, 1.0), ({"start_sigma": 0.5}, 0.5)], ids=["default", "start_sigma"])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_a_network_that_starts_an_embedding_by_itself_is_not_shifted(spatial_dims, settings, sigma):
    network = BranchedERFNet(spatial_dims, 1, 2 * spatial_dims + 1, channels=4).eval()
    start = make(network, spatial_dims, **settings).eval()(torch.randn(1, 1, *[16] * spatial_dims))[0].flatten(1)
    assert (start[:spatial_dims] == 0).all()
    assert (start[spatial_dims:-1] == sigma).all()
    assert start[-1].std() > 0


def test_the_shift_is_no_weight():
    assert set(make().state_dict()) == {"network.factor"}


def test_a_task_without_objects_is_refused(make_fcn):
    with pytest.raises(ValueError, match="got a Regression task; set task=instance or framework=fcn"):
        make(task=make_fcn().task)


def test_objects_seed_and_embedding_can_be_written():
    framework, (source, objects) = make(), scene(2)
    framework.record["target_scale"] = Affine((0.0,), (1.0,)).to_dict()
    output = framework.predict(source).numpy()
    assert framework.outputs == ("labels", "seed", "embedding")
    labels, seed, embedding = (framework.decode(output, name) for name in framework.outputs)
    assert labels.dtype == np.uint16
    assert same_objects(labels[0], objects)
    assert np.array_equal(seed[0] > 0.5, objects > 0)
    assert seed.dtype == np.float32
    assert embedding.shape == (5, *SIZES[2])
    assert np.array_equal(framework.decode(output), labels)


@pytest.mark.parametrize("given", [["voxel_size=[2,0.5,0.25]"], []], ids=["given", "of the data"])
def test_the_size_of_a_voxel_reaches_loss_and_clustering(given):
    framework, data, _ = built(tiny(composed("task=instance", "spatial_dims=3", *given), "branched_erfnet", 3))
    wanted = [2, 0.5, 0.25] if given else list(data.voxel_size())
    assert len(set(wanted)) > 1
    assert list(framework.criterion.voxel_size) == wanted
    assert list(framework.clustering.voxel_size) == wanted
