"""Everything that aicsimageio reads, which bioio has succeeded; the two share no environment."""

from dataclasses import dataclass
from pathlib import Path

from im2im.io.image import Image
from im2im.io.scenes import open_scenes
from im2im.io.unreadable import UnreadableImageError, check_readable, first_line, naming


@dataclass(frozen=True)
class AicsimageioReader:
    """Reads every file through aicsimageio; regions are read by dask.

    It does not know OME-Zarr 0.5, and for TIFF without OME metadata it reports a pixel size of 1.

    Args:
        axes: Of the arrays in the files, where their metadata are wrong or missing; see ``file_axes``.
    """

    axes: str | None = None

    def __call__(self, path: str | Path) -> list[Image]:
        """Open a file (or ``.zarr`` folder).

        Raises:
            UnreadableImageError: There is no such file, it is damaged, or aicsimageio or another package is not installed.
        """
        path = Path(path)
        check_readable(path)
        try:
            from aicsimageio import AICSImage
            from aicsimageio.exceptions import UnsupportedFileFormatError
        except ImportError as error:
            hint = 'pip install "microscopy-im2im[aicsimageio]", or set reader=auto'
            raise UnreadableImageError(path, f"aicsimageio is not installed; {hint}") from error
        try:
            with naming(path):
                container = AICSImage(path)
        except UnsupportedFileFormatError as error:
            raise UnreadableImageError(path, f"{first_line(error)}; install what it names, or set reader=auto") from error
        return open_scenes(path, container, self.axes)
