"""The simulated specimen and the outlines of its cells."""

import numpy as np
import pytest

from im2im.data.cells import Outline, draw, random_cells
from im2im.data.simulation import fill, grow, random_field

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


def test_slabs_are_filled_between_the_two_sides():
    lower, upper = np.array([[-1.5, 0.25]]), np.array([[1.0, 0.5]])
    assert fill((lower, upper), slabs=4, thickness=1.0)[:, 0].T.tolist() == [[0.5, 1, 1, 0], [0, 0, 0.25, 0]]
    assert fill((lower, upper), slabs=1, thickness=100.0)[:, 0].tolist() == [[2.5, 0.25]]


@pytest.mark.parametrize("shape", [(64, 80), (12, 48, 48)])
def test_random_fields_have_mean_0_variance_1_and_grains(shape):
    field = random_field(np.random.default_rng(0), shape, (0.3,) * len(shape), 0.9)
    assert field.shape == shape
    assert field.mean() == pytest.approx(0, abs=1e-3)
    assert field.std() == pytest.approx(1, abs=1e-3)
    assert np.mean(field[..., 1:] * field[..., :-1]) > 0.8


def test_nuclei_stand_apart():
    cells = random_cells(np.random.default_rng(1), np.array([80.0, 80.0]))
    centres = np.array([cell.nucleus.centre for cell in cells if not cell.mitotic])
    distance = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1)) + 99 * np.eye(len(centres))
    assert distance.min() > 8


@pytest.mark.parametrize(("shape", "spacing"), [((1, 160, 160), (100.0, 0.3, 0.3)), ((24, 128, 128), (1.0, 0.3, 0.3))])
def test_dye_is_in_nuclei_alone_and_nuclei_lie_in_cells(shape, spacing):
    specimen = grow(np.random.default_rng(2), shape, spacing)
    assert specimen.phase.shape == specimen.dye.shape == specimen.body.shape == specimen.nuclei.shape == shape
    nuclei = specimen.nuclei > 0
    assert nuclei.any()
    assert specimen.dye[nuclei].mean() > 50 * specimen.dye[~nuclei].mean()
    assert np.all(specimen.body.sum(axis=0)[nuclei.any(axis=0)] > 1)
    assert specimen.phase.sum(axis=0).max() < 12
    assert specimen.phase.min() >= 0


def test_the_slabs_of_a_stack_add_up_to_the_projection():
    flat = grow(np.random.default_rng(3), (1, 128, 128), (100.0, 0.3, 0.3))
    deep = grow(np.random.default_rng(3), (40, 128, 128), (1.0, 0.3, 0.3))
    np.testing.assert_allclose(deep.body.sum(axis=0), flat.body[0], atol=1e-4)
