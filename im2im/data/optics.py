"""Light through a simulated specimen: transmitted light, fluorescence and the camera.

Images are floating-point arrays ZYX (one plane in 2D), periodic in Y and X, with ``spacing`` in micrometre along each axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy.special import ndtr

Spacing = tuple[float, float, float]

WAVELENGTH = 0.55  # µm, in vacuum
MEDIUM = 1.337  # refractive index of culture medium
APERTURE = 0.6  # numerical aperture of the objective
# (share of the light, width in XY, width in Z): the sharp part of the point spread function, and light from out of focus
SPREAD = ((0.72, 0.24, 0.9), (0.28, 2.2, 3.5))


@dataclass(frozen=True)
class Contrast:
    """How a method of transmitted light makes a transparent specimen visible.

    Args:
        directions: Numerical apertures (y, x) of the plane waves that the condenser sends, one row each.
        ring: Numerical apertures between which the phase ring of the objective lies.
        ring_factor: What the phase ring does to the amplitude of light; 1 where there is no ring.
        defocus: Between which distances from the focus it is used, µm.
    """

    directions: np.ndarray
    defocus: tuple[float, float]
    ring: tuple[float, float] = (0.0, 0.0)
    ring_factor: complex = 1.0

    def pupil(self, aperture: np.ndarray) -> np.ndarray:
        """Amplitude that passes the objective at each numerical aperture."""
        ring = (aperture >= self.ring[0]) & (aperture < self.ring[1])
        return np.where(ring, self.ring_factor, aperture <= APERTURE).astype(np.complex64)


def sunflower(count: int, aperture: float) -> np.ndarray:
    """Directions that cover a condenser's disc evenly, (y, x) by row."""
    index = np.arange(count)
    return aperture * np.sqrt((index + 0.5) / count)[:, None] * unit_vectors(index * np.pi * (3 - np.sqrt(5)))


def annulus(count: int, aperture: float) -> np.ndarray:
    """Directions on the ring of a phase-contrast condenser, (y, x) by row."""
    return aperture * unit_vectors(2 * np.pi * (np.arange(count) + 0.25) / count)


def unit_vectors(angle: np.ndarray) -> np.ndarray:
    """Vectors (y, x) of length 1 along a new last axis."""
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


CONTRASTS = {
    "brightfield": Contrast(sunflower(10, 0.22), defocus=(1.2, 3.0)),
    "phase": Contrast(annulus(10, 0.25), defocus=(-0.5, 1.0), ring=(0.225, 0.275), ring_factor=-0.7j),
}


def transmit(phase: np.ndarray, spacing: Spacing, defocus: float, contrast: Contrast) -> np.ndarray:
    """Intensity of transmitted light, focused through the specimen.

    A plane wave from each direction of the condenser passes the slabs one after the other (multi-slice propagation by
    the angular spectrum), is refocused and limited by the objective, and the intensities of all directions add up
    (Abbe's partially coherent image). The phase ring is the one of Zernike (Physica 9, 1942).

    Args:
        phase: Delay of the light by each slab, radians, ZYX.
        spacing: Distance of slabs and pixels (z, y, x), µm.
        defocus: Distance of each focal plane behind the middle of its slab, µm.
        contrast: Condenser and objective.

    Returns:
        One focal plane per slab, ZYX float32; 1 where there is nothing.
    """
    slabs = _wave(phase)
    image = np.zeros(phase.shape, np.float32)
    for direction in contrast.directions:
        image += _coherent(slabs, spacing, defocus, contrast, direction)
    clear = np.abs(contrast.pupil(np.hypot(*contrast.directions.T))) ** 2
    return image / clear.sum()


