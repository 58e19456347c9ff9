import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from im2im.inference.planning import Halo, choose_tile, for_axes, plan, plan_grid, round_up


@st.composite
def layouts(draw):
    axes = draw(st.integers(2, 3))
    multiple = [draw(st.sampled_from([1, 2, 3, 8, 16])) for _ in range(axes)]
    halo = [draw(st.integers(0, 9)) for _ in range(axes)]
    tile = [-(-2 * border // unit) * unit + unit + draw(st.integers(0, 20)) for border, unit in zip(halo, multiple, strict=True)]
    shape = [draw(st.integers(1, 70 if axes == 2 else 30)) for _ in range(axes)]
    return shape, tile, halo, multiple


@settings(max_examples=60, deadline=None)
@given(layouts())
@pytest.mark.parametrize("planned", [plan, plan_grid])
def test_every_pixel_is_written_once_from_a_tile_that_sees_the_halo_around_it(planned, layout):
    shape, tile, halo, multiple = layout
    if planned is plan_grid:  # where both halos are rounded up
        tile = [length + unit for length, unit in zip(tile, multiple, strict=True)]
    written = np.zeros(shape, int)
    positions = np.stack(np.indices(shape))
    for place in planned(shape, tile, halo, multiple):
        written[place.write] += 1
        seen = positions[(slice(None), *place.read)]
        np.testing.assert_array_equal(seen[(slice(None), *place.inner)], positions[(slice(None), *place.write)])
        for axis, size in enumerate(shape):
            read, write = place.read[axis], place.write[axis]
            assert read.start % multiple[axis] == 0
            assert read.stop % multiple[axis] == 0 or read.stop == size
            assert read.stop - read.start <= round_up(tile, multiple)[axis]
            assert read.start == 0 or write.start - read.start >= halo[axis]
            assert read.stop == size or read.stop - write.stop >= halo[axis]
    assert (written == 1).all()


@settings(max_examples=60, deadline=None)
@given(layouts())
@pytest.mark.parametrize("planned", [plan, plan_grid])
def test_all_tiles_are_of_one_size_once_padded_to_the_multiple(planned, layout):
    shape, tile, halo, multiple = layout
    tile = [length + unit for length, unit in zip(tile, multiple, strict=True)]
    sizes = {round_up([part.stop - part.start for part in place.read], multiple) for place in planned(shape, tile, halo, multiple)}
    assert len(sizes) == 1


@settings(max_examples=60, deadline=None)
@given(layouts(), st.integers(0, 20))
@pytest.mark.parametrize("planned", [plan, plan_grid])
def test_tiles_at_the_ends_of_an_image_see_as_much_beyond_them_as_border_and_halo_allow(planned, layout, border):
    shape, tile, halo, multiple = layout
    tile = [length + unit for length, unit in zip(tile, multiple, strict=True)]
    written = np.zeros(shape, int)
    lengths = set()
    for place in planned(shape, tile, halo, multiple, [border] * len(shape)):
        written[place.write] += 1
        reads = zip(place.read, place.margin, strict=True)
        lengths.add(tuple(before + read.stop - read.start + after for read, (before, after) in reads))
        for read, write, inner, (before, after), size, pixels, unit in zip(
            place.read, place.write, place.inner, place.margin, shape, halo, multiple, strict=True
        ):
            expected = -(-min(border, pixels) // unit) * unit
            assert (read.start - before) % unit == 0
            assert inner == slice(write.start - read.start, write.stop - read.start)
            assert before == 0 or read.start == 0
            assert after == 0 or read.stop == size
            assert write.start > 0 or before == expected
            assert write.stop < size or expected <= after < expected + unit
    assert (written == 1).all()
    assert len(lengths) == 1
    assert all(length <= most for length, most in zip(lengths.pop(), round_up(tile, multiple), strict=True))


def test_tiles_of_a_line_overlap_by_two_halos_and_meet_in_the_middle():
    places = plan((1, 20), (1, 8), (0, 1), (1, 1))
    assert [(place.read[1], place.write[1], place.inner[1]) for place in places] == [
        (slice(0, 8), slice(0, 7), slice(0, 7)),
        (slice(6, 14), slice(7, 13), slice(1, 7)),
        (slice(12, 20), slice(13, 20), slice(1, 8)),
    ]


def test_tiles_of_a_grid_write_cells_of_one_size():
    places = plan_grid((1, 21), (1, 8), (0, 1), (1, 2))
    assert [place.write[1] for place in places] == [slice(0, 4), slice(4, 8), slice(8, 12), slice(12, 16), slice(16, 20), slice(20, 21)]
    assert [place.read[1] for place in places] == [slice(0, 8), slice(2, 10), slice(6, 14), slice(10, 18), slice(14, 21), slice(14, 21)]


def test_a_grid_without_room_for_both_halos_is_refused():
    with pytest.raises(ValueError, match=r"no room for 3 pixels .* got a length of 32; raise inference.tile to 48 or lower"):
        plan_grid((64, 64), (32, 64), (3, 0), (16, 16))


def test_an_axis_that_fits_is_not_cut():
    places = plan((10, 100, 30), (16, 40, 32), (2, 2, 2), (16, 4, 16))
    assert len(places) == 3
    assert all(place.read[0] == slice(0, 10) and place.read[2] == slice(0, 30) for place in places)


def test_tiles_shrink_to_what_their_number_needs():
    starts = [place.read[1] for place in plan((1, 256), (1, 128), (0, 16), (1, 16))]
    assert starts == [slice(0, 112), slice(64, 176), slice(144, 256)]


def test_the_last_tile_ends_with_an_image_that_is_no_multiple():
    assert [place.read[1] for place in plan((1, 250), (1, 128), (0, 16), (1, 16))] == [slice(0, 112), slice(64, 176), slice(144, 250)]


def test_tiles_run_along_the_last_axis_first():
    places = plan((4, 6), (2, 3), (0, 0), (1, 1))
    assert [(place.write[0].start, place.write[1].start) for place in places] == [(0, 0), (0, 3), (2, 0), (2, 3)]


def test_a_tile_without_room_for_its_halo_is_refused():
    with pytest.raises(
        ValueError, match=r"steps of 16 has no room for 3 pixels .* got a length of 16; raise inference.tile to 32 or lower"
    ):
        plan((64, 64), (16, 64), (3, 0), (16, 16))


@pytest.mark.parametrize(
    ("shape", "multiple", "max_voxels", "expected"),
    [
        ((10, 7), (1, 1), 70, (10, 7)),
        ((8192, 8192), (1, 1), 2048**2, (2048, 2048)),
        ((64, 512, 512), (16, 16, 16), 2**22, (64, 128, 512)),
        ((640, 640), (16, 16), 100, (48, 48)),
    ],
)
def test_the_chosen_tile_computes_the_fewest_voxels(shape, multiple, max_voxels, expected):
    assert choose_tile(shape, Halo(0.25), multiple, max_voxels) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3000), st.sampled_from([1, 2, 8, 16, 32])), min_size=2, max_size=3),
    st.sampled_from([0, 0.1, 0.25, 0.5, 0.6, 0.9]),
    st.integers(1, 10**7),
)
@example([(1, 8), (3, 1)], 0.5, 4)  # half of 2 pixels rounds to none left, half of 1 pixel to one
def test_a_chosen_tile_is_within_its_number_of_voxels_and_has_room_for_its_overlap(axes, overlap, max_voxels):
    shape, multiple = zip(*axes, strict=True)
    tile = choose_tile(shape, Halo(overlap), multiple, max_voxels)
    assert plan([min(size, 2 * side) for size, side in zip(shape, tile, strict=True)], tile, Halo(overlap)(tile), multiple)
    smallest = [Halo(overlap).smallest(0, unit) * unit for unit in multiple]
    assert math.prod(tile) <= max_voxels or any(side <= least for side, least in zip(tile, smallest, strict=True))


