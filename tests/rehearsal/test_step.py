import pytest
import torch
from tests_rehearsed import FRAMEWORKS, learner, trainer

from im2im.rehearsal.step import Step, measure_with, predicted_bytes


def test_bytes_of_other_sizes_lie_on_a_line():
    assert predicted_bytes([Step(1, 100, 50, 1.0)], 4) == 400
    assert predicted_bytes([Step(1, 100, 50, 1.0), Step(2, 110, 50, 1.0)], 8) == 170
    assert predicted_bytes([Step(1, 100, 50, 1.0), Step(2, 90, 50, 1.0)], 8) == 90


def test_what_moves_parameters_need_not_grow():
    steps = [Step(1, 100, 500, 1.0), Step(2, 200, 500, 1.0)]
    assert (steps[0].bytes, predicted_bytes(steps, 4), predicted_bytes(steps, 8)) == (500, 500, 800)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_step_of_four_patches_takes_what_steps_of_one_and_two_foretell(name):
    framework, data, _ = learner(name)
    measure = measure_with(trainer(), framework, data)
    one, two, four = (measure(size, 2) for size in (1, 2, 4))
    parameters = sum(parameter.numel() * 4 for parameter in framework.network.parameters())
    assert one.bytes > 3 * parameters  # gradients and the two states of Adam
    assert four.maps > two.maps > one.maps
    assert four.maps == pytest.approx(predicted_bytes([one, two], 4), rel=0.1)
    assert one.seconds > 0


def test_patches_per_second_are_those_of_a_step():
    assert Step(8, 0, 0, 0.5).rate == 16


def test_every_map_that_is_kept_for_the_way_back_is_counted():
    framework, data, _ = learner("fcn")
    before = measure_with(trainer(), framework, data)(1, 2).maps
    framework.network = torch.nn.Sequential(framework.network, *[torch.nn.Tanh() for _ in range(50)])
    after = measure_with(trainer(), framework, data)(1, 2).maps
    assert after - before >= 45 * 32 * 32 * 4
