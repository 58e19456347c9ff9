import pytest
import torch
from monai.losses import DiceLoss, FocalLoss, GeneralizedDiceLoss, TverskyLoss

from im2im.losses.segmentation import CrossEntropy, Dice, Focal, GeneralizedDice, Tversky

CRITERIA = [
    CrossEntropy(),
    CrossEntropy([0.5, 1, 2]),
    Focal(),
    Focal(0.5),
    Dice(),
    Dice(include_background=True, class_weights=[0.5, 1, 2]),
    Dice(whole_batch=True),
    GeneralizedDice(),
    GeneralizedDice(include_background=False),
    Tversky(),
    Tversky(smooth=0),
    Dice(whole_batch=True, smooth=0),
]
SIZES = [(6, 8), (4, 6, 8)]
by_criterion = pytest.mark.parametrize("criterion", CRITERIA, ids=str)
by_size = pytest.mark.parametrize("size", SIZES, ids=str)


def images(size, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, *size, generator=generator)
    return logits, torch.randint(0, max(classes, 2), (2, 1, *size), generator=generator).float()


def test_dice_is_that_of_a_sum_by_hand():
    probabilities = torch.tensor([[0.9, 0.6, 0.5], [0.1, 0.4, 0.5]])  # class, pixel
    target = torch.tensor([[[[0.0, 1, 1]]]])
    expected = 1 - 2 * (0.4 + 0.5) / ((0.1 + 0.4 + 0.5) + 2)
    assert Dice(smooth=0)(probabilities.log()[None, :, None], target).item() == pytest.approx(expected)


def test_tversky_is_that_of_a_sum_by_hand():
    probabilities = torch.tensor([[0.9, 0.6, 0.5], [0.1, 0.4, 0.5]])
    target = torch.tensor([[[[0.0, 1, 1]]]])
    expected = 1 - 0.9 / (0.9 + 0.2 * 0.1 + 0.8 * (0.6 + 0.5))
    assert Tversky(alpha=0.2, beta=0.8, smooth=0)(probabilities.log()[None, :, None], target).item() == pytest.approx(expected)


@by_size
@pytest.mark.parametrize("weights", [None, [0.2, 1.0, 3.0]])
def test_cross_entropy_is_that_of_torch(size, weights):
    prediction, target = images(size)
    peer = torch.nn.CrossEntropyLoss(None if weights is None else torch.tensor(weights))
    torch.testing.assert_close(CrossEntropy(weights)(prediction, target), peer(prediction, target[:, 0].long()))


@by_size
@pytest.mark.parametrize("include_background", [True, False])
def test_the_overlaps_are_those_of_monai(size, include_background):
    prediction, target = images(size)
    settings = {"include_background": include_background, "to_onehot_y": True, "softmax": True}
    pairs = [
        (Dice(include_background), DiceLoss(**settings)),
        (Dice(include_background, whole_batch=True), DiceLoss(batch=True, **settings)),
        (Tversky(0.2, 0.8, include_background), TverskyLoss(alpha=0.2, beta=0.8, **settings)),
        (GeneralizedDice(include_background), GeneralizedDiceLoss(smooth_nr=0, smooth_dr=0, **settings)),
    ]
    for criterion, peer in pairs:
        torch.testing.assert_close(criterion(prediction, target), peer(prediction, target), msg=str(criterion))


@by_size
def test_focal_is_that_of_monai_which_divides_by_the_number_of_classes_too(size):
    prediction, target = images(size)
    peer = FocalLoss(gamma=2, use_softmax=True, to_onehot_y=True)
    torch.testing.assert_close(Focal()(prediction, target), 3 * peer(prediction, target))


def test_class_weights_weigh_the_dice_of_each_class():
    prediction, target = images((6, 8))
    settings = {"to_onehot_y": True, "softmax": True, "include_background": False, "reduction": "none"}
    second, third = DiceLoss(**settings)(prediction, target).flatten(1).mean(dim=0)
    torch.testing.assert_close(Dice(class_weights=[100, 1, 3])(prediction, target), (second + 3 * third) / 4)


@by_size
@pytest.mark.parametrize("criterion", [CrossEntropy(), Focal(), Dice(), GeneralizedDice(), Tversky()], ids=str)
def test_one_logit_is_that_of_the_foreground_of_two_classes(criterion, size):
    logit, target = images(size, classes=1)
    torch.testing.assert_close(criterion(logit, target), criterion(torch.cat((torch.full_like(logit, 5), logit + 5), dim=1), target))
    if isinstance(criterion, CrossEntropy):
        torch.testing.assert_close(criterion(logit, target), torch.nn.BCEWithLogitsLoss()(logit, target))


