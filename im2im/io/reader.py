"""A reader turns a path into the images of that file, one per scene, without reading their pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from im2im.io import formats
from im2im.io.aicsimageio import AicsimageioReader
from im2im.io.bioio import BioioReader
from im2im.io.image import Image
from im2im.io.lif import open_lif
from im2im.io.ome_zarr import open_zarr
from im2im.io.picture import open_picture
from im2im.io.tiff import open_tiff
from im2im.io.unreadable import UnreadableImageError, check_readable

Reader: TypeAlias = Callable[[Path], list[Image]]

__all__ = ["AicsimageioReader", "AutoReader", "BioioReader", "Reader"]


@dataclass(frozen=True)
class AutoReader:
    """Chooses by suffix: TIFF, OME-Zarr and pictures directly, formats of vendors through bioio or aicsimageio (LIF: liffile).

    Args:
        axes: Of the arrays in the files, where their metadata are wrong or missing; see ``file_axes``.
    """

    axes: str | None = None

    def __call__(self, path: str | Path) -> list[Image]:
        """Open a file (or ``.zarr`` folder).

        Raises:
            UnreadableImageError: There is no such file, it is empty, damaged or of no known format, or its format needs
                an extra that is not installed.
        """
        path = Path(path)
        check_readable(path)
        return _opener(path)(path, self.axes)


def _opener(path: Path) -> Callable[[Path, str | None], list[Image]]:
    kind = formats.kind(path.name)
    if kind in formats.ZARR or path.is_dir():
        return open_zarr
    if kind in formats.TIFF:
        return open_tiff
    if kind in formats.PICTURE:
        return open_picture
    if kind in formats.VENDOR:
        return _open_vendor
    raise UnreadableImageError(path, f"the format {kind or 'without suffix'} is not known; convert it to .ome.tif, or set reader=bioio")


def _open_vendor(path: Path, axes: str | None) -> list[Image]:
    if path.suffix.lower() == ".lif" and find_spec("liffile"):
        return open_lif(path, axes)
    if find_spec("bioio"):
        return BioioReader(axes)(path)
    if find_spec("aicsimageio"):
        return AicsimageioReader(axes)(path)
    raise UnreadableImageError(path, f'no reader for {path.suffix} is installed; pip install "microscopy-im2im[formats]"')
