"""PNG, JPEG and BMP through imageio."""

from dataclasses import dataclass, replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from im2im.axes import Region
from im2im.io.file_axes import file_axes
from im2im.io.image import Image, SlicedArray
from im2im.io.unreadable import UnreadableImageError, naming


def open_picture(path: Path, axes: str | None = None) -> list[Image]:
    """Open a picture; it is decoded once here for its shape and again by ``load``.

    RGB has three channels, also when they are equal; palettes become RGB; an alpha channel is dropped; black and
    white (1 bit) becomes 0 and 1.

    Args:
        path: A .png, .jpg or .bmp file.
        axes: Of the decoded array, ``YX`` or ``YXC`` when None.

    Raises:
        UnreadableImageError: The file is damaged, or a PNG of 16-bit colours (which would be cut to 8 bits).
    """
    _refuse_deep_colours(path)
    array = _decode(path)
    resolved = file_axes(path, array.shape, "YXC"[: array.ndim], axes)
    return [replace(Image.from_array(array, resolved), path=path, load=DecodedPicture(path, resolved))]


@dataclass(frozen=True)
class DecodedPicture:
    """Decodes a picture and cuts a region out of it; these formats offer no less.

    Args:
        path: Of the picture.
        axes: Of the decoded array.
    """

    path: Path
    axes: str

    def __call__(self, region: Region) -> np.ndarray:
        """Region (TCZYX) → TCZYX."""
        return SlicedArray(_decode(self.path), self.axes)(region)


def _decode(path: Path) -> np.ndarray:
    with naming(path):
        array = np.asarray(iio.imread(path, index=0))
    if array.ndim == 3 and array.shape[-1] in (2, 4):
        array = array[..., 0] if array.shape[-1] == 2 else array[..., :3]
    return array


def _refuse_deep_colours(path: Path) -> None:
    """A PNG starts with 8 bytes of signature, 4 + 4 of chunk header, width, height, bit depth and colour type."""
    with naming(path), path.open("rb") as file:
        header = file.read(26)
    if header.startswith(b"\x89PNG") and len(header) == 26 and header[24] == 16 and header[25] in (2, 6):
        raise UnreadableImageError(path, "a PNG of 16-bit colours would be cut to 8 bits; save it as TIFF")
