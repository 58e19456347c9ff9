import pytest

from im2im.networks.demand import Demand, together


def test_several_networks_get_what_suits_all():
    joint = together([Demand((4, 6), bytes_per_voxel=10, reach=lambda: (1, 9)), Demand((6, 4), bytes_per_voxel=30, reach=lambda: (5, 2))])
    assert (joint.multiple, joint.fixed, joint.bytes_per_voxel) == ((12, 12), False, 30)
    assert joint.reach() == (5, 9)


def test_the_only_size_of_one_is_that_of_all():
    joint = together([Demand((8, 8)), Demand((96, 96), fixed=True)])
    assert (joint.multiple, joint.fixed) == ((96, 96), True)


def test_two_only_sizes_are_refused():
    with pytest.raises(ValueError, match=r"must agree in it, got \[\(64, 64\), \(96, 96\)\]; leave one out of run="):
        together([Demand((64, 64), fixed=True), Demand((96, 96), fixed=True)])
