"""Writing images, and the names they are written under."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from im2im.axes import AXES, parse, to_tczyx
from im2im.files import replacing
from im2im.io.encode import encode_large_tiff, encode_ome_tiff, encode_png, encode_tiff, encode_zarr
from im2im.io.formats import PICTURE, split_name
from im2im.io.image import UNKNOWN_SIZE, Image, PixelSize
from im2im.io.labels import LABEL_TYPES

Encoder: TypeAlias = Callable[[Path, np.ndarray, str, PixelSize, tuple[str, ...], bool], None]

_ENCODERS: dict[str, Encoder] = {
    ".ome.tif": encode_ome_tiff,
    ".ome.tiff": encode_ome_tiff,
    ".tif": encode_tiff,
    ".tiff": encode_tiff,
    ".ome.zarr": encode_zarr,
    ".zarr": encode_zarr,
    ".png": encode_png,
}


def write_image(
    path: str | Path,
    array: np.ndarray,
    axes: str,
    pixel_size: PixelSize = UNKNOWN_SIZE,
    channel_names: tuple[str, ...] = (),
    overwrite: bool = False,
    labels: bool = False,
) -> Path:
    """Write an image in the format of its suffix; the file appears under its name only when it is complete.

    ``.ome.tif(f)``: OME-TIFF. ``.tif(f)``: ImageJ hyperstack where ImageJ knows the type (uint8, uint16, float32),
    else TIFF that says its axes in tifffile's way. ``(.ome).zarr``: OME-Zarr 0.5. ``.png``: one plane, grey or RGB.
    Boolean becomes 0 and 1 of uint8.

    Args:
        path: Its folder is made if need be.
        array: In ``axes``.
        axes: A subset of TCZYX in any order; files have them in the order TCZYX (ImageJ: TZCYX).
        pixel_size: ZYX in micrometres.
        channel_names: One per channel, or none.
        overwrite: Replace what is there.
        labels: The numbers are those of objects or classes, 0 is background; viewers show them in colours where the format
            has a way to say so (ImageJ hyperstacks, OME-Zarr). See ``as_labels`` for their type.

    Returns:
        The path.

    Raises:
        FileExistsError: Something is there and ``overwrite`` is not set.
        OSError: The folder is full, or cannot be written to.
        ValueError: The format cannot hold this array, or labels are of another type than uint8, uint16 and uint32.
    """
    path = Path(path)
    encode = _encoder(path)
    image = to_tczyx(np.asarray(array), axes)
    image = image.astype(np.uint8) if image.dtype == bool else image
    if labels and image.dtype.name not in LABEL_TYPES:
        raise ValueError(f"labels are written as {', '.join(LABEL_TYPES)}, got {image.dtype}; convert them by as_labels")
    if len(channel_names) not in (0, image.shape[1]):
        raise ValueError(f"{path.name} has {image.shape[1]} channels, got the names {channel_names}; give one name per channel, or none")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already; set mode.overwrite=true or another output=")
    kept = "".join(axis for axis in AXES if axis in parse(axes))
    try:
        with replacing(path) as temporary:
            encode(temporary, image, kept, pixel_size, tuple(channel_names), labels)
    except OSError as error:
        raise OSError(
            f"Cannot write {path.name} to {path.parent}: {error.strerror or error}; make room there, or set another output="
        ) from error
    return path


def write_large(path: Path, image: Image) -> None:
    """Write an image on disk that does not fit into memory as TIFF, plane by plane; what is there is replaced.

    Raises:
        OSError: The folder is full, or cannot be written to.
        ValueError: The format is another one.
    """
    if not path.name.lower().endswith((".tif", ".tiff")):
        raise ValueError(f"an image that does not fit into memory is written as .ome.zarr or .ome.tif, got {path.name}; set mode.format")
    with replacing(path) as temporary:
        encode_large_tiff(temporary, image)


def output_path(source: str | Path, folder: str | Path, format: str | None = None, scene: str = "") -> Path:
    """Where what was made from ``source`` goes.

    The suffix stays where im2im can write it; pictures become ``.tif``, formats of vendors ``.ome.tif``:
    ``a.ome.tif`` → ``a.ome.tif``, ``a.png`` → ``a.tif``, ``a.czi`` → ``a.ome.tif``.

    Args:
        source: The file that was read.
        folder: Of the outputs.
        format: Another suffix for all: ``ome.tif``, ``tif``, ``ome.zarr``.
        scene: Added to the stem, where a file has several.

    Raises:
        ValueError: An unknown format, or the path is that of the source itself.
    """
    stem, suffix = split_name(Path(source).name)
    if format is not None:
        suffix = f".{format.removeprefix('.')}"
    elif suffix.lower() in PICTURE:
        suffix = ".tif"
    elif suffix.lower() not in _ENCODERS:
        suffix = ".ome.tif"
    safe = re.sub(r"[^\w.-]+", "_", scene).strip("._")
    path = Path(folder) / f"{stem}{'_' + safe if safe else ''}{suffix}"
    _encoder(path)
    if path.resolve() == Path(source).resolve():
        raise ValueError(f"the output would replace its own source {source}; set another output=")
    return path


def _encoder(path: Path) -> Encoder:
    suffix = split_name(path.name)[1].lower()
    if suffix not in _ENCODERS:
        raise ValueError(f"images are written as {', '.join(_ENCODERS)}, got {path.name}; give output one of these suffixes")
    return _ENCODERS[suffix]
