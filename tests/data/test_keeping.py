import numpy as np
import pytest

from im2im.data.index import Entry
from im2im.data.keeping import GIGABYTE, Keeping, gigabytes, in_memory
from im2im.io.image import Image


class Counted:
    """An array that counts how often it is read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.count = array, array.shape, array.dtype, 0

    def __getitem__(self, region):
        self.count += 1
        return self.array[region]


def movie(time=1) -> tuple[Entry, Counted, Counted]:
    source, target = (Counted(np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8) + add) for add in (0, 1))
    return Entry("a", Image.from_array(source, "TYX"), Image.from_array(target, "TYX"), time=time), source, target


def read(image, time=1):
    return image.read((slice(time, time + 1), *[slice(None)] * 2, slice(2, 4), slice(None)))


def test_an_image_in_memory_keeps_its_place_and_time():
    entry, source, _ = movie()
    kept = in_memory(entry)
    assert (kept.source.shape, kept.time) == ((3, 1, 1, 8, 8), 1)
    np.testing.assert_array_equal(read(kept.source)[0, 0, 0], source.array[1, 2:4])
    read(kept.source)
    assert source.count == 1


def test_an_image_in_several_entries_counts_once():
    entry, *_ = movie()
    assert gigabytes([entry, entry]) == 128 / GIGABYTE


def test_images_are_read_once_in_an_epoch():
    entry, source, target = movie()
    keeping = Keeping(1.0)
    for epoch in (0, 0, 0, 1):
        np.testing.assert_array_equal(read(keeping(epoch, entry).target)[0, 0, 0], target.array[1, 2:4])
    assert (source.count, target.count) == (2, 2)


@pytest.mark.parametrize(("limit", "reads"), [(64 / GIGABYTE, (1, 3)), (0, (3, 3))])
def test_what_has_no_room_is_read_patch_by_patch(limit, reads):
    entry, source, target = movie()
    keeping = Keeping(limit)
    for _ in range(3):
        kept = keeping(0, entry)
        read(kept.source), read(kept.target)
    assert (source.count, target.count) == reads


def test_what_a_closed_epoch_kept_is_gone():
    keeping, entries = Keeping(128 / GIGABYTE), [movie() for _ in range(2)]
    for epoch, (entry, *_) in enumerate(entries):
        for _ in range(2):
            read(keeping(epoch, entry).target)
    assert [target.count for _, _, target in entries] == [1, 1]