@by_criterion
@by_size
def test_an_excluded_region_is_as_if_cut_away(criterion, size):
    prediction, target = images(size)
    cost_map = torch.ones_like(target)
    cost_map[..., 5:] = 0
    torch.testing.assert_close(criterion(prediction, target, cost_map), criterion(prediction[..., :5], target[..., :5]))


@by_criterion
def test_a_weight_of_two_counts_as_a_pixel_that_is_there_twice(criterion):
    prediction, target = images((1, 6))
    cost_map = torch.tensor([1.0, 1, 2, 1, 1, 2]).expand(2, 1, 1, 6)
    twice = [0, 1, 2, 2, 3, 4, 5, 5]
    torch.testing.assert_close(criterion(prediction, target, cost_map), criterion(prediction[..., twice], target[..., twice]))


@by_criterion
@by_size
@pytest.mark.parametrize("garbage", [float("nan"), 99.0, -1.0, float("inf")])
def test_an_excluded_pixel_has_no_influence_whatever_stands_there(criterion, size, garbage):
    prediction, target = images(size)
    cost_map = torch.ones_like(target)
    cost_map[0, ..., 0] = 0
    expected = criterion(prediction, target, cost_map)
    prediction, target = prediction.clone(), target.clone()
    prediction[0, ..., 0], target[0, ..., 0] = (garbage if garbage != 99 else 1e6), garbage
    prediction.requires_grad_()
    loss = criterion(prediction, target, cost_map)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    excluded = (cost_map == 0).expand_as(prediction)
    assert (prediction.grad[excluded] == 0).all()
    assert (prediction.grad[~excluded] != 0).all()


@by_criterion
def test_an_image_that_is_excluded_has_no_part_in_the_mean(criterion):
    prediction, target = images((6, 8))
    cost_map = torch.ones_like(target)
    cost_map[1] = 0
    torch.testing.assert_close(criterion(prediction, target, cost_map), criterion(prediction[:1], target[:1]))


@by_criterion
def test_where_everything_is_excluded_the_loss_is_0_and_can_be_minimized(criterion):
    prediction, target = images((6, 8))
    prediction.requires_grad_()
    loss = criterion(prediction, target, torch.zeros_like(target))
    loss.backward()
    assert loss.item() == 0
    assert (prediction.grad == 0).all()


@by_criterion
@pytest.mark.parametrize("only", [0.0, 1.0])
def test_classes_that_are_nowhere_give_a_finite_loss_and_gradient(criterion, only):
    prediction, target = images((6, 8))
    prediction[:, 2] = -1e4  # a probability of exactly 0
    prediction.requires_grad_()
    loss = criterion(prediction, torch.full_like(target, only))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(prediction.grad).all()


@by_criterion
def test_a_certain_and_right_prediction_has_loss_0(criterion):
    _, target = images((6, 8))
    prediction = torch.cat([1e3 * (target == index) for index in range(3)], dim=1).requires_grad_()
    loss = criterion(prediction, target)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(prediction.grad).all()


def test_a_large_class_alone_in_its_image_is_learned_from_by_generalized_dice():
    target = torch.zeros(1, 1, 512, 512)
    prediction = torch.zeros(1, 2, 512, 512)
    assert GeneralizedDice()(prediction, target).item() == pytest.approx(1 - 2 * 0.5 / 2)


@by_criterion
def test_half_precision_is_computed_in_float32(criterion):
    prediction, target = images((64, 64))
    rounded = prediction.half()
    loss = criterion(rounded, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, criterion(rounded.float(), target))


@by_criterion
@pytest.mark.parametrize("value", [3.0, -1.0, 0.5])
def test_a_target_that_is_no_class_index_is_refused(criterion, value):
    prediction, target = images((6, 8))
    target[1, 0, 2, 3] = value
    with pytest.raises(ValueError, match=rf"a class index from 0 to 2, got {value:g}; change task\.classes"):
        criterion(prediction, target)


@by_criterion
def test_other_shapes_are_refused(criterion):
    prediction, target = images((6, 8))
    with pytest.raises(ValueError, match=r"target must have shape \(2, 1, 6, 8\), got \(2, 3, 6, 8\)"):
        criterion(prediction, prediction)
    with pytest.raises(ValueError, match=r"cost_map must have shape \(2, 1, 6, 8\), got \(1, 1, 6, 8\)"):
        criterion(prediction, target, torch.ones(1, 1, 6, 8))


@pytest.mark.parametrize("criterion", [CrossEntropy([1, 2]), Focal(class_weights=[1, 2]), Dice(class_weights=[1, 2])], ids=str)
def test_class_weights_that_do_not_fit_the_classes_are_refused(criterion):
    with pytest.raises(ValueError, match=r"each of the 3 classes, got \[1, 2\]; change criterion\.class_weights"):
        criterion(*images((6, 8)))
