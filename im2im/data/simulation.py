"""A simulated specimen: cultured cells on a cover glass, before any light reaches them.

Lengths are micrometres. A specimen is a stack of slabs ZYX around height 0; in 2D it is one slab thicker than any cell.
The outlines of the cells become height maps (the lower and the upper side of each part), and slabs are filled between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter

from im2im.data.cells import Cell, Drawing, Outline, draw, random_cells, random_outline
from im2im.data.optics import WAVELENGTH, Spacing, unit_vectors

# Refractive indices above the medium's; those of nucleolus and organelles above what they lie in.
CYTOPLASM, NUCLEUS, CHROMOSOMES, DEBRIS = 0.025, 0.016, 0.036, 0.03
NUCLEOLUS, MITOCHONDRION, DROPLET = 0.022, 0.045, 0.11
BALL = 6.5  # radius of a cell in metaphase
AREA_PER_DEBRIS = 1800.0  # µm²

Sides = tuple[np.ndarray, np.ndarray]  # lower and upper, YX


@dataclass(frozen=True)
class Specimen:
    """What the microscope sees; arrays ZYX.

    Args:
        phase: Delay of transmitted light by each slab against the medium, radians.
        dye: Stained DNA in each slab, about 1 per µm of an interphase nucleus.
        body: Thickness of cell in each slab, µm.
        nuclei: Number of the nucleus that fills the voxel, 0 where none does.
    """

    phase: np.ndarray
    dye: np.ndarray
    body: np.ndarray
    nuclei: np.ndarray


class Shapes(NamedTuple):
    """All cells as maps YX: whose pixel it is, the level of the nuclei, and the sides of each part."""

    owner: np.ndarray
    nucleus: np.ndarray  # number of the cell whose nucleus covers the pixel
    rim: np.ndarray
    body: Sides
    core: Sides  # nuclei
    spots: Sides  # nucleoli
    debris: Sides  # particles on the cells and on the glass


def grow(rng: np.random.Generator, shape: tuple[int, int, int], spacing: Spacing) -> Specimen:
    """Draw a specimen of this shape (ZYX; one slab in 2D) with cells of its own number, density and form."""
    cells = random_cells(rng, np.multiply(shape[1:], spacing[1:]))
    shapes = shape_cells(rng, cells, shape[1:], spacing)
    body, core, spots, debris = (fill(sides, shape[0], spacing[0]) for sides in (shapes.body, shapes.core, shapes.spots, shapes.debris))
    mitotic, density, stain = (_table(cells, name) for name in ("mitotic", "density", "stain"))
    grains, chromatin = (random_field(rng, shape, spacing, size) for size in (0.5, 0.8))
    interphase = 1 - mitotic[shapes.nucleus]
    clumps = np.maximum((0.06 + 0.16 * interphase) * chromatin + 0.25 * interphase * np.minimum(shapes.rim, 1) ** 4, -0.9)
    dye = stain[shapes.nucleus] * (1 + clumps) * np.maximum(core - 0.85 * spots, 0)
    index = np.where(mitotic > 0, CHROMOSOMES, NUCLEUS)[shapes.nucleus] * (1 + 0.12 * clumps)
    path = density[shapes.owner] * (CYTOPLASM * (1 + 0.07 * grains) * (body - core) + index * core + NUCLEOLUS * spots)
    path += DEBRIS * debris + organelles(rng, cells, shapes, shape[0], spacing)
    nuclei = np.where(core > 0.5 * min(spacing[0], 1.0), shapes.nucleus, 0)
    return Specimen((2 * np.pi / WAVELENGTH * path).astype(np.float32), dye.astype(np.float32), body, nuclei)


def shape_cells(rng: np.random.Generator, cells: list[Cell], shape: tuple[int, ...], spacing: Spacing) -> Shapes:
    """Give all cells their outlines and heights in a plane of this shape (YX); one displacement of the plane ruffles them all."""
    grid = np.stack(np.meshgrid(*(d * np.arange(n, dtype=np.float32) for n, d in zip(shape, spacing[1:], strict=True)), indexing="ij"))
    wide, fine = (np.stack([random_field(rng, shape, spacing[1:], size) for _ in "yx"]) for size in (9.0, 2.0))
    ruffle = 1.3 * wide + 0.35 * fine
    tilt = np.tensordot(rng.normal(0, 0.03, 2), grid - grid.mean(axis=(1, 2), keepdims=True), axes=1)
    floor = -4 + rng.uniform(-2, 2) + tilt

    nuclei = draw([cell.nucleus for cell in cells], grid, 0.2 * fine)
    nucleus = np.where(nuclei.level < 1, nuclei.owner, 0)
    bodies = _enclose(draw([cell.body for cell in cells], grid, ruffle), nuclei)
    body = _body_sides(cells, bodies, nuclei, floor)
    mitotic, half, base = (_table(cells, name) for name in ("mitotic", "half_height", "base"))
    centre = floor + (base + np.where(mitotic, BALL, half + 0.5))[nucleus]
    core = half[nucleus] * _dome(nuclei.level)
    spot = np.minimum(_ball_heights([spot for cell in cells for spot in cell.nucleoli], grid, ruffle), 0.9 * core)
    extent = grid[:, -1, -1]
    places = rng.uniform(0, extent, (rng.poisson(np.prod(extent) / AREA_PER_DEBRIS), 2))
    debris = _ball_heights([random_outline(rng, place, rng.uniform(0.4, 1.3), 1.2, 0.1) for place in places], grid, ruffle)
    core_sides, spot_sides = ((np.clip(centre - reach, *body), np.clip(centre + reach, *body)) for reach in (core, spot))
    return Shapes(bodies.owner, nucleus, nuclei.level, body, core_sides, spot_sides, (body[1], body[1] + 2 * debris))


def _enclose(bodies: Drawing, nuclei: Drawing) -> Drawing:
    """Widen bodies where a nucleus would stick out; no owner outside of all."""
    around = nuclei.level / 1.4
    level = np.minimum(bodies.level, around)
    owner = np.where(around < bodies.level, nuclei.owner, bodies.owner)
    return Drawing(np.where(level < 1, owner, 0), level, bodies.next_level)


def _body_sides(cells: list[Cell], bodies: Drawing, nuclei: Drawing, floor: np.ndarray) -> Sides:
    """Bodies rise over their nucleus and thin out to a lamella; where two touch both are lower; cells in metaphase are balls."""
    mitotic, half, base = (_table(cells, name) for name in ("mitotic", "half_height", "base"))
    owner, near, round_ = bodies.owner, nuclei.owner, mitotic[bodies.owner] > 0
    stiffness = np.array([1, *(cell.body.stiffness for cell in cells)])[owner]
    inside = np.maximum(1 - bodies.level ** (2 / stiffness), 0)
    contact = np.exp(-(((bodies.next_level - bodies.level) / 0.12) ** 2))
    lamella = 0.35 * np.minimum(inside / 0.1, 1)
    dome = np.where(round_, 2 * BALL * inside**0.5, (2 * half + 1.2)[owner] * inside**1.6) * (1 - 0.65 * contact)
    bulge = (2 * half + 1.0)[near] * np.clip((2.0 - nuclei.level) / 1.2, 0, 1) ** 2 * (1 - mitotic[near]) * np.minimum(inside / 0.3, 1)
    lower = floor + base[owner] * np.minimum(inside / 0.3, 1)
    return lower, lower + np.maximum(dome + lamella, bulge)


def _ball_heights(outlines: list[Outline], grid: np.ndarray, ruffle: np.ndarray) -> np.ndarray:
    """Half heights of ball-shaped things, YX."""
    balls = draw(outlines, grid, ruffle)
    return np.array([0.0, *(outline.radius for outline in outlines)], np.float32)[balls.owner] * _dome(balls.level)


def fill(sides: Sides, slabs: int, thickness: float) -> np.ndarray:
    """Length of each slab that lies between a lower and an upper side (YX), ZYX float32; the stack is centred around height 0."""
    edges = (thickness * (np.arange(slabs + 1) - slabs / 2)).astype(np.float32)[:, None, None]
    lower, upper = (side.astype(np.float32) for side in sides)
    return np.maximum(np.minimum(upper, edges[1:]) - np.maximum(lower, edges[:-1]), 0)


def organelles(rng: np.random.Generator, cells: list[Cell], shapes: Shapes, slabs: int, spacing: Spacing) -> np.ndarray:
    """Optical path (µm) of mitochondria, which are short random walks around the nucleus, and of lipid droplets, ZYX."""
    nuclei = [cell.nucleus for cell in cells if not cell.mitotic]
    path = np.zeros((slabs, *shapes.owner.shape), np.float32)
    for walks, steps, volume, index in ((36, 14, 0.05, MITOCHONDRION), (14, 1, 0.18, DROPLET)):
        count = len(nuclei) * walks
        centre = np.repeat(np.reshape([nucleus.centre for nucleus in nuclei], (-1, 2)), walks, axis=0)
        distance = np.repeat([nucleus.radius for nucleus in nuclei], walks) * rng.uniform(1, 2.1, count)
        heading = rng.uniform(0, 2 * np.pi, (count, 1)) + np.cumsum(rng.normal(0, 0.35, (count, steps)), axis=1)
        start = centre + distance[:, None] * unit_vectors(rng.uniform(0, 2 * np.pi, count))
        points = start[:, None] + np.cumsum(0.25 * unit_vectors(heading), axis=1)
        amount = volume * index / (spacing[1] * spacing[2]) * rng.gamma(2, 0.5, (count, 1))
        _deposit(path, shapes, points, rng.uniform(0.15, 0.75, (count, 1)), amount, spacing)
    return gaussian_filter(path, (0, 0.2 / spacing[1], 0.2 / spacing[2]), truncate=3)


def _deposit(path: np.ndarray, shapes: Shapes, points: np.ndarray, share: np.ndarray, amount: np.ndarray, spacing: Spacing) -> None:
    """Add an amount to the voxel of each point (…, 2) at a share of the cell's height, where there is cytoplasm."""
    share, amount = (np.broadcast_to(values, points.shape[:-1]).ravel() for values in (share, amount))
    place = np.rint(points.reshape(-1, 2) / spacing[1:]).astype(int)
    here = np.all((place >= 0) & (place < path.shape[1:]), axis=1)
    (y, x), share, amount = place[here].T, share[here], amount[here]
    lower, height = shapes.body[0][y, x], (shapes.body[1] - shapes.body[0])[y, x]
    slab = np.clip(np.floor((lower + share * height) / spacing[0] + len(path) / 2).astype(int), 0, len(path) - 1)
    amount = amount * ((shapes.nucleus[y, x] == 0) & (height > 0.6))
    path += np.bincount(np.ravel_multi_index((slab, y, x), path.shape), amount, path.size).reshape(path.shape).astype(np.float32)


def random_field(rng: np.random.Generator, shape: tuple[int, ...], spacing: tuple[float, ...], size: float) -> np.ndarray:
    """Smooth noise of mean 0 and variance 1 with grains of this size, float32."""
    frequencies = np.meshgrid(*(scipy.fft.fftfreq(n, d) for n, d in zip(shape, spacing, strict=True)), indexing="ij", sparse=True)
    spectrum = scipy.fft.rfftn(rng.standard_normal(shape, np.float32))
    squared = sum(f**2 for f in frequencies)[..., : spectrum.shape[-1]]
    field = scipy.fft.irfftn(spectrum * np.exp(-((np.pi * size) ** 2) * squared).astype(np.float32), s=shape)
    return np.asarray((field - field.mean()) / field.std())


def _table(cells: list[Cell], name: str) -> np.ndarray:
    """One property of all cells, to be indexed by their number; 0 is no cell."""
    return np.array([0.0, *(getattr(cell, name) for cell in cells)], np.float32)


def _dome(level: np.ndarray) -> np.ndarray:
    """Height of a ball of radius 1 above its equator."""
    return np.sqrt(np.maximum(1 - level**2, 0))
