"""Which files are images, and what their names consist of."""

TIFF = frozenset({".tif", ".tiff", ".tf2", ".tf8", ".btf", ".lsm", ".stk", ".svs", ".ndpi", ".scn"})
ZARR = frozenset({".zarr"})
PICTURE = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
VENDOR = frozenset({".czi", ".nd2", ".lif", ".dv", ".r3d", ".ims", ".oib", ".oif", ".oir", ".sldy", ".vsi", ".mrc"})
OF_SEVERAL_FILES = frozenset({".vsi", ".oif", ".sldy"})  # of which only the first is known here
IMAGE = TIFF | ZARR | PICTURE | VENDOR
TABLE = frozenset({".csv", ".parquet"})


def split_name(name: str) -> tuple[str, str]:
    """Stem and suffix of a file name; ``.ome.tif`` and its like are one suffix: ``a.b.ome.tif`` → (``a.b``, ``.ome.tif``)."""
    stem, _, last = name.rpartition(".")
    if not stem:
        return name, ""
    if stem[-4:].lower() == ".ome" and f".{last.lower()}" in TIFF | ZARR:
        return stem[:-4], name[len(stem) - 4 :]
    return stem, f".{last}"


def kind(name: str) -> str:
    """The last suffix of a file name in small letters: what its content should be."""
    stem, _, last = name.rpartition(".")
    return f".{last.lower()}" if stem else ""
