"""CZI, ND2, LIF and everything else that a plug-in of bioio reads."""

from dataclasses import dataclass
from pathlib import Path

from im2im.io.image import Image
from im2im.io.scenes import open_scenes
from im2im.io.unreadable import UnreadableImageError, check_readable, first_line, naming


@dataclass(frozen=True)
class BioioReader:
    """Reads every file through bioio; regions are read by dask.

    For TIFF without OME metadata bioio reports a pixel size of 1.

    Args:
        axes: Of the arrays in the files, where their metadata are wrong or missing; see ``file_axes``.
    """

    axes: str | None = None

    def __call__(self, path: str | Path) -> list[Image]:
        """Open a file (or ``.zarr`` folder).

        Raises:
            UnreadableImageError: There is no such file, it is damaged, or bioio or its plug-in is not installed.
        """
        path = Path(path)
        check_readable(path)
        try:
            from bioio import BioImage
            from bioio_base.exceptions import UnsupportedFileFormatError
        except ImportError as error:
            raise UnreadableImageError(path, 'bioio is not installed; pip install "microscopy-im2im[bioio]", or set reader=auto') from error
        try:
            with naming(path):
                container = BioImage(path)
        except UnsupportedFileFormatError as error:
            raise UnreadableImageError(path, f'{first_line(error)}; pip install "microscopy-im2im[formats]", or set reader=auto') from error
        return open_scenes(path, container, self.axes)
