import numpy as np
import pytest
import tifffile
from scipy import ndimage
from tests_tiny import composed

from im2im.building import build
from im2im.planning.fingerprint import fingerprint


def described(root, images, *settings, **others):
    for index, roles in enumerate(images):
        for role, image in roles.items():
            (root / role).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(root / role / f"{index}.tif", image)
    config = composed("data=folders", f"data.root={root}", "data.index=false", "data.fractions={val:0.0,test:0.0}", *settings)
    return fingerprint(build(config.data.module), **others)


def plain(count):
    return [dict.fromkeys(("source", "target"), np.ones((32, 32), np.uint8))] * count


@pytest.mark.parametrize(("count", "drawn"), [(2, True), (8, True), (9, False)])
def test_images_for_validation_are_drawn_from_few(tmp_path, count, drawn):
    assert described(tmp_path, plain(count))["drawn"] is drawn


def test_images_for_validation_that_are_given_are_not_drawn(tmp_path):
    described(tmp_path / "val", plain(1))
    assert described(tmp_path / "train", plain(2), f"data.root={tmp_path}")["drawn"] is False


def test_a_block_of_a_single_image_is_not_drawn(tmp_path):
    found = described(tmp_path, plain(1), "patch_size=[16,16]", "data.validation_block=0.5")
    assert (found["images"], found["drawn"]) == ({"train": 1, "val": 1}, False)


def test_objects_are_measured(tmp_path):
    labels = np.zeros((64, 96), np.uint16)
    labels[10:14, 5:45], labels[30:36, 60:66], labels[40:41, 0:1] = 7, 300, 9
    found = described(tmp_path, [{"source": np.ones((64, 96), np.uint8), "target": labels}] * 2, "task=instance", numbered=True)
    assert found["objects"] == {"in each image": 3, "width": 6.0, "length": 8.5, "area": 36.0, "small": 1.0}  # diagonals 40.2, 8.5, 1.4
    assert found["foreground"] == round(197 / 6144, 7)
    assert "classes" not in found


def test_classes_have_shares_and_their_objects_are_what_is_connected(tmp_path):
    labels = np.zeros((20, 20), np.uint8)
    labels[:5, :10], labels[15:, 15:] = 1, 3
    found = described(tmp_path, [{"source": labels, "target": labels}], "task=semantic", "task.classes=[a,b,c,d]")
    assert found["classes"] == {0: 0.8125, 1: 0.125, 3: 0.0625}
    assert found["objects"]["in each image"] == 2


@pytest.mark.parametrize(("noise", "similarity"), [(0.0, 1.0), (1.0, 0.707)])
def test_similarity_is_the_correlation_of_source_and_target(tmp_path, noise, similarity):
    rng = np.random.default_rng(0)
    target = rng.normal(size=(128, 128)).astype(np.float32)
    source = target + noise * rng.normal(size=(128, 128)).astype(np.float32)
    found = described(tmp_path, [{"source": source, "target": target}])
    assert found["similarity"] == pytest.approx(similarity, abs=0.02)


@pytest.mark.parametrize("sigma", [0.0, 2.0])
def test_the_filter_is_found_with_which_the_source_is_most_like_its_target(tmp_path, sigma):
    source = np.random.default_rng(0).normal(size=(96, 96)).astype(np.float32)
    target = ndimage.gaussian_filter(source, sigma)
    found = described(tmp_path / "planes", [{"source": source, "target": target}] * 2)
    assert found["smoothing"] == {"sigma": [sigma, sigma], "similarity": 1.0}
    stack = {"source": np.stack([source, np.roll(source, 5)]), "target": np.stack([target, np.roll(target, 5)])}
    assert described(tmp_path / "stacks", [stack], "spatial_dims=3")["smoothing"]["sigma"] == [0.0, sigma, sigma]


def test_stacks_are_filtered_along_z_where_that_is_better(tmp_path):
    source = np.random.default_rng(0).normal(size=(32, 32, 32)).astype(np.float32)
    found = described(tmp_path, [{"source": source, "target": ndimage.gaussian_filter(source, 1.5)}], "spatial_dims=3")
    assert found["smoothing"]["sigma"] == [1.5, 1.5, 1.5]


def test_a_constant_source_has_no_similarity(tmp_path):
    image = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
    assert "smoothing" not in described(tmp_path, [{"source": np.ones_like(image), "target": image}])


