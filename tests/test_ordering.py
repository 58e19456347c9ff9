import numpy as np
import torch

from im2im.ordering import descending, descending_in_groups


def test_the_largest_comes_first_and_of_equal_ones_the_first():
    values = np.round(np.random.default_rng(0).gamma(1, 3, 5000), 1).astype(np.float32)
    values[:3] = 0, np.inf, 1e-40
    np.testing.assert_array_equal(descending(values), np.argsort(-values, kind="stable"))
    assert len(descending(values[:0])) == 0


def test_the_largest_comes_first_in_each_group():
    generator = torch.Generator().manual_seed(0)
    values, group = torch.rand(2000, generator=generator), torch.randint(5, (2000,), generator=generator)
    values[:3] = torch.tensor([0, torch.inf, 1e-40])
    np.testing.assert_array_equal(descending_in_groups(values, group), np.lexsort((-values.numpy(), group.numpy())))
