"""What can be had of one simulated specimen: images by several methods, and what lies where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from im2im.data.optics import Contrast, Spacing, expose, fluoresce, shade, transmit
from im2im.data.simulation import Specimen, random_field

LAMP = (1200.0, 5000.0)  # electrons per pixel of the label-free image
LASER = {2: (25.0, 150.0), 3: (150.0, 600.0)}  # electrons per µm of stained nucleus
AUTOFLUORESCENCE = 0.012  # of cytoplasm, relative to a stained nucleus
STACK_DEFOCUS = (-0.3, 0.3)  # µm between the label-free and the fluorescence stack
SHORT = 0.06  # light of the noisy image, relative to the target's
WORSE = (1.8, 0.85, 0.85)  # standard deviations ZYX that the blurred image adds to the point spread, µm
DIMMER = 0.5  # light of the blurred image, relative to the target's
THINNEST = 0.2  # µm of cell that make a voxel cytoplasm
# Hematoxylin and eosin: colours (optical density, RGB of length 1), and how dense a unit of dye and a µm of cell become
COLOURS = np.array([[0.65, 0.70, 0.29], [0.21, 0.91, 0.35]])
DENSITY = {2: (0.2, 0.09), 3: (0.9, 0.3)}
WHITE = (215.0, 240.0)  # of 255: the lamp of the slide scanner


@dataclass(frozen=True)
class Scene:
    """One specimen under several microscopes; images are ZYX, rendered when they are asked for, each once.

    Args:
        specimen: Wider than the images by a margin.
        spacing: Distance of slabs and pixels (z, y, x), µm.
        crop: The part that the images show, ZYX.
        contrast: Of the label-free image.
        spatial_dims: 2: one focal plane; 3: a stack.
        randomness: Role to a generator of its own.
    """

    specimen: Specimen
    spacing: Spacing
    crop: tuple[slice, ...]
    contrast: Contrast
    spatial_dims: int
    randomness: dict[str, np.random.Generator]

    def label_free(self) -> np.ndarray:
        """Transmitted light in counts of a camera, uint16."""
        rng = self.randomness["source"]
        defocus = rng.uniform(*(self.contrast.defocus if self.spatial_dims == 2 else STACK_DEFOCUS))
        light = transmit(self.specimen.phase, self.spacing, defocus, self.contrast)[self.crop]
        return expose(rng, log_uniform(rng, *LAMP) * shade(rng, light.shape[1:]) * light)

    def fluorescence(self) -> np.ndarray:
        """Stained DNA in counts of a camera, uint16."""
        background, laser, glow = self._lit
        return expose(self.randomness["target"], background + laser * glow[self.crop])

    def noisy(self) -> np.ndarray:
        """The fluorescence at little light, uint16: photon noise all over."""
        background, laser, glow = self._lit
        return expose(self.randomness["noisy"], SHORT * (background + laser * glow[self.crop]))

    def blurred(self) -> np.ndarray:
        """The fluorescence by a lens of lower aperture, uint16: no detail below a micrometre, and planes run into each other."""
        background, laser, glow = self._lit
        widths = [0 if length == 1 else width / d for width, d, length in zip(WORSE, self.spacing, glow.shape, strict=True)]
        wide = ndimage.gaussian_filter(glow, widths, mode=("nearest", "wrap", "wrap"))[self.crop]
        return expose(self.randomness["blurred"], DIMMER * (background + laser * wide))

    def stained(self) -> np.ndarray:
        """The cells as a histological slide, RGB, 3ZYX uint8: hematoxylin in nuclei, eosin all over.

        By Beer and Lambert the dyes' colours, weighted by their amounts, add up to an optical density. Colours and strengths
        of the dyes and the white of the scanner differ from image to image.
        """
        rng = self.randomness["stained"]
        colours = COLOURS + rng.normal(0, 0.03, COLOURS.shape)
        strengths = np.multiply(DENSITY[self.spatial_dims], np.exp(rng.normal(0, 0.2, 2)))
        body = self.specimen.body * (1 + 0.2 * random_field(rng, self.specimen.body.shape, self.spacing, 0.6))
        amounts = [
            strength * fluoresce(dye, self.spacing)[self.crop] for strength, dye in zip(strengths, (self.specimen.dye, body), strict=True)
        ]
        light = np.exp(-np.tensordot(colours.T, np.stack(amounts), axes=1))
        white = rng.uniform(*WHITE) * (1 + rng.uniform(-0.02, 0.02, (3, 1, 1, 1))) * shade(rng, light.shape[2:], dust=0) ** 0.3
        noise = rng.normal(0, 1.5, light.shape)
        return np.asarray(np.clip(np.rint(white * light + noise), 0, 255).astype(np.uint8))

    @cached_property
    def instances(self) -> np.ndarray:
        """Nuclei numbered from 1, uint16."""
        return number_objects(self.specimen.nuclei[self.crop])

    def mask(self) -> np.ndarray:
        """1 in nuclei, uint8."""
        return (self.instances > 0).astype(np.uint8)

    def classes(self) -> np.ndarray:
        """0 background, 1 cytoplasm, 2 nucleus, uint8."""
        return np.where(self.instances > 0, 2, self.specimen.body[self.crop] > THINNEST).astype(np.uint8)

    @cached_property
    def _lit(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Background (electrons), laser (electrons per µm, YX) and the image of the dye with its margin (µm, ZYX)."""
        rng = self.randomness["target"]
        glow = fluoresce(self.specimen.dye + AUTOFLUORESCENCE * self.specimen.body, self.spacing)
        background = rng.uniform(3, 12)
        laser = log_uniform(rng, *LASER[self.spatial_dims]) * shade(rng, glow[self.crop].shape[1:], dust=0)
        return background, laser, glow


RENDERERS: dict[str, Callable[[Scene], np.ndarray]] = {
    "source": Scene.label_free,
    "target": Scene.fluorescence,
    "mask": Scene.mask,
    "instances": lambda scene: scene.instances,
    "noisy": Scene.noisy,
    "blurred": Scene.blurred,
    "stained": Scene.stained,
    "classes": Scene.classes,
}
ROLES = tuple(RENDERERS)
CHANNELS = {role: 3 if role == "stained" else 1 for role in ROLES}


def number_objects(labels: np.ndarray) -> np.ndarray:
    """Number the objects of a cropped label image from 1 without gaps; of an object cut in pieces the largest stays.

    Args:
        labels: 0 is background, of any shape.

    Returns:
        The same shape, uint16.
    """
    numbered, count = np.zeros(labels.shape, np.uint16), 0
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        if window is None:
            continue
        pieces, _ = ndimage.label(labels[window] == label, np.ones((3,) * labels.ndim))
        count += 1
        numbered[window][pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])] = count
    return numbered


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is evenly distributed."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