@pytest.mark.parametrize("distance", [1, 6])
def test_the_distance_of_planes_is_where_an_image_resembles_itself_as_little(tmp_path, distance):
    rng = np.random.default_rng(0)
    rows = np.cumsum(rng.normal(size=(60, 200)), axis=1)
    stack = np.stack([np.roll(rows, shift, axis=1) for shift in range(0, 6 * distance, distance)]).astype(np.float32)
    found = described(tmp_path, [{"source": stack, "target": stack}], "spatial_dims=3")
    assert abs(found["plane_distance"] - distance) <= 1


def test_planes_of_noise_tell_no_distance(tmp_path):
    noise = np.random.default_rng(0).normal(size=(8, 64, 64)).astype(np.float32)
    assert described(tmp_path, [{"source": noise, "target": noise}], "spatial_dims=3")["plane_distance"] == 1


def test_the_size_of_a_voxel_that_is_given_tells_the_distance_of_planes(tmp_path):
    stack = np.cumsum(np.random.default_rng(0).normal(size=(6, 32, 64)), axis=2).astype(np.float32)
    images, settings = [{"source": stack, "target": stack}], "spatial_dims=3"
    assert described(tmp_path, images, settings, voxel_size=[2.0, 0.5, 0.5])["plane_distance"] == 4
    assert described(tmp_path, images, settings, voxel_size=[1.0, 1.0, 1.0])["plane_distance"] == 1  # though planes differ


def test_pixels_that_are_ignored_or_excluded_are_background(tmp_path):
    labels = np.zeros((20, 20), np.uint8)
    labels[:10], labels[10:15], labels[15] = 255, 1, 2
    ignoring = described(tmp_path, [{"source": labels, "target": labels}], "task=semantic", "task.classes=[a,b,c]", ignored=255)
    assert ignoring["classes"] == {0: 0.7, 1: 0.25, 2: 0.05}
    assert ignoring["foreground"] == 0.3
    cost_map = np.zeros_like(labels)
    cost_map[10:15] = 1
    images = [{"source": labels, "target": labels, "cost_map": cost_map}]
    excluding = described(tmp_path / "other", images, "task=instance", numbered=True)
    assert (excluding["foreground"], excluding["objects"]["area"]) == (0.25, 100)


def test_pixels_that_are_not_finite_or_excluded_do_not_change_how_alike_images_are(tmp_path):
    source = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    target, cost_map = ndimage.gaussian_filter(source, 2.0), np.ones((64, 64), np.uint8)
    source, target[40:], cost_map[40:] = source.copy(), 0, 0
    source[5, 5] = target[9, 9] = np.nan
    images = [{"source": source, "target": target, "cost_map": cost_map}]
    found = described(tmp_path, images, "task=restoration")["smoothing"]
    assert found["sigma"] == [2.0, 2.0]
    assert found["similarity"] > 0.98


@pytest.mark.parametrize(("groups", "drawn"), [("", True), ("a,b,a,b", False)])
def test_groups_of_a_table_are_not_divided(tmp_path, groups, drawn):
    image = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    names = groups.split(",") if groups else [""] * 4
    rows = [f"{index}.tif,{index}.tif,train,{name}" for index, name in enumerate(names)]
    (tmp_path / "table.csv").write_text("\n".join(["source,target,split,group", *rows]) + "\n")
    for index in range(4):
        tifffile.imwrite(tmp_path / f"{index}.tif", image)
    config = composed("data=table", f"data.root={tmp_path}/table.csv", "data.index=false", "data.fractions.val=0.0")
    assert fingerprint(build(config.data.module))["drawn"] is drawn


def test_only_the_middle_of_a_large_image_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr("im2im.planning.fingerprint.PIXELS", 16 * 16)
    labels = np.zeros((64, 64), np.uint8)
    labels[24:40, 24:32], labels[:8, :8] = 1, 2  # half of the middle, and a corner
    found = described(tmp_path, [{"source": labels, "target": labels}], "task=semantic", "task.classes=[a,b,c]")
    assert found["classes"] == {0: 0.5, 1: 0.5}


def test_each_time_point_of_a_movie_is_a_training_image(tmp_path):
    movie = np.random.default_rng(0).integers(0, 99, (5, 16, 16)).astype(np.uint8)
    found = described(tmp_path, [{"source": movie, "target": movie}] * 2, "data.axes=TYX")
    assert found["images"]["train"] == 10


def test_no_training_image_is_told(tmp_path):
    (tmp_path / "test").mkdir()
    with pytest.raises(ValueError, match=r"no training image; give data\.root"):
        described(tmp_path / "test", [{"source": np.ones((8, 8)), "target": np.ones((8, 8))}], f"data.root={tmp_path}")
