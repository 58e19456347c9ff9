import numpy as np
import pytest
import torch

from im2im.affine import Affine
from im2im.losses.combined import Combined
from im2im.losses.reconstruction import L1, MSE
from im2im.losses.segmentation import CrossEntropy, GeneralizedDice
from im2im.losses.similarity import SSIM
from im2im.postprocess import FillHoles, RemoveSmall
from im2im.tasks.semantic import Semantic

SCALE = Affine((0.0,), (1.0,))
SHAPES = [(2, 1, 6, 8), (2, 1, 4, 6, 8)]
THREE = ("background", "cell", "nucleus")


def logits(channels: int, shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    batch, _, *size = shape
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def classes(count: int, shape: tuple[int, ...], seed: int = 1) -> torch.Tensor:
    return torch.randint(count, shape, generator=torch.Generator().manual_seed(seed)).float()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("values", [[0, 255, 255], [0, 7, 12]], ids=["mask of 0 and 255", "numbered objects"])
def test_with_two_classes_everything_above_zero_is_foreground(values, shape):
    task, choice = Semantic(CrossEntropy()), classes(3, shape)
    target = torch.tensor(values)[choice.long()].float()
    mask, prediction = (choice > 0).float(), logits(2, shape)
    assert torch.equal(task.loss(prediction, {"target": target}), task.loss(prediction, {"target": mask}))
    assert torch.equal(task.present(target), task.present(mask))
    assert task.score(mask[0].numpy().astype(np.uint8), target[0].numpy())["dice"] == 1
    assert task.truth(target[0].numpy()).tolist() == mask[0].int().tolist()


@pytest.mark.parametrize("shape", SHAPES)
def test_one_output_means_the_same_as_two_of_which_the_first_is_zero(shape):
    one, two = (Semantic(GeneralizedDice(), single=single) for single in (True, False))
    prediction, target = logits(1, shape), classes(2, shape)
    both = torch.cat((torch.zeros_like(prediction), prediction), dim=1)
    assert torch.allclose(one.loss(prediction, {"target": target}), two.loss(both, {"target": target}))
    first, second = (task.activate(image).detach()[0].numpy() for task, image in ((one, prediction), (two, both)))
    assert first[0] == pytest.approx(second[1], abs=1e-6)
    assert np.array_equal(one.interpret(first), two.interpret(second))
    assert torch.equal(one.present(target), two.present(target)[:, 1:])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ignored", [255, -1])
@pytest.mark.parametrize("names", [THREE, THREE[:2]], ids=["three classes", "two classes"])
def test_ignored_pixels_have_no_gradient_and_are_not_scored(names, ignored, shape):
    task, target = Semantic(CrossEntropy(), names, ignore_index=ignored), classes(len(names), shape)
    skipped = torch.rand(shape, generator=torch.Generator().manual_seed(2)) < 0.3
    prediction, marked = logits(len(names), shape), torch.where(skipped, ignored, target)
    task.loss(prediction, {"target": marked}).backward()
    assert (prediction.grad[skipped.expand_as(prediction)] == 0).all()
    assert (prediction.grad[~skipped.expand_as(prediction)] != 0).any()
    wrong = torch.where(skipped, (target + 1) % len(names), target)[0].numpy().astype(np.uint8)
    assert task.score(wrong, marked[0].numpy())["dice"] == 1
    assert task.score(wrong, target[0].numpy())["dice"] < 1


@pytest.mark.parametrize("shape", SHAPES)
def test_a_cost_map_of_zero_excludes_pixels_beside_those_that_are_ignored(shape):
    task, target, cost_map = Semantic(CrossEntropy(), THREE, ignore_index=9), classes(3, shape), torch.ones(shape)
    target[..., :2], cost_map[..., -2:] = 9, 0
    prediction = logits(3, shape)
    task.loss(prediction, {"target": target, "cost_map": cost_map}).backward()
    assert (prediction.grad[..., :2] == 0).all()
    assert (prediction.grad[..., -2:] == 0).all()
    assert (prediction.grad[..., 2:-2] != 0).all()
    found = target[0].numpy().astype(np.uint8)
    found[..., :2], found[..., -2:] = 1, (found[..., -2:] + 1) % 3
    assert task.score(found, target[0].numpy(), cost_map[0].numpy())["dice"] == 1


def test_ignored_pixels_are_background_where_they_are_shown():
    task = Semantic(CrossEntropy(), THREE, ignore_index=255)
    target = torch.tensor([[[[0.0, 1, 2, 255]]]])
    assert task.truth(target[0].numpy()).tolist() == [[[0, 1, 2, 0]]]
    assert task.present(target)[0, :, 0].tolist() == [[1, -1, -1, 1], [-1, 1, -1, -1], [-1, -1, 1, -1]]


@pytest.mark.parametrize("settings", [{"single": True}, {}, {"classes": THREE}], ids=["one output", "two outputs", "three classes"])
def test_predictions_and_targets_are_shown_between_minus_one_and_one(settings):
    task, shape = Semantic(CrossEntropy(), **settings), SHAPES[0]
    prediction = 100 * logits(task.out_channels(1), shape)
    shown, wanted = task.activate(prediction), task.present(classes(len(task.classes), shape))
    assert shown.shape == wanted.shape == prediction.shape
    assert set(wanted.unique().tolist()) == {-1, 1}
    assert float(shown.min()) == pytest.approx(-1)
    assert float(shown.max()) == pytest.approx(1)
    if task.out_channels(1) > 1:
        assert torch.allclose(shown.sum(dim=1), torch.tensor(2.0 - shown.shape[1]), atol=1e-5)
        assert torch.equal(wanted.sum(dim=1), torch.full_like(wanted[:, 0], 2 - wanted.shape[1]))


@pytest.mark.parametrize("single", [True, False])
def test_the_threshold_is_one_of_probabilities(single):
    task = Semantic(CrossEntropy(), single=single, threshold=0.6)
    logit = torch.logit(torch.tensor([0.3, 0.55, 0.59, 0.61, 0.99])).reshape(1, 1, 1, 5)  # 0.41 is the logit of 0.6
    prediction = logit if single else torch.cat((torch.zeros_like(logit), logit), dim=1)
    assert task.interpret(task.activate(prediction)[0].numpy()).tolist() == [[[0, 0, 0, 1, 1]]]


def test_otsu_finds_the_threshold_in_the_image_itself():
    probability = np.r_[np.full(50, 0.02), np.full(30, 0.3)].astype(np.float32).reshape(1, 8, 10)
    by_otsu, by_half = (Semantic(CrossEntropy(), single=True, threshold=threshold) for threshold in ("otsu", 0.5))
    assert by_otsu.interpret(2 * probability - 1).sum() == 30
    assert by_half.interpret(2 * probability - 1).sum() == 0


def test_of_several_classes_the_most_probable_one_is_found():
    probabilities = np.array([[0.4, 0.2, 0.3], [0.35, 0.5, 0.3], [0.25, 0.3, 0.4]], np.float32)[:, None]
    found = Semantic(CrossEntropy(), THREE).interpret(2 * probabilities - 1)
    assert found.tolist() == [[[0, 1, 2]]]
    assert found.dtype == np.uint8


def test_steps_change_what_was_found_in_their_order():
    ring = np.full((1, 7, 7), -1.0, np.float32)
    ring[0, 1:6, 1:6], ring[0, 3, 3], ring[0, 0, 6] = 1, -1, 1
    fill, remove = {"fill": FillHoles()}, {"remove": RemoveSmall(25)}
    counts = {
        name: int(Semantic(CrossEntropy(), single=True, postprocess=steps).interpret(ring).sum())
        for name, steps in {"none": {}, "fill first": {**fill, **remove}, "remove first": {**remove, **fill}}.items()
    }
    assert counts == {"none": 25, "fill first": 25, "remove first": 0}


def test_labels_and_probabilities_are_written_as_they_are_meant():
    task = Semantic(CrossEntropy(), THREE)
    output = task.activate(logits(3, SHAPES[1]))[0].detach().numpy()
    labels, probabilities = (task.decode(output, SCALE, name) for name in task.outputs)
    assert labels.dtype == np.uint8
    assert labels.shape == (1, 4, 6, 8)
    assert probabilities.dtype == np.float32
    assert probabilities.min() >= 0
    assert probabilities.sum(axis=0) == pytest.approx(np.ones((4, 6, 8)), abs=1e-5)
    assert np.array_equal(labels[0], probabilities.argmax(axis=0))


def test_an_output_that_there_is_none_of_is_refused():
    with pytest.raises(ValueError, match=r"labels, probabilities, got logits; choose among them with mode\.outputs"):
        Semantic(CrossEntropy()).decode(np.zeros((2, 4, 4), np.float32), SCALE, "logits")


def test_every_class_has_a_row_and_a_score_of_its_own():
    task = Semantic(CrossEntropy(), THREE)
    target, found = np.array([[[0, 1, 1, 2]]]), np.array([[[0, 1, 2, 2]]])
    assert task.parts(found, target) == [
        {"class": "cell", "dice": pytest.approx(2 / 3), "iou": 0.5, "f1": pytest.approx(2 / 3)},
        {"class": "nucleus", "dice": pytest.approx(2 / 3), "iou": 0.5, "f1": pytest.approx(2 / 3)},
    ]
    scores = task.score(found, target)
    assert next(iter(scores)) == "dice"
    assert scores["iou"] == scores["iou/cell"] == 0.5


@pytest.mark.parametrize("value", [3, 256, 257])
def test_a_pixel_of_a_class_that_there_is_none_of_is_refused(value):
    task, target = Semantic(CrossEntropy(), THREE), np.array([[[0, 1, value]]], np.float32)
    with pytest.raises(ValueError, match=rf"from 0 to 2, got {value}; change task\.classes"):
        task.score(np.array([[[0, 1, 1]]]), target)
    with pytest.raises(ValueError, match=rf"from 0 to 2, got {value}; change task\.classes"):
        task.loss(torch.zeros(1, 3, 1, 3), {"target": torch.from_numpy(target)[None]})


@pytest.mark.parametrize(("settings", "channels"), [({}, 2), ({"single": True}, 1), ({"classes": THREE}, 3)])
def test_there_is_one_output_for_each_class(settings, channels):
    task = Semantic(CrossEntropy(), **settings)
    assert task.out_channels(1) == channels
    with pytest.raises(ValueError, match=r"one channel, got 3; choose one with data\.target_channels"):
        task.out_channels(3)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"classes": ["background"]}, r"got \['background'\]; set task\.classes"),
        ({"classes": [str(index) for index in range(257)]}, r"set task\.classes"),
        ({"classes": THREE, "single": True}, r"got 3; set task\.single=false"),
        ({"classes": THREE, "threshold": "otsu"}, r"got 3; set task\.single=false task\.threshold=0\.5"),
        ({"threshold": "otsuu"}, r"got otsuu; change task\.threshold"),
        ({"threshold": 1.5}, r"got 1\.5; change task\.threshold"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_settings_that_do_not_go_together_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        Semantic(CrossEntropy(), **settings)


@pytest.mark.parametrize("outputs", [1, 5])
def test_outputs_that_are_not_one_for_each_class_are_refused(outputs):
    with pytest.raises(ValueError, match="2 classes take 2 outputs, got"):
        Semantic(CrossEntropy()).activate(torch.zeros(1, outputs, 4, 4))


def test_a_class_that_there_is_none_of_is_not_shown_to_a_discriminator():
    task = Semantic(CrossEntropy(), classes=["background", "a", "b"])
    with pytest.raises(ValueError, match=r"class index from 0 to 2, got 7; change task\.classes"):
        task.present(torch.full((1, 1, 4, 4), 7.0))


@pytest.mark.parametrize("criterion", [MSE(), SSIM(), Combined({"a": CrossEntropy(), "b": L1()}, {"a": 1.0, "b": 1.0})])
def test_a_criterion_of_intensities_is_refused(criterion):
    with pytest.raises(ValueError, match="compares intensities, not classes; set criterion=dice_cross_entropy"):
        Semantic(criterion, single=True)
