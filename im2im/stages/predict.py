"""Images of any size and up to five dimensions through a trained network."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from im2im.data.datamodule import ImageData
from im2im.data.side import Side
from im2im.frameworks.base import Framework
from im2im.io.image import Image
from im2im.io.pairing import list_images
from im2im.io.writer import output_path, write_image
from im2im.stages.large import predict_large
from im2im.stages.tiled_image import kept_axes
from im2im.tasks.base import require_output

log = logging.getLogger(__name__)

COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TextColumn("left:"),
    TimeRemainingColumn(),
)


def predict(
    trainer: pl.Trainer,
    framework: Framework,
    data: ImageData,
    input: str,
    output: str,
    format: str | None = None,
    overwrite: bool = False,
    outputs: str | Sequence[str] | None = None,
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
        outputs: What is written of each image, such as "labels" and "probabilities"; None for the task's first one alone. With several,
            each has a folder of its name.

    Returns:
        The files written.

    Raises:
        ValueError: If a setting is missing, or images could not be predicted; all others are written first.
    """
    if "target_scale" not in framework.record:
        raise ValueError("mode=predict needs a trained network, got none; set run= to a run folder or .ckpt")
    framework.to(trainer.strategy.root_device)
    names = (outputs,) if isinstance(outputs, str) else tuple(outputs or framework.outputs[:1])
    for name in names:
        require_output(name, framework.outputs)
    writing = Writing(Path(output).expanduser(), names, format, overwrite)
    written: list[Path] = []
    failed: list[Exception] = []
    paths = list_images(input)
    with Progress(*COLUMNS, transient=True) as progress:
        for path in progress.track(paths, description="images"):
            try:
                written += predict_file(framework, data.side(framework.reads), path, writing, set(written), progress)
            except (OSError, ValueError) as error:
                log.warning("not predicted: %s", error)
                failed.append(error)
    log.info("%d of %d images predicted, results in %s", len(paths) - len(failed), len(paths), output)
    if failed:
        raise ValueError(f"{len(failed)} of {len(paths)} images were not predicted; the first: {failed[0]}")
    return written


@dataclass(frozen=True)
class Writing:
    """What is written of each image, and how.

    Args:
        folder: Of the predictions; several outputs have a folder each within.
        outputs: Their names.
        format: "ome.tif", "tif" or "ome.zarr"; None keeps the format of the input where it can be written.
        overwrite: Replace predictions that exist.
    """

    folder: Path
    outputs: tuple[str, ...]
    format: str | None = None
    overwrite: bool = False

    def path(self, source: Path, scene: str, output: str) -> Path:
        """Name the file of one output of one scene of an input."""
        folder = self.folder / output if len(self.outputs) > 1 else self.folder
        return output_path(source, folder, self.format, scene)


def predict_file(framework: Framework, source: Side, path: Path, writing: Writing, taken: set[Path], progress: Progress) -> list[Path]:
    """Predict the chosen scenes of one file and write each, but never over another of this time; gives the paths written."""
    scenes = source.open(path)
    places = [{name: writing.path(path, image.scene if len(scenes) > 1 else "", name) for name in writing.outputs} for image in scenes]
    targets = [target for place in places for target in place.values()]
    for target in targets:
        if target in taken or targets.count(target) > 1:
            raise FileExistsError(f"{path} would be written to {target}, as another input is; predict them into different output= folders")
        if target.exists() and not writing.overwrite:
            raise FileExistsError(f"{target} exists; set mode.overwrite=true or another output=")
    channels = tuple(framework.record.get("target_names", ())) if framework.reads == "source" else ()
    for image, place in zip(scenes, places, strict=True):
        require_channels(framework, source, image)
        if framework.inference.streams(bytes_needed(framework, source, image)):
            predict_large(framework, source, image, place, channels, progress)
        else:
            _predict_whole(framework, source, image, place, channels, writing.overwrite)
    return targets


def _predict_whole(
    framework: Framework, source: Side, image: Image, place: Mapping[str, Path], channels: tuple[str, ...], overwrite: bool
) -> None:
    """Predict one image in memory and write each output to its place."""
    for name, prediction in predict_image(framework, source, image, tuple(place)).items():
        axes = kept_axes(image, prediction.shape)
        names, labels = channels if len(channels) == prediction.shape[1] else (), prediction.dtype.kind == "u"
        write_image(place[name], squeezed(prediction, axes), axes, image.pixel_size, names, overwrite, labels=labels)


def bytes_needed(framework: Framework, source: Side, image: Image) -> int:
    """Tell what predicting a whole image takes beside what the network takes, in bytes.

    That is a time point as it is, normalized, predicted and decoded, and the predictions of all time points.
    """
    channels, shape = image.shape[1], source.spatial_shape(image)
    out_channels = framework.predictor().demand(channels, shape).out_channels
    voxels = math.prod(image.shape[2:])
    return voxels * (channels * (image.dtype.itemsize + 4) + 4 * out_channels * (2 + image.shape[0]))


def require_channels(framework: Framework, source: Side, image: Image) -> None:
    """Raise ValueError unless an image has the channels that the network takes."""
    wanted = framework.record.get("in_channels" if source.name == "source" else "target_channels", image.shape[1])
    if image.shape[1] != wanted:
        raise ValueError(f"{image.path} has {image.shape[1]} channels, the network takes {wanted}; choose with data.{source.name}_channels")


def predict_image(framework: Framework, source: Side, image: Image, outputs: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Predict every time point of an image.

    Args:
        framework: Trained.
        source: How images are opened and normalized.
        image: Opened.
        outputs: What is wanted; the task's first one where nothing is given.

    Returns:
        Decoded predictions by the name of the output, TCZYX: float32 intensities or labels, as the task decides.
    """
    names = tuple(outputs) or framework.outputs[:1]
    times = [_predict_time(framework, source, image, time, names) for time in range(image.shape[0])]
    return {name: _stacked([decoded[name] for decoded in times]) for name in names}


def _stacked(times: list[np.ndarray]) -> np.ndarray:
    """Join time points in a type that holds all of them."""
    return np.stack(times).astype(np.result_type(*times), copy=False)


def _predict_time(framework: Framework, source: Side, image: Image, time: int, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Predict one time point: CZYX for each output."""
    require_channels(framework, source, image)
    array = source.array(image, time=time)
    normalized = source.normalization.fit(array).apply(array)
    output = framework.predict(torch.from_numpy(normalized)).numpy()
    decoded = {name: framework.decode(output, name) for name in names}
    return decoded if source.spatial_dims == 3 else {name: array[:, None] for name, array in decoded.items()}


def squeezed(array: np.ndarray, axes: str) -> np.ndarray:
    """Drop the axes of a TCZYX array that are not kept."""
    return array.squeeze(tuple(place for place, axis in enumerate("TCZYX") if axis not in axes))
