import pytest
import torch

from im2im.losses.neighbours import Neighbours


@pytest.mark.parametrize("budget", [1, 500, 10**9])
@pytest.mark.parametrize("axes", [2, 3])
def test_every_point_of_a_box_is_found_once_and_few_others(axes, budget):
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(axes, 3000, generator=generator, dtype=torch.float64)
    centres = 1.4 * torch.rand(axes, 20, generator=generator, dtype=torch.float64) - 0.2
    reach = 0.15 * torch.rand(axes, 20, generator=generator, dtype=torch.float64)
    reach[:, 3], reach[:, 7] = 0, torch.inf
    found, ends = set(), []
    for first, last, box, point in Neighbours(points, [0.1] * axes).pairs(centres, reach, budget):
        pairs = set(zip(box.tolist(), point.tolist(), strict=True))
        assert len(pairs) == len(box)
        assert not pairs & found
        assert ((first <= box) & (box < last)).all()
        assert len(box) <= budget or len(box.unique()) == 1
        found |= pairs
        ends += [first, last]
    inside = ((points[:, None] - centres[:, :, None]).abs() <= reach[:, :, None]).all(dim=0).nonzero().tolist()
    assert {(box, point) for box, point in inside} <= found
    assert len(found) < 0.15 * 20 * 3000
    assert (ends[0], ends[-1]) == (0, 20)
    assert ends[1:-1:2] == ends[2::2]


def test_points_in_one_place_are_found():
    *_, box, point = next(Neighbours(torch.full((2, 9), 0.3), [1e-9, 1e-9]).pairs(torch.full((2, 1), 0.3), torch.zeros(2, 1), 100))
    assert box.tolist() == [0] * 9
    assert sorted(point.tolist()) == list(range(9))
