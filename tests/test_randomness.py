import random

import numpy as np
import torch

from im2im.randomness import random_state, restore_random_state


def draw() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


def test_random_numbers_go_on_where_they_were():
    state = random_state()
    first = draw()
    assert draw() != first
    restore_random_state(state)
    assert draw() == first


def test_a_random_state_survives_a_checkpoint_without_pickled_code(tmp_path):
    torch.save(random_state(), tmp_path / "state.pt")
    first = draw()
    restore_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert draw() == first
