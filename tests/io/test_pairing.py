import copy
import pickle
import time
from pathlib import Path

import pytest

from im2im.io.pairing import Folders, Pair, Tagged, list_images


def make(root: Path, *names: str) -> Path:
    """Empty files, and folders where a name ends with a slash."""
    for name in names:
        path = root / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    return root


def test_files_of_the_same_stem_are_a_pair_whatever_their_extension(tmp_path):
    make(tmp_path, "source/b.png", "source/a.ome.tif", "target/a.tif", "target/b.ome.zarr/")
    assert Folders(tmp_path)() == [
        Pair("a", tmp_path / "source/a.ome.tif", tmp_path / "target/a.tif"),
        Pair("b", tmp_path / "source/b.png", tmp_path / "target/b.ome.zarr"),
    ]


def test_cost_maps_are_taken_where_they_are(tmp_path):
    make(tmp_path, "source/a.tif", "source/b.tif", "target/a.tif", "target/b.tif", "cost_map/b.png")
    assert [pair.cost_map for pair in Folders(tmp_path)()] == [None, tmp_path / "cost_map/b.png"]


def test_folders_may_have_other_names(tmp_path):
    make(tmp_path, "raw/x/a.tif", "dapi/a.tif", "overlap/a.tif")
    expected = Pair("a", tmp_path / "raw/x/a.tif", tmp_path / "dapi/a.tif", tmp_path / "overlap/a.tif")
    assert Folders(str(tmp_path), source="raw/x", target="dapi", cost_map="overlap")() == [expected]


def test_train_val_and_test_folders_give_the_split(tmp_path):
    make(tmp_path, *(f"{split}/{role}/{split}.tif" for split in ("train", "val", "test") for role in ("source", "target")))
    assert [(pair.name, pair.split) for pair in Folders(tmp_path)()] == [("train", "train"), ("val", "val"), ("test", "test")]


def test_hidden_files_and_what_is_no_image_are_passed_over(tmp_path):
    make(
        tmp_path,
        "source/a.tif",
        "source/.a.tif",
        "source/Thumbs.db",
        "source/notes.txt",
        "source/old.tif/",
        "target/a.tif",
        "target/._a.tif",
    )
    assert [pair.name for pair in Folders(tmp_path)()] == ["a"]


def test_groups_come_from_the_stem(tmp_path):
    names = ("plate1_w1", "plate1_w2", "plate2_w1")
    make(tmp_path, *(f"{role}/{name}.tif" for role in ("source", "target") for name in names))
    assert [pair.group for pair in Folders(tmp_path, group=r"^(plate\d)_")()] == ["plate1", "plate1", "plate2"]
    assert [pair.group for pair in Folders(tmp_path, group=r"w\d")()] == ["w1", "w2", "w1"]


@pytest.mark.parametrize(("group", "message"), [(r"^(well\d)", r"data\.group=.* finds no group in a"), ("(", r"no regular expression")])
def test_a_group_that_is_not_found_is_refused(tmp_path, group, message):
    make(tmp_path, "source/a.tif", "target/a.tif")
    with pytest.raises(ValueError, match=f"{message}.*correct data.group"):
        Folders(tmp_path, group=group)()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), r"holds neither source/ nor train/ and test/; correct data\.root"),
        (("source/a.tif",), r"there is no folder .*target; correct data\.root"),
        (("source/", "target/a.tif"), r"source has no images"),
        (("source/notes.txt", "target/a.tif"), r"source has no images"),
        (("source/a.tif", "target/"), r"target has no images"),
        (("source/a.tif", "source/b.tif", "target/a.tif"), r"^1 sources without a target of the same stem in .*target: b\.tif;"),
        (("source/a.tif", "target/a.tif", "target/b.png"), r"^1 targets without a source of the same stem in .*source: b\.png;"),
        (("source/a.tif", "target/a.tif", "cost_map/b.tif"), r"^1 cost maps without a source of the same stem"),
        (("source/a.tif", "source/a.png", "target/a.tif"), r"source has two images of one stem, a\.png and a\.tif"),
        (("source/a.tif", *(f"target/{name}.tif" for name in "abcde")), r"^4 targets without .*: b\.tif, c\.tif, d\.tif, …;"),
    ],
)
def test_what_does_not_make_pairs_is_named_in_one_line(tmp_path, files, message):
    make(tmp_path, *files)
    with pytest.raises(ValueError, match=rf"(?s){message}") as raised:
        Folders(tmp_path)()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("layout", [Folders, Tagged])
def test_a_root_that_does_not_exist_is_named(tmp_path, layout):
    with pytest.raises(ValueError, match=r"there is no folder .*nowhere; correct data\.root"):
        layout(tmp_path / "nowhere")()


