import pickle
from pathlib import Path

import numpy as np
import pytest

from im2im.io.image import Image
from im2im.io.selection import Selection

ARRAY = np.random.default_rng(0).integers(0, 1000, (4, 3, 6, 10, 12)).astype(np.uint16)
NAMES = ("DAPI", "GFP", "RFP")


class Recording:
    """An array that remembers which regions were asked for."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.regions = array, array.shape, array.dtype, []

    def __getitem__(self, region):
        self.regions.append(region)
        return self.array[region]


def image(array=ARRAY, axes="TCZYX", **metadata):
    return Image.from_array(array, axes, name="cell.czi", **metadata)


def one(selection, spatial_dims=3, of=None, **options):
    (view,) = selection([of or image(channel_names=NAMES, pixel_size=(1.0, 0.5, 0.5))], spatial_dims, **options)
    return view


def test_nothing_chosen_gives_the_image_itself():
    whole = image()
    assert Selection()([whole], 3) == [whole]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(times=[1, 3]), ARRAY[[1, 3]]),
        (Selection(times=2), ARRAY[[2]]),
        (Selection(channels=1), ARRAY[:, [1]]),
        (Selection(channels=[2, 0]), ARRAY[:, [2, 0]]),
        (Selection(channels="GFP"), ARRAY[:, [1]]),
        (Selection(channels=("RFP", 0)), ARRAY[:, [2, 0]]),
        (Selection(planes=[0, 1, 2, 5]), ARRAY[:, :, [0, 1, 2, 5]]),
        (Selection(times=[3, 0], channels=[0, 2], planes=[5, 1]), ARRAY[[3, 0]][:, [0, 2]][:, :, [5, 1]]),
    ],
)
def test_a_view_shows_what_was_chosen_in_the_order_given(selection, expected):
    view = one(selection)
    assert (view.shape, view.dtype) == (expected.shape, np.uint16)
    np.testing.assert_array_equal(view.read(), expected)
    region = (slice(0, 1), slice(-1, None), slice(1, 3), slice(2, 7), slice(3, 11))
    np.testing.assert_array_equal(view.read(region), expected[region])


@pytest.mark.parametrize(("project", "dtype"), [("max", np.uint16), ("mean", np.float32)])
def test_a_projection_makes_one_plane_of_those_chosen(project, dtype):
    view = one(Selection(planes=[1, 2, 4], project=project), spatial_dims=2)
    expected = getattr(ARRAY[:, :, [1, 2, 4]], project)(axis=2, keepdims=True)
    assert (view.shape, view.dtype, view.axes) == ((4, 3, 1, 10, 12), dtype, "TCYX")
    np.testing.assert_allclose(view.read(), expected, rtol=1e-6)
    region = (slice(1, 2), slice(0, 3), slice(0, 1), slice(2, 7), slice(3, 11))
    np.testing.assert_allclose(view.read(region), expected[region], rtol=1e-6)
    assert view.read((*region[:2], slice(0, 0), *region[3:])).shape == (1, 3, 0, 5, 8)


def test_a_projection_leaves_a_flat_image_alone():
    flat = image(ARRAY[0, 0, 0], "YX")
    assert Selection(project="max")([flat], 2) == [flat]


def test_names_and_lengths_follow_the_choice():
    assert one(Selection(channels=["RFP", "DAPI"])).channel_names == ("RFP", "DAPI")
    assert one(Selection(times=0)).pixel_size == (1.0, 0.5, 0.5)
    assert one(Selection(project="max"), spatial_dims=2).pixel_size == (None, 0.5, 0.5)


def test_only_what_was_chosen_is_read_and_neighbours_at_once():
    lazy = Recording(ARRAY)
    view = one(Selection(times=1, channels=[0, 2], planes=[3, 4, 5]), of=image(lazy))
    view.read((slice(0, 1), slice(0, 2), slice(1, 3), slice(0, 4), slice(5, 9)))
    rows, columns = slice(0, 4), slice(5, 9)
    assert lazy.regions == [(slice(1, 2), slice(channel, channel + 1), slice(4, 6), rows, columns) for channel in (0, 2)]


def test_nothing_is_read_before_it_is_asked_for():
    lazy = Recording(ARRAY)
    one(Selection(project="max"), spatial_dims=2, of=image(lazy))
    assert lazy.regions == []


@pytest.mark.parametrize(("scenes", "expected"), [(None, ["a", "b", "c"]), (1, ["b"]), (["c", 0], ["c", "a"]), ("b", ["b"])])
def test_scenes_are_chosen_by_index_or_name(scenes, expected):
    images = [Image(Path("cell.czi"), ARRAY.shape, ARRAY.dtype, "TCZYX", ARRAY.__getitem__, scene=name) for name in "abc"]
    assert [view.scene for view in Selection(scenes=scenes)(images, 3)] == expected


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(times=4), r"cell\.czi has 4 times, 0 to 3, got data\.times=4; correct data\.times"),
        (Selection(times=-1), r"got data\.times=-1"),
        (Selection(channels="Cy5"), r"has 3 channels, 0 to 2 \(DAPI, GFP, RFP\), got data\.source_channels=Cy5"),
        (Selection(channels=[0, 3]), r"got data\.source_channels=\[0, 3\]; correct data\.source_channels"),
        (Selection(planes=[]), r"has 6 planes, 0 to 5, got data\.planes=\[\]"),
        (Selection(scenes="left"), r"has 1 scenes, 0 to 0 \(0\), got data\.scenes=left"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(selection, message):
    with pytest.raises(ValueError, match=message):
        one(selection, key="source_channels")


def test_a_stack_for_two_dimensions_is_refused():
    expected = r"cell\.czi has 6 z planes but spatial_dims=2; set spatial_dims=3, or data\.project=max for a projection"
    with pytest.raises(ValueError, match=expected):
        one(Selection(), spatial_dims=2)


def test_one_plane_of_a_stack_suits_two_dimensions():
    assert one(Selection(planes=2), spatial_dims=2).shape == (4, 3, 1, 10, 12)


def test_a_flat_image_for_three_dimensions_is_refused():
    with pytest.raises(ValueError, match=r"cell\.czi has 1 z plane but spatial_dims=3; set spatial_dims=2$"):
        one(Selection(), of=image(ARRAY[0, 0, 0], "YX"))


def test_time_points_that_may_be_planes_are_pointed_out():
    with pytest.raises(ValueError, match=r"or data\.axes=ZYX if its 4 time points are planes"):
        one(Selection(), of=image(ARRAY[:, 0, 0], "TYX"))


def test_an_unknown_projection_is_refused():
    with pytest.raises(ValueError, match=r"max or mean, got 'sum'; correct data\.project"):
        Selection(project="sum")


def test_a_view_can_be_sent_to_a_worker():
    view = pickle.loads(pickle.dumps(one(Selection(channels=1, project="max"), spatial_dims=2)))
    np.testing.assert_array_equal(view.read(), ARRAY[:, [1]].max(axis=2, keepdims=True))
