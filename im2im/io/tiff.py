"""TIFF, OME-TIFF and ImageJ TIFF through tifffile."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from im2im.io.file_axes import file_axes
from im2im.io.image import Image
from im2im.io.pages import EncodedPages, Segments, StoredPages
from im2im.io.tiff_metadata import Metadata, metadata_of
from im2im.io.unreadable import UnreadableImageError, naming


def open_tiff(path: Path, axes: str | None = None) -> list[Image]:
    """Open a TIFF: one image per series, at full resolution.

    Uncompressed pixels are read by their offsets in the file, only the rows that are asked for; compressed ones by
    strip or tile.

    Args:
        path: Of the file.
        axes: Of its arrays (as ``tifffile.imread`` gives them); None takes the file's own, see ``file_axes``.

    Raises:
        UnreadableImageError: No TIFF, damaged or cut off.
        ValueError: The axes are not known.
    """
    with naming(path), tifffile.TiffFile(path) as tif:
        if not tif.series:
            raise UnreadableImageError(path, "it holds no image")
        opened = [_open_series(path, series, axes) for series in tif.series]
        metadata = metadata_of(tif)
    return [_image(path, axes, *one, of_scene) for one, of_scene in zip(opened, metadata, strict=True)]


def _image(path: Path, axes: str | None, letters: str, pages: StoredPages | EncodedPages, metadata: Metadata) -> Image:
    resolved = file_axes(path, pages.shape, letters, axes)
    image = Image.from_array(pages, resolved, pixel_size=metadata.pixel_size)
    names = metadata.channel_names if len(metadata.channel_names) == image.shape[1] else ()
    others = {Path(page.path) for page in pages.pages} - {pages.path} if isinstance(pages, EncodedPages) else ()
    return replace(image, path=path, scene=metadata.scene, channel_names=names, others=tuple(sorted(others)))


def _open_series(path: Path, series: tifffile.TiffPageSeries, axes: str | None) -> tuple[str, StoredPages | EncodedPages]:
    letters, shape = series.axes, tuple(series.shape)
    if not (axes and len(axes) == len(shape)):
        kept = [index for index, letter in enumerate(letters) if shape[index] > 1 or letter in "YX"]
        letters, shape = "".join(letters[index] for index in kept), tuple(shape[index] for index in kept)
    if len(shape) < 2 or 0 in shape:
        raise UnreadableImageError(path, f"it holds no image but an array of shape {shape}")
    _check_pages(path, series)
    _check_first(path, series)
    return letters, _stored(path, series, letters, shape) or _encoded(path, series, shape)


def _check_pages(path: Path, series: tifffile.TiffPageSeries) -> None:
    pages: list[Any] = list(series.pages)
    if missing := sum(page is None for page in pages):
        raise UnreadableImageError(path, f"{missing} of its {len(pages)} planes lie in files that are not there")
    if series.dataoffset is not None:
        ends = [series.dataoffset + math.prod(series.shape) * series.dtype.itemsize]
    else:
        ends = [max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True)), default=0) for page in pages]
    for page, end in zip(pages, ends, strict=False):
        if end > page.parent.filehandle.size:
            raise UnreadableImageError(path, f"it ends {end - page.parent.filehandle.size} bytes too early; the file is truncated")


def _check_first(path: Path, series: tifffile.TiffPageSeries) -> None:
    """Each file of a set opens as the whole set, which must not count as many images: only the first one may be opened."""
    pages: list[Any] = list(series.pages) if series.is_multifile else []
    first = min((str(page.parent.filehandle.path) for page in pages), default=str(path))
    if Path(first).resolve() != path.resolve():
        raise UnreadableImageError(path, f"it is a part of the image that begins in {first}; name that file alone in data.root or input")


def _stored(path: Path, series: tifffile.TiffPageSeries, letters: str, shape: tuple[int, ...]) -> StoredPages | None:
    """Pixels that lie in the file as they are; None when they are compressed, scattered or in several files."""
    keyframe, plane_axes = series.keyframe, 3 if letters.endswith("S") and shape[-1] > 1 else 2
    dtype = np.dtype(series.dtype).newbyteorder(keyframe.parent.byteorder)
    plane = math.prod(shape[-plane_axes:]) * dtype.itemsize
    if not all(_in_one_piece(page) for page in series.pages if page is not None):
        return None
    if series.dataoffset is not None:
        starts, inside = np.array([series.dataoffset]), np.arange(math.prod(shape[:-plane_axes]))
    elif series.is_multifile or not keyframe.is_final or keyframe.nbytes % plane:
        return None
    else:
        pages: list[Any] = list(series.pages)
        starts = np.array([page.dataoffsets[0] for page in pages])
        inside = np.arange(keyframe.nbytes // plane)
    return StoredPages(path, (starts[:, None] + inside * plane).ravel(), shape, dtype, plane_axes)


def _in_one_piece(page: Any) -> bool:
    """Tell whether the strips of a page follow each other."""
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    return list(page.dataoffsets[1:]) == ends[:-1]


def _encoded(path: Path, series: tifffile.TiffPageSeries, shape: tuple[int, ...]) -> EncodedPages:
    keyframe, listed = series.keyframe, list[Any](series.pages)
    axes = len(keyframe.shape)
    if shape[-axes:] != tuple(keyframe.shape) or math.prod(shape[:-axes]) != len(listed):
        raise UnreadableImageError(path, f"its pages of {keyframe.shape} do not make up its shape {shape}")
    pages = tuple(Segments(page.parent.filehandle.path, page.dataoffsets, page.databytecounts) for page in listed)
    return EncodedPages(Path(keyframe.parent.filehandle.path), keyframe.index, pages, shape, np.dtype(series.dtype), axes)
