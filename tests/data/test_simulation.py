"""The simulated specimen."""

import numpy as np
import pytest

from im2im.data import simulation
from im2im.data.simulation import fill, grow, random_field


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


@pytest.mark.parametrize(("shape", "spacing"), [((1, 96, 96), (100.0, 0.3, 0.3)), ((12, 96, 96), (1.0, 0.3, 0.3))])
def test_a_glass_without_cells_holds_debris_at_most(shape, spacing, monkeypatch):
    monkeypatch.setattr(simulation, "random_cells", lambda rng, extent: [])
    specimen = grow(np.random.default_rng(4), shape, spacing)
    assert not specimen.nuclei.any()
    assert not specimen.dye.any()
    assert not specimen.body.any()
    assert np.mean(specimen.phase.sum(axis=0) > 0) < 0.05
