import numpy as np
import pytest
from PIL import Image

from im2im.report import colours
from im2im.report.cells import compare, compare_labels, cost_map_cell, label_cell, source_cell
from im2im.report.display import View, display_range
from im2im.report.figures import Row, _view, panel, preview, save_png


def image(*shape):
    return np.random.default_rng(0).random(shape).astype(np.float32)


def columns_of(picture, cell_width, count):
    """The lowest row of pictures of a panel, one array per column."""
    gap = (picture.shape[1] - count * cell_width) // (count + 1)
    return [picture[-60 - gap : -20 - gap, gap + index * (cell_width + gap) :][:, :cell_width].astype(float) for index in range(count)]


@pytest.mark.parametrize("shape", [(1, 256, 256), (1, 4, 256, 256)])
def test_prediction_of_half_the_intensity_looks_darker_than_its_target(shape):
    target = image(*shape)
    _, of_target, of_prediction, _ = columns_of(panel(target, target, 0.5 * target), 256, 4)
    assert of_prediction.mean() == pytest.approx(0.5 * of_target.mean(), rel=0.03)


def test_perfect_prediction_has_a_neutral_error_and_looks_like_its_target():
    target = image(1, 256, 256)
    _, of_target, of_prediction, error = columns_of(panel(target, target, target), 256, 4)
    np.testing.assert_array_equal(of_target, of_prediction)
    assert np.ptp(error) == 0
    assert error[0, 0].tolist() == colours.diverging(np.zeros(1), 1)[0].tolist()


def test_captions_of_target_prediction_and_error_state_one_range():
    target = np.linspace(0, 1000, 256 * 256).reshape(1, 1, 256, 256)
    of_target, of_prediction, error = compare(target, target + 600 * (target > 900), View.of(target[0]))
    assert of_target.detail == ("1 to 999 (0.1–99.9 %)",)
    assert of_prediction.detail == ("1 to 999, as target",)
    assert (error.detail[0], error.detail[2]) == ("−499", "499 · 10 % beyond")
    assert error.detail[1][0, 0].tolist() == colours.diverging(np.array([-1.0]), 1)[0].tolist()


def test_caption_counts_what_is_not_finite():
    target = image(1, 1, 256, 256)
    prediction = target.copy()
    prediction[0, 0, 0, :3] = np.nan
    cells = compare(target, prediction, View.of(target[0]))
    assert cells[1].detail[0].endswith("as target · 3 not finite (orange)")


def test_caption_names_the_channel_of_several():
    assert source_cell(image(2, 1, 256, 256), View(1, 0, 256)).detail[0].endswith("channel 1 of 2")


def test_source_of_three_channels_is_drawn_in_colours():
    source = np.zeros((3, 1, 256, 256))
    source[0, 0, :128] = 1
    cell = source_cell(source, View.of(source[0]))
    assert cell.detail == ("RGB, each channel 0.1–99.9 %",)
    assert cell.pictures[0][0, 0].tolist() == [255, 0, 0]


def test_constant_image_is_called_constant():
    assert "constant 3.00" in source_cell(np.full((1, 1, 256, 256), 3.0), View(1, 0, 256)).detail[0]


def test_scale_bar_is_drawn_where_the_pixel_size_is_known():
    source = np.full((1, 1, 256, 256), 0.5)
    without, with_bar = (source_cell(source, View.of(source[0], size)).pictures[0] for size in ((None,) * 3, (None, 0.5, 0.5)))
    assert np.ptp(without) == 0
    assert int((with_bar[243, :, 0] == 255).sum()) == View.of(source[0], (None, 0.5, 0.5)).scale_bar_pixels() == 40


def test_labels_are_counted_and_their_differences_named():
    target = np.zeros((1, 1, 256, 256), np.int32)
    target[..., :10], target[..., 20:30] = 1, 2
    assert label_cell("target", target, View.of(target[0])).detail == ("2 labels on background",)
    cells = compare_labels(target, (target == 1).astype(np.int32), View.of(target[0]), objects=False)
    assert [part for part in cells[2].detail if isinstance(part, str)] == ["missed", "extra", "other class"]
    np.testing.assert_array_equal(cells[2].pictures[0][0, [5, 25, 200]], [colours.AGREEMENT[k] for k in ("right", "missed", "background")])


def test_objects_with_other_numbers_look_the_same():
    target = np.zeros((1, 256, 256), np.uint16)
    target[0, :, :100] = 4
    _, of_target, of_prediction, _ = columns_of(panel(image(1, 256, 256), target, target // 4, objects=True), 256, 4)
    assert of_target.std() > 0
    np.testing.assert_array_equal(of_target, of_prediction)


def test_cost_map_says_how_much_is_excluded():
    cost_map = np.ones((1, 1, 256, 256))
    cost_map[..., :64] = 0
    cell = cost_map_cell(cost_map, View(1, 0, 256))
    assert cell.detail == ("0 to 1.00 · 25 % excluded (black)",)
    assert cell.pictures[0][0, [0, 255], 0].tolist() == [0, 255]


def test_panel_without_target_has_two_pictures():
    source = image(1, 256, 256)
    assert panel(source, None, source).shape[1] < panel(source, source, source).shape[1] * 0.55


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 700), (1, 20, 9, 9)])
def test_panel_of_empty_values_and_odd_sizes_is_drawn(value, shape):
    blank = np.full(shape, value, np.float32)
    picture = panel(blank, blank, image(*shape), title="two\nlines, µ and 細胞 " * 20)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3


def test_images_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="must have one size ZYX"):
        panel(image(1, 8, 8), image(1, 8, 9), image(1, 8, 8))


def test_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"must be CYX or CZYX.*take one sample out of its batch"):
        panel(image(1, 1, 1, 8, 8), None, image(1, 1, 1, 8, 8))


def test_preview_stands_pairs_below_each_other():
    pair = Row(image(1, 256, 256), image(1, 256, 256), np.ones((1, 256, 256)), "a.tif")
    one, two = preview([pair]), preview([pair, Row(image(1, 200, 256), None, title="b.tif")])
    assert one.shape[1] == two.shape[1]
    assert two.shape[0] > one.shape[0] + 200


def test_preview_takes_unpaired_images_of_different_sizes():
    assert preview([Row(image(1, 300, 300), image(1, 8, 90, 80))]).shape[0] > 300


def test_preview_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"check data\.root"):
        preview([])


def test_png_holds_the_picture_and_leaves_nothing_else(tmp_path):
    picture = panel(image(1, 64, 64), None, image(1, 64, 64))
    save_png(tmp_path / "samples" / "a.png", picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "samples" / "a.png")), picture)
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["a.png"]


def test_shown_range_is_that_of_the_target_not_of_the_prediction():
    target = image(1, 1, 256, 256)
    cells = compare(target, target * 10, View.of(target[0]))
    np.testing.assert_array_equal(cells[1].pictures[0], colours.grey(10 * target[0, 0], *display_range(target[0])))


def test_the_plane_of_a_label_volume_is_that_with_most_objects_not_with_the_largest_numbers():
    labels = np.zeros((1, 3, 40, 40), np.uint16)
    labels[0, 0, :4, :4] = 500
    labels[0, 2, :20, :30] = 1
    assert _view(labels, (None, None, None)).z == 2
