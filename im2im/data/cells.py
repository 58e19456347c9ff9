"""Simulated cells as outlines in a plane: where they are, what shape they have, which pixel belongs to which.

Lengths are micrometres. An outline is drawn by its *level*, a map that is 0 in the middle, 1 on the outline and grows outwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

METAPHASE, DIM = 1 / 16, 1 / 12  # shares of the cells
AREA_PER_CELL = 250.0  # µm², in a closed layer


@dataclass(frozen=True)
class Outline:
    """A star-shaped outline: an ellipse whose radius is modulated by harmonics of order 2 to 5.

    Args:
        centre: Position (y, x).
        axes: Half axes of the ellipse.
        angle: Of the first axis against x.
        harmonics: Amplitude and angle as one complex number for each order.
        stiffness: 1 is a soft body; a stiffer one is less ruffled and keeps its shape where it meets others.
    """

    centre: tuple[float, float]
    axes: tuple[float, float]
    angle: float
    harmonics: np.ndarray
    stiffness: int = 1

    @property
    def radius(self) -> float:
        """Of the circle of the same area."""
        return float(np.sqrt(self.axes[0] * self.axes[1]))

    def level(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """0 in the middle, 1 on the outline, growing outwards; the faster, the stiffer."""
        point = ((x - self.centre[1]) + 1j * (y - self.centre[0])) * np.exp(-1j * self.angle)
        point = (point.real / self.axes[0] + 1j * (point.imag / self.axes[1])).astype(np.complex64)
        distance = np.abs(point) + np.float32(1e-6)
        turn = point / distance
        wave, power = np.ones_like(distance), turn
        for harmonic in self.harmonics:
            power = power * turn
            wave += (power * np.complex64(harmonic)).real
        return np.asarray((distance / wave) ** self.stiffness)


@dataclass(frozen=True)
class Cell:
    """One cell: outlines of its parts, heights above the glass, and what varies from cell to cell."""

    body: Outline
    nucleus: Outline
    nucleoli: tuple[Outline, ...]
    mitotic: bool
    half_height: float  # of the nucleus
    base: float  # height of the cell's lower side
    density: float  # relative refractive increment
    stain: float  # dye per µm of nucleus


class Drawing(NamedTuple):
    """Outlines in one plane, arrays YX: number of the nearest outline, its level, and the level of the second nearest."""

    owner: np.ndarray
    level: np.ndarray
    next_level: np.ndarray


def random_outline(
    rng: np.random.Generator, centre: np.ndarray, radius: float, elongation: float, rough: float, stiffness: int = 1
) -> Outline:
    """Draw an outline of about this radius; ``rough`` is the size of its second harmonic."""
    order = np.arange(2, 6)
    harmonics = rough * (2 / order) * rng.normal(size=4) * np.exp(2j * np.pi * rng.random(4))
    limit = max(1.0, float(np.abs(harmonics).sum()) / 0.6)  # keeps the outline away from its centre
    axes = (radius * elongation**0.5, radius / elongation**0.5)
    return Outline((float(centre[0]), float(centre[1])), axes, float(rng.uniform(0, np.pi)), harmonics / limit, stiffness)


def random_cell(rng: np.random.Generator, centre: np.ndarray, radius: float) -> Cell:
    """Draw a cell around a nucleus; in metaphase it is a ball with its chromosomes in a plate."""
    mitotic = bool(rng.random() < METAPHASE)
    stain = float(np.exp(rng.normal(0, 0.16)) * (0.4 if rng.random() < DIM else 1))
    density, half_height, base = rng.uniform(0.85, 1.15), rng.uniform(2.0, 3.2), rng.uniform(0, 2)
    if mitotic:
        body = random_outline(rng, centre, rng.uniform(7, 8), 1.05, 0.02, stiffness=8)
        plate = random_outline(rng, centre + rng.normal(0, 0.4, 2), 3.0, rng.uniform(2.2, 3.4), 0.08)
        return Cell(body, plate, (), True, rng.uniform(3.8, 4.6), base, 1.1 * density, 1.7 * stain)
    body = random_outline(rng, centre + rng.normal(0, 1.8, 2), rng.uniform(10, 15), rng.uniform(1, 2), 0.16)
    nucleus = random_outline(rng, centre, radius, rng.uniform(1, 1.5), 0.035)
    nucleoli = tuple(
        random_outline(rng, centre + 0.5 * radius * rng.uniform(-1, 1, 2), rng.uniform(0.7, 1.7), rng.uniform(1, 1.5), 0.1)
        for _ in range(rng.integers(1, 5))
    )
    return Cell(body, nucleus, nucleoli, False, half_height, base, density, stain * (5.5 / radius) ** 0.5)


def random_cells(rng: np.random.Generator, extent: np.ndarray) -> list[Cell]:
    """Draw the cells on a glass of this size (y, x): from a few to a closed layer, more or less in clusters, nuclei side by side."""
    wanted = int(np.ceil(rng.uniform(0.2, 1) * np.prod(extent) / AREA_PER_CELL))
    clustering = rng.uniform(0, 0.9)
    centres, radii = np.zeros((0, 2)), np.zeros(0)
    for _ in range(12 * wanted):
        centre, radius = rng.uniform(0, extent), float(np.clip(rng.normal(5.5, 0.7), 4, 7.5))
        if len(centres) and rng.random() < clustering:
            centre = centres[rng.integers(len(centres))] + rng.normal(0, 12, 2)
        apart = np.all(np.hypot(*(centres - centre).T) > 1.08 * (radii + radius))
        if apart and np.all(centre > -4) and np.all(centre < extent + 4) and len(centres) < wanted:
            centres, radii = np.vstack([centres, centre]), np.append(radii, radius)
    return [random_cell(rng, centre, radius) for centre, radius in zip(centres, radii, strict=True)]


def draw(outlines: Sequence[Outline], grid: np.ndarray, ruffle: np.ndarray) -> Drawing:
    """Draw outlines that share the plane as numbers 1, 2, 3, …: each pixel belongs to the nearest.

    Args:
        outlines: What to draw.
        grid: Position of each pixel, 2YX, regular and from 0.
        ruffle: Displacement of each pixel, 2YX; bends the outlines.
    """
    shape, pixel = grid.shape[1:], (grid[0, 1, 0], grid[1, 0, 1])
    owner, first, second = np.zeros(shape, np.intp), np.full(shape, 9, np.float32), np.full(shape, 9, np.float32)
    for number, outline in enumerate(outlines, 1):
        reach = 1.6 * max(outline.axes) + 2
        window = tuple(
            slice(*(max(0, int((c + side) / d)) for side in (-reach, reach))) for c, d in zip(outline.centre, pixel, strict=True)
        )
        bent = (slice(None), *window)
        level = outline.level(*(grid[bent] + ruffle[bent] / np.float32(outline.stiffness)))
        nearer = level < first[window]
        second[window] = np.where(nearer, first[window], np.minimum(second[window], level))
        first[window] = np.where(nearer, level, first[window])
        owner[window] = np.where(nearer, number, owner[window])
    return Drawing(owner, first, second)
