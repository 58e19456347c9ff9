"""A trained model from Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from im2im.building import build
from im2im.data.side import Side
from im2im.ensemble import load_framework, member
from im2im.frameworks.base import Framework
from im2im.io.image import Image
from im2im.stages.predict import predict_image, squeezed
from im2im.stages.tiled_image import kept_axes
from im2im.tasks.base import require_output


@dataclass(frozen=True)
class Model:
    """A trained network with everything that belongs to it: reading, normalization, tiling and decoding.

    Args:
        framework: Holds network and task.
        source: How images are opened and normalized.
    """

    framework: Framework
    source: Side

    def predict(self, image: Any, axes: str | None = None, output: str | None = None) -> np.ndarray:
        """Predict one image.

        Args:
            image: An array, a lazy array that can be sliced, or the path of a file with one scene.
            axes: Of an array, such as "ZYX"; by default (Z)YX preceded by C when there is one axis more.
            output: What is wanted, such as "probabilities"; by default the task's first output.

        Returns:
            The prediction with the same axes, as far as it has them: intensities on the training targets' scale as float32, or labels.

        Raises:
            ValueError: If the axes or channels do not fit the model, or it has no such output.
        """
        opened = self._open(image, axes)
        name = output or self.framework.outputs[0]
        require_output(name, self.framework.outputs)
        prediction = predict_image(self.framework, self.source, opened, [name])[name]
        order = kept_axes(opened, prediction.shape)
        return squeezed(prediction, order)

    def _open(self, image: Any, axes: str | None) -> Image:
        """Open a path or wrap an array, with the run's selection of channels, time points and planes."""
        if isinstance(image, str | Path):
            if axes is not None:
                raise ValueError(f"axes are for arrays, got axes={axes} for {image}; a file says its own, or data.axes of the run does")
            scenes = self.source.open(Path(image))
            if len(scenes) != 1:
                raise ValueError(f"{image} has {len(scenes)} scenes; predict one at a time, or use mode=predict")
            return scenes[0]
        if axes is None:
            letters = "YX" if self.source.spatial_dims == 2 else "ZYX"
            axes = {len(letters): letters, len(letters) + 1: f"C{letters}"}.get(np.ndim(image))
            if axes is None:
                raise ValueError(f"cannot guess the axes of an array with shape {np.shape(image)}; say them, for example axes='TCZYX'")
        return self.source.selection([Image.from_array(image, axes)], self.source.spatial_dims, key=f"{self.source.name}_channels")[0]


def load(run: str | Path | Sequence[str | Path], trust: bool = False) -> Model:
    """Load a trained model.

    Args:
        run: A run folder or a .ckpt file; of several the outputs are averaged.
        trust: Allow its configuration to name classes outside im2im, torch, monai and lightning.

    Raises:
        ValueError: If there is no such run, it names a class that is not allowed, or several do not go together.
    """
    first, *others = [run] if isinstance(run, str | Path) else list(run)
    config, framework = load_framework(first, trust)
    framework.others = [member(str(other), config, trust) for other in others]
    return Model(framework, build(OmegaConf.select(config, f"data.module.{framework.reads}")))
