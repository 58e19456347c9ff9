"""Images that do not fit into memory: predicted tile by tile into an array on disk, and from there into the wanted file.

What is unfinished lies in a hidden folder beside the result, from which a prediction goes on that was interrupted::

    .cells.ome.zarr.unfinished/
        plan.json              tiles, and all that the prediction depends on
        done                   numbers of the tiles that are written
        intensities.ome.zarr   one for each output
        labels.objects/        of instances, what was found in each tile: joined in the end
"""

import json
import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from torch import nn

from im2im.data.side import Side
from im2im.files import replacing
from im2im.frameworks.base import Framework
from im2im.inference.planning import Region, Tile
from im2im.io.image import Image
from im2im.io.labels import LABEL_TYPES, present_colours
from im2im.io.ome_zarr import open_zarr
from im2im.io.pyramid import add_pyramid
from im2im.io.store import stamp as file_stamp
from im2im.io.writer import write_large
from im2im.joining import number_joined, same_objects
from im2im.large import LargeArray
from im2im.normalization import Fitted
from im2im.stages.tiled_image import Done, TiledImage, load_objects

log = logging.getLogger(__name__)

PROVISIONAL = "provisional"  # array of objects whose numbers are not final


def predict_large(
    framework: Framework, source: Side, image: Image, paths: Mapping[str, Path], channel_names: tuple[str, ...], progress: Progress
) -> None:
    """Predict one image tile by tile, going on where an earlier prediction of it was interrupted.

    Args:
        framework: Trained.
        source: How images are opened and normalized.
        image: Opened.
        paths: Where each output goes.
        channel_names: Of the outputs' channels, or none.
        progress: Shows how many tiles are left, and for how long.

    Raises:
        ValueError: The image does not fit the network, or an output needs the whole image at once.
        OSError: It cannot be read, or the result cannot be written.
    """
    framework.task.require_local()
    first = next(iter(paths.values()))
    folder = first.with_name(f".{first.name}.unfinished")
    job = prepare(framework, source, image, tuple(paths), folder, channel_names)
    done = Done(folder / "done")
    left = sorted(set(job.numbers) - set(done))
    if len(left) < len(job.numbers):
        log.info("%s: %d of %d tiles were predicted before", image.path.name, len(job.numbers) - len(left), len(job.numbers))
    shown = progress.add_task(f"tiles of {image.path.name}", total=len(left))
    for number in framework.inference.work(job, left):
        done.add(number)
        progress.advance(shown)
    for name, path in paths.items():
        finish(job, name, path)
    shutil.rmtree(folder)
    progress.remove_task(shown)


def prepare(
    framework: Framework, source: Side, image: Image, outputs: tuple[str, ...], folder: Path, channel_names: tuple[str, ...]
) -> TiledImage:
    """Plan an image, or take up the plan of an interrupted prediction of it with the same networks, settings and outputs."""
    stamp = _stamp(framework, source, image, outputs)
    told = folder / "plan.json"
    plan = json.loads(told.read_text()) if told.exists() else {}
    shape = source.spatial_shape(image)
    if plan.get("stamp") != stamp:
        if folder.exists():
            log.info("%s is predicted anew: networks, settings or the image have changed", image.path.name)
            shutil.rmtree(folder)
        demand = framework.predictor().demand(image.shape[1], shape)
        tiles = framework.inference.plan(shape, demand, grid=True)
        with replacing(told) as path:
            path.write_text(json.dumps({"stamp": stamp, "tiles": [_plain(tile) for tile in tiles]}))
        plan = json.loads(told.read_text())
    scales = tuple(fit_large(source, image, time) for time in range(image.shape[0]))
    return TiledImage(framework, source, image, scales, tuple(map(_tile, plan["tiles"])), outputs, folder, channel_names)


def fit_large(source: Side, image: Image, time: int) -> Fitted:
    """Fit the normalization on a time point that is read part by part."""
    shape = (image.shape[1], *source.spatial_shape(image))

    def read(region: tuple[slice, ...]) -> np.ndarray:
        return source.array(image, region[1:], time)[region[0]]

    return source.normalization.fit(LargeArray(read, tuple(slice(0, length) for length in shape), image.dtype))