def _coherent(slabs: np.ndarray, spacing: Spacing, defocus: float, contrast: Contrast, direction: np.ndarray) -> np.ndarray:
    """Intensity behind one plane wave, ZYX; its tilt is carried by the frequencies and not by the field."""
    y, x = (scipy.fft.fftfreq(n, d) + tilt / WAVELENGTH for n, d, tilt in zip(slabs.shape[1:], spacing[1:], direction, strict=True))
    squared = y[:, None] ** 2 + x[None, :] ** 2
    axial = 2 * np.pi * np.sqrt(np.maximum((MEDIUM / WAVELENGTH) ** 2 - squared, 0))
    axial = (axial - 2 * np.pi * np.sqrt((MEDIUM / WAVELENGTH) ** 2 - np.sum((direction / WAVELENGTH) ** 2))).astype(np.float32)
    advance = _wave(spacing[0] * axial)
    spectrum = scipy.fft.fft2(slabs[0])
    for slab in slabs[1:]:
        spectrum = scipy.fft.fft2(scipy.fft.ifft2(spectrum * advance, overwrite_x=True) * slab, overwrite_x=True)
    spectrum *= contrast.pupil(np.sqrt(squared) * WAVELENGTH) * _wave(defocus * axial)
    image = np.empty(slabs.shape, np.float32)
    for z in reversed(range(len(slabs))):  # back from the last slab to the first
        field = scipy.fft.ifft2(spectrum)
        image[z] = field.real**2 + field.imag**2
        spectrum *= advance.conj()
    return image


def _wave(phase: np.ndarray) -> np.ndarray:
    """exp(i phase), several times faster than by a complex exponential."""
    wave = np.empty(phase.shape, np.complex64)
    wave.real, wave.imag = np.cos(phase, dtype=np.float32), np.sin(phase, dtype=np.float32)
    return wave


def fluoresce(dye: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Image of a dye: a sharp Gaussian spread, longer in Z than in XY, and a wide one of light from out of focus.

    Args:
        dye: Amount per slab, ZYX.
        spacing: Distance of slabs and pixels (z, y, x), µm.

    Returns:
        ZYX float32 in units of ``dye``.
    """
    y, x = scipy.fft.fftfreq(dye.shape[1], spacing[1]), scipy.fft.rfftfreq(dye.shape[2], spacing[2])
    squared = (y[:, None] ** 2 + x[None, :] ** 2).astype(np.float32)
    distance = spacing[0] * np.subtract.outer(np.arange(len(dye)), np.arange(len(dye)))
    spectrum = scipy.fft.rfft2(dye.astype(np.float32))
    image = np.zeros_like(spectrum)
    for share, lateral, axial in SPREAD:
        reach = ndtr((distance + spacing[0] / 2) / axial) - ndtr((distance - spacing[0] / 2) / axial)  # ZZ
        transfer = share * np.exp(-2 * (np.pi * lateral) ** 2 * squared)
        image += transfer * np.tensordot(reach.astype(np.complex64), spectrum, axes=1)
    return scipy.fft.irfft2(image, s=dye.shape[1:])


def shade(rng: np.random.Generator, shape: tuple[int, ...], dust: float = 3.0) -> np.ndarray:
    """Uneven illumination (YX, about 1): off centre, weaker in the corners, with the diffraction rings of dust out of focus.

    Args:
        rng: Source of randomness.
        shape: Of the image, YX.
        dust: Mean number of dust particles.
    """
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    image = 1 + rng.uniform(-0.08, 0.08) * y + rng.uniform(-0.08, 0.08) * x - rng.uniform(0, 0.1) * (y**2 + x**2)
    for _ in range(rng.poisson(dust)):
        (y0, x0), size, depth = rng.uniform(-1, 1, 2), rng.uniform(0.03, 0.12), rng.uniform(0.01, 0.05)
        squared = ((y - y0) ** 2 + (x - x0) ** 2) / size**2
        image *= 1 - depth * np.exp(-squared) * np.cos(3 * squared)
    return np.asarray(image)


def expose(rng: np.random.Generator, electrons: np.ndarray, gain: float = 2.0, offset: float = 100.0, noise: float = 1.6) -> np.ndarray:
    """Counts of a camera: photon noise, read noise, gain and offset.

    The Poisson distribution is drawn by its Cornish-Fisher expansion: every pixel takes one random number whatever its
    mean is, so rounding on another machine cannot shift the random stream.

    Args:
        rng: Source of randomness.
        electrons: Mean number per pixel, any shape.
        gain: Counts per electron.
        offset: Counts without light.
        noise: Standard deviation of the read noise, electrons.

    Returns:
        Counts of the same shape, uint16.
    """
    mean = np.maximum(electrons, 0)
    normal = rng.standard_normal(mean.shape, np.float32)
    photons = np.maximum(np.rint(mean + np.sqrt(mean) * normal + (normal**2 - 1) / 6), 0)
    counts = offset + gain * (photons + noise * rng.standard_normal(mean.shape, np.float32))
    return np.clip(np.rint(counts), 0, np.iinfo(np.uint16).max).astype(np.uint16)
