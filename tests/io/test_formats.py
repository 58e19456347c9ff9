import pytest

from im2im.io.formats import split_name
from im2im.io.units import micrometres


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("a.tif", "a", ".tif"),
        ("a.ome.tif", "a", ".ome.tif"),
        ("a.OME.TIFF", "a", ".OME.TIFF"),
        ("a.b.ome.zarr", "a.b", ".ome.zarr"),
        ("a.v1.2.png", "a.v1.2", ".png"),
        ("a.ome.png", "a.ome", ".png"),
        ("a", "a", ""),
    ],
)
def test_a_double_suffix_is_one_suffix(name, stem, suffix):
    assert split_name(name) == (stem, suffix)


@pytest.mark.parametrize(
    ("value", "unit", "length"), [(2, "µm", 2), ("65", "nm", 0.065), (1, "millimeter", 1000), (3, "Micron", 3), (0.5, "\\u00B5m", 0.5)]
)
def test_lengths_become_micrometres(value, unit, length):
    assert micrometres(value, unit) == pytest.approx(length)


@pytest.mark.parametrize(
    ("value", "unit"), [(2, "pixel"), (2, None), (0, "um"), (-1, "um"), (float("nan"), "um"), (None, "um"), ("x", "um")]
)
def test_what_is_no_length_is_unknown(value, unit):
    assert micrometres(value, unit) is None