def test_tags_tell_the_roles_apart(tmp_path):
    make(tmp_path, "a_IM.tif", "a_GT.png", "b_IM.ome.tif", "b_GT.tif", "b_CM.tif", "overview.tif")
    assert Tagged(tmp_path)() == [
        Pair("a", tmp_path / "a_IM.tif", tmp_path / "a_GT.png"),
        Pair("b", tmp_path / "b_IM.ome.tif", tmp_path / "b_GT.tif", tmp_path / "b_CM.tif"),
    ]


def test_tags_may_be_others_and_in_folders_of_a_split(tmp_path):
    make(tmp_path, "train/a-x.tif", "train/a-y.tif", "test/b-x.tif", "test/b-y.tif")
    pairs = Tagged(tmp_path, source="-x", target="-y", group="[ab]")()
    assert [(pair.name, pair.split, pair.group) for pair in pairs] == [("a", "train", "a"), ("b", "test", "b")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("a_IM.tif",), r"^1 sources without a target"),
        (("a_IM.tif", "a_GT.tif", "b_GT.tif"), r"^1 targets without a source"),
        (("a.tif",), r"has no images like x_IM\.tif and x_GT\.tif, got a\.tif; rename them or set data=folders"),
        ((), "has no images"),
    ],
)
def test_tagged_files_that_do_not_make_pairs_are_named(tmp_path, files, message):
    make(tmp_path, *files)
    with pytest.raises(ValueError, match=message):
        Tagged(tmp_path)()


def test_listing_looks_into_no_file(tmp_path, monkeypatch):
    make(tmp_path, *(f"{role}/{index}.tif" for role in ("source", "target") for index in range(50)))
    looked = []
    monkeypatch.setattr("os.stat", lambda path, **_: looked.append(path) or (_ for _ in ()).throw(FileNotFoundError))
    monkeypatch.setattr("im2im.io.pairing.split_folders", lambda root, _: [(None, root)])
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    assert len(Folders(tmp_path)()) == 50
    assert looked == []


@pytest.mark.slow
def test_listing_takes_time_in_proportion_to_the_files(tmp_path):
    times = []
    for count in (5000, 20000):
        make(tmp_path / str(count), *(f"{role}/{index}.tif" for role in ("source", "target") for index in range(count)))
        start = time.process_time()
        Folders(tmp_path / str(count))()
        times.append(time.process_time() - start)
    assert times[1] < 12 * times[0]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a.tif", ["a.tif"]),
        ("c.zarr", ["c.zarr"]),
        (".", ["a.tif", "b.png", "c.zarr"]),
        ("*.tif", ["a.tif"]),
        ("[ab].*", ["a.tif", "b.png"]),
        ("**/*.tif", ["a.tif", "deep/d.tif"]),
        ("table.csv", ["b.png", "deep/d.tif"]),
    ],
)
def test_input_is_a_file_a_folder_a_glob_or_a_table(tmp_path, given, found):
    make(tmp_path, "a.tif", "b.png", "c.zarr/", "deep/d.tif", ".e.tif", "f.txt")
    (tmp_path / "table.csv").write_text("source,other\nb.png,1\ndeep/d.tif,2\nb.png,3\n")
    assert list_images(str(tmp_path / given)) == [tmp_path / name for name in found]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path):
    make(tmp_path, "a[1].tif")
    assert list_images(str(tmp_path / "a[1].tif")) == [tmp_path / "a[1].tif"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("none.tif", "no image found, got input=.*none.tif"),
        ("*.tif", "no image found"),
        ("empty", "has no images"),
        ("none.csv", "no such file"),
    ],
)
def test_an_input_without_images_is_named(tmp_path, given, message):
    make(tmp_path, "empty/", "notes.txt")
    with pytest.raises(ValueError, match=message):
        list_images(str(tmp_path / given))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "options", "count"), [("labelfree_3d", {}, 6), ("worms_2d", {"target": "target_gfp"}, None), ("glands_2d", {}, 12)]
)
def test_real_data_are_paired(shared_data, name, options, count):
    pairs = Folders(shared_data / name, **options)()
    assert {pair.split for pair in pairs} == {"train", "test"}
    assert count is None or len(pairs) == count


def test_a_pair_can_be_copied_and_sent():
    pair = Pair("a", Path("s") / "a.tif", Path("t") / "a.tif", split="train", scene=2, matched=False)
    for again in (pickle.loads(pickle.dumps(pair)), copy.deepcopy(pair)):
        assert again == pair
        assert (again.source, again.target, again.cost_map) == (Path("s/a.tif"), Path("t/a.tif"), None)
