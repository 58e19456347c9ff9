import zlib

import numpy as np
import pytest
import tifffile

from im2im.io.unreadable import NamedArray, UnreadableImageError, naming


@pytest.mark.parametrize("error", [OSError("broken"), KeyError("broken"), zlib.error("broken"), tifffile.TiffFileError("broken")])
def test_what_a_decoder_raises_becomes_one_line_that_names_the_file(error):
    with pytest.raises(ValueError, match=r"^Cannot read cell\.tif: '?broken'?; check that the file is complete[^\n]*$"), naming("cell.tif"):
        raise error


def test_only_the_first_line_is_told():
    with pytest.raises(ValueError, match=r"^Cannot read cell\.tif: one; check[^\n]*$"), naming("cell.tif"):
        raise ValueError("one\ntwo")


def test_a_message_that_names_a_file_already_is_left_alone():
    with pytest.raises(ValueError, match=r"^Cannot read inner\.tif: cut off$"), naming("outer.tif"):
        raise UnreadableImageError("inner.tif", "cut off")


def test_a_missing_decoder_is_named():
    with pytest.raises(ValueError, match="pip install imagecodecs$"), naming("cell.tif"):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")


def test_what_is_no_fault_of_the_file_passes():
    with pytest.raises(MemoryError), naming("cell.tif"):
        raise MemoryError


def test_a_lazy_array_names_its_file_when_it_fails():
    class Broken:
        shape, dtype = (2, 3), "uint8"

        def __getitem__(self, region):
            raise RuntimeError("chunk 7 is damaged")

    array = NamedArray(Broken(), "cell.zarr")
    assert (array.shape, array.dtype) == ((2, 3), np.uint8)
    with pytest.raises(ValueError, match=r"Cannot read cell\.zarr: chunk 7 is damaged"):
        array[:1, :1]
