"""Images of any size and up to five dimensions through a trained network."""

import logging
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from rich.progress import track

from im2im.data.datamodule import ImageData
from im2im.data.side import Side
from im2im.frameworks.base import Framework
from im2im.io.image import Image
from im2im.io.pairing import list_images
from im2im.io.writer import output_path, write_image

log = logging.getLogger(__name__)


def predict(
    trainer: pl.Trainer,
    framework: Framework,
    data: ImageData,
    input: str | None,
    output: str | None,
    format: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Predict files and write the results under the same names into a folder.

    Args:
        trainer: Its device is used.
        framework: Trained.
        data: How sources are opened and normalized.
        input: A file, a folder, a glob or a table with a column "source".
        output: Folder of the predictions.
        format: "ome.tif", "tif" or "ome.zarr"; None keeps the format of the input where it can be written.
        overwrite: Replace predictions that exist.

    Returns:
        The files written.

    Raises:
        ValueError: If a setting is missing, or images could not be predicted; all others are written first.
    """
    for key, value in (("input", input), ("output", output)):
        if value is None:
            raise ValueError(f"mode=predict needs {key}=, got nothing; say which images with input=IMAGES and where to with output=FOLDER")
    if "target_scale" not in framework.record:
        raise ValueError("mode=predict needs a trained network, got none; set run= to a run folder or .ckpt")
    framework.to(trainer.strategy.root_device)
    written: list[Path] = []
    failed: list[Exception] = []
    paths = list_images(str(input))
    for path in track(paths, "predicting", transient=True):
        try:
            written += predict_file(framework, data.source, path, Path(str(output)).expanduser(), format, overwrite, set(written))
        except (OSError, ValueError) as error:
            log.warning("not predicted: %s", error)
            failed.append(error)
    log.info("%d of %d images predicted, results in %s", len(paths) - len(failed), len(paths), output)
    if failed:
        raise ValueError(f"{len(failed)} of {len(paths)} images were not predicted; the first: {failed[0]}")
    return written


def predict_file(
    framework: Framework, source: Side, path: Path, folder: Path, format: str | None, overwrite: bool, taken: set[Path]
) -> list[Path]:
    """Predict the chosen scenes of one file and write each, but never over another of this time; gives the paths written."""
    scenes = source.open(path)
    targets = [output_path(path, folder, format, image.scene if len(scenes) > 1 else "") for image in scenes]
    for target in targets:
        if target in taken or targets.count(target) > 1:
            raise FileExistsError(f"{path} would be written to {target}, as another input is; predict them into different output= folders")
        if target.exists() and not overwrite:
            raise FileExistsError(f"{target} exists; set mode.overwrite=true or another output=")
    for image, target in zip(scenes, targets, strict=True):
        prediction = predict_image(framework, source, image)
        axes = kept_axes(image, prediction)
        names = tuple(framework.record.get("target_names", ()))
        write_image(
            target, squeezed(prediction, axes), axes, image.pixel_size, names if len(names) == prediction.shape[1] else (), overwrite
        )
    return targets


def predict_image(framework: Framework, source: Side, image: Image) -> np.ndarray:
    """Predict every time point of an image.

    Returns:
        Decoded predictions, TCZYX: float32 intensities or labels, as the task decides.
    """
    first = _predict_time(framework, source, image, 0)
    predictions = np.empty((image.shape[0], *first.shape), first.dtype)
    predictions[0] = first
    for time in range(1, image.shape[0]):
        predictions[time] = _predict_time(framework, source, image, time)
    return predictions


def _predict_time(framework: Framework, source: Side, image: Image, time: int) -> np.ndarray:
    """Predict one time point: CZYX."""
    wanted = framework.record.get("in_channels", image.shape[1])
    if image.shape[1] != wanted:
        raise ValueError(f"{image.path} has {image.shape[1]} channels, the network takes {wanted}; choose with data.source_channels")
    array = source.array(image, time=time)
    normalized = source.normalization.fit(array).apply(array)
    decoded = framework.task.decode(framework.predict(torch.from_numpy(normalized)).numpy(), framework.target_scale)
    return decoded if source.spatial_dims == 3 else decoded[:, None]


def kept_axes(image: Image, prediction: np.ndarray) -> str:
    """Choose the axes to write: those longer than one and those that the input had, in the order TCZYX."""
    return "".join(
        axis
        for axis, size in zip("TCZYX", prediction.shape, strict=True)
        if axis in "YX" or size > 1 or (axis in image.axes and axis != "C")
    )


def squeezed(array: np.ndarray, axes: str) -> np.ndarray:
    """Drop the axes of a TCZYX array that are not kept."""
    return array.squeeze(tuple(place for place, axis in enumerate("TCZYX") if axis not in axes))