def test_a_chosen_tile_has_room_for_a_halo_of_some_pixels():
    halo = Halo(pixels=(3, 40))
    tile = choose_tile((64, 500), halo, (4, 16), 100)
    assert tile == (12, 112)
    assert len(plan_grid((64, 500), tile, halo(tile), (4, 16))) == 16 * 32


@pytest.mark.parametrize(("shape", "at_most"), [((32, 256, 256), 1.32), ((64, 512, 512), 1.6), ((300, 300, 300), 1.9)], ids=str)
def test_halos_add_little_to_what_the_network_computes(shape, at_most):
    multiple = (16, 16, 16)
    tile = choose_tile(shape, Halo(0.25), multiple, 2**20 if shape[0] < 100 else 2**22)
    places = plan(shape, tile, Halo(0.25)(tile), multiple)
    computed = sum(math.prod(part.stop - part.start for part in place.read) for place in places)
    assert computed / math.prod(shape) <= at_most


def test_one_multiple_stands_for_all_axes():
    assert for_axes([4], 3) == (4, 4, 4)
    assert for_axes([1, 8, 8], 3) == (1, 8, 8)
    with pytest.raises(ValueError, match=r"for each of the 3 spatial axes, got \[8, 8\]; check spatial_dims"):
        for_axes([8, 8], 3)


@pytest.mark.parametrize(("shape", "multiple", "voxels"), [((256, 2048, 2048), 16, 2_000_000), ((11369, 11369), 1, 5_000_000)])
def test_tiles_of_a_grid_are_chosen_by_what_a_grid_costs(shape, multiple, voxels):
    halo, multiples = Halo(0.25), (multiple,) * len(shape)
    tile = choose_tile(shape, halo, multiples, voxels, grid=True)
    tiles = plan_grid(shape, tile, halo(tile), multiples)
    computed = sum(math.prod(part.stop - part.start for part in one.read) for one in tiles)
    assert computed / math.prod(shape) < 3.6
    step = [part.stop for part in tiles[0].write]
    assert all(cells == size or cells % 64 == 0 for cells, size in zip(step, shape, strict=True))
