"""Outlines of the simulated cells."""

import numpy as np

from im2im.data.cells import Outline, draw, random_cells

GRID = np.stack(np.meshgrid(*2 * [np.arange(0, 20, 0.5, dtype=np.float32)], indexing="ij"))
FLAT = np.zeros_like(GRID)


def circle(y: float, x: float, radius: float, stiffness: int = 1) -> Outline:
    return Outline((y, x), (radius, radius), 0.0, np.zeros(4), stiffness)


def test_the_level_of_a_circle_is_the_distance_from_its_middle_over_its_radius():
    np.testing.assert_allclose(circle(8, 11, 4).level(*GRID), np.hypot(GRID[0] - 8, GRID[1] - 11) / 4, atol=1e-5)


def test_an_ellipse_reaches_as_far_as_its_axes():
    ellipse = Outline((0.0, 0.0), (4.0, 2.0), np.pi / 2, np.zeros(4))  # turned: long along y
    np.testing.assert_allclose(ellipse.level(np.array([4.0, 0.0, 2.0]), np.array([0.0, 2.0, 0.0])), [1, 1, 0.5], atol=1e-5)


def test_a_pixel_belongs_to_the_nearest_outline():
    drawing = draw([circle(10, 6, 3), circle(10, 14, 3)], GRID, FLAT)
    row = drawing.owner[20]
    assert row[12] == 1
    assert row[28] == 2
    assert drawing.level[20, 12] < drawing.next_level[20, 12]


def test_a_stiff_outline_keeps_its_area_where_it_meets_a_soft_one():
    def area_of_first(stiffness: int) -> int:
        drawing = draw([circle(10, 8, 4, stiffness), circle(10, 12, 4)], GRID, FLAT)
        return int(np.count_nonzero((drawing.owner == 1) & (drawing.level < 1)))

    alone = draw([circle(10, 8, 4)], GRID, FLAT)
    whole = np.count_nonzero(alone.level < 1)
    assert area_of_first(1) < 0.85 * whole
    assert area_of_first(8) > 0.93 * whole


def test_nothing_is_drawn_where_there_are_no_outlines():
    drawing = draw([], GRID, FLAT)
    assert not drawing.owner.any()
    assert drawing.level.min() > 1


def test_nuclei_stand_apart():
    cells = random_cells(np.random.default_rng(1), np.array([80.0, 80.0]))
    centres = np.array([cell.nucleus.centre for cell in cells if not cell.mitotic])
    distance = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1)) + 99 * np.eye(len(centres))
    assert distance.min() > 8