def finish(job: TiledImage, name: str, path: Path) -> None:
    """Turn what was kept of an output into the file that was wanted; what is there is replaced."""
    if job.numbers_objects(name):
        join(job, name)
    elif not job.store(name).exists():  # it has moved to its place already, before an interruption
        return
    (image,) = open_zarr(job.store(name))
    if path.name.lower().endswith(".zarr"):
        add_pyramid(job.store(name), image.axes, labels=name == "labels")
        with replacing(path) as temporary:
            os.replace(job.store(name), temporary)
    else:
        write_large(path, image)


def join(job: TiledImage, name: str) -> None:
    """Number the objects of every time point without gaps, those that lie in several tiles once."""
    for store in (name, PROVISIONAL):
        shutil.rmtree(job.store(store), ignore_errors=True)
    numbers = [_joined(job, name, time) for time in range(job.image.shape[0])]
    last = max(int(table.max()) for table in numbers)
    dtype = next(np.dtype(one) for one in LABEL_TYPES[1:] if last <= np.iinfo(one).max)
    for number in job.numbers:
        time, tile = job.place(number)
        found = job.get(PROVISIONAL, time, tile.write)
        job.put(name, time, tile.write, numbers[time][found].astype(dtype), colours=present_colours(np.arange(last + 1)))


def _joined(job: TiledImage, name: str, time: int) -> np.ndarray:
    """Write the objects of one time point with provisional numbers; gives the final number of each."""
    count, pairs = 0, []
    for index, tile in enumerate(job.tiles):
        found = load_objects(job.objects(name, time * len(job.tiles) + index))
        table = np.zeros(int(found.max(initial=0)) + 1, np.uint32)
        written = np.unique(found[tile.inner])
        written = written[written > 0]
        table[written] = count + 1 + np.arange(len(written))
        found = table[found]
        if index:
            region, inner, known = around(tile)
            pairs += same_objects(found[inner], job.get(PROVISIONAL, time, region)[0], known)
        job.put(PROVISIONAL, time, tile.write, found[tile.inner][None])
        count += len(written)
    return number_joined(count, pairs)


def around(tile: Tile) -> tuple[Region, Region, np.ndarray]:
    """Tell where the objects of a tile are compared with those of earlier ones: beyond what it writes, by half of what it sees there.

    Returns:
        The region of the image; that of the tile's own prediction; and which of its pixels were written by tiles before this one.
    """
    starts = [write.start - (1 + write.start - read.start) // 2 for read, write in zip(tile.read, tile.write, strict=True)]
    ends = [write.stop + (read.stop - write.stop) // 2 for read, write in zip(tile.read, tile.write, strict=True)]
    region = tuple(map(slice, starts, ends))
    inner = tuple(slice(part.start - read.start, part.stop - read.start) for part, read in zip(region, tile.read, strict=True))
    known = np.zeros([part.stop - part.start for part in region], bool)
    within: Region = ()
    for part, write in zip(region, tile.write, strict=True):  # tiles run along the last axis first
        known[(*within, slice(0, write.start - part.start))] = True
        within = (*within, slice(write.start - part.start, write.stop - part.start))
    return region, inner, known


def _stamp(framework: Framework, source: Side, image: Image, outputs: tuple[str, ...]) -> str:
    """Sum up all that a prediction depends on."""
    asked = (outputs, image.shape, image.scene, image.part, str(image.path), file_stamp(image.path))
    taken = (source.normalization, source.selection, source.reader, _settings(framework))
    digest = sha256(re.sub(r" at 0x\w+", "", repr((asked, taken))).encode())
    for run in framework.predictor().runs:
        for name, value in sorted(run.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _settings(framework: Framework) -> dict[str, Any]:
    """List task, inference, record and all else that a framework holds but networks, which are summed up by their weights."""
    return {name: value for name, value in sorted(vars(framework).items()) if not name.startswith("_") and not isinstance(value, nn.Module)}


def _plain(tile: Tile) -> list[list[list[int]]]:
    regions = [[[part.start, part.stop] for part in region] for region in (tile.read, tile.write, tile.inner)]
    return [*regions, [list(pixels) for pixels in tile.margin]]


def _tile(plain: Sequence[Sequence[Sequence[int]]]) -> Tile:
    read, write, inner = (tuple(slice(low, high) for low, high in region) for region in plain[:3])
    return Tile(read, write, inner, tuple((before, after) for before, after in plain[3]))
