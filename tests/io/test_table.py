import pandas as pd
import pytest

from im2im.io.pairing import Pair, Table

COLUMNS = {"source": ["in/a.tif", "in/b.tif"], "target": ["out/a.tif", "out/b.tif"]}


@pytest.fixture
def files(tmp_path):
    for name in ("in/a.tif", "in/b.tif", "out/a.tif", "out/b.tif", "mask.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def table(folder, columns, suffix=".csv", **options):
    path = folder / f"table{suffix}"
    frame = pd.DataFrame(columns)
    frame.to_csv(path, index=False, **options) if suffix == ".csv" else frame.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_paths_are_relative_to_the_table(files, suffix):
    pairs = Table(table(files, COLUMNS, suffix))()
    assert pairs == [Pair(name, files / f"in/{name}.tif", files / f"out/{name}.tif") for name in "ab"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_every_column_is_taken_and_gaps_are_none(files, suffix):
    columns = COLUMNS | {
        "cost_map": [None, "mask.png"],
        "split": ["Train", "test"],
        "group": ["p1", "p2"],
        "scene": [None, 1],
        "channel": ["DAPI", None],
    }
    first, second = Table(table(files, columns, suffix))()
    assert first == Pair("a_DAPI", files / "in/a.tif", files / "out/a.tif", None, "train", "p1", None, "DAPI")
    assert second == Pair("b_1", files / "in/b.tif", files / "out/b.tif", files / "mask.png", "test", "p2", 1, None)


def test_absolute_paths_are_kept(files):
    (pair,) = Table(table(files, {"source": [str(files / "in/a.tif")], "target": [str(files / "out/a.tif")]}))()
    assert (pair.source, pair.target) == (files / "in/a.tif", files / "out/a.tif")


def test_semicolons_and_capital_letters_of_a_spreadsheet_are_understood(files):
    columns = {"Source ": ["in/a.tif"], "TARGET": ["out/a.tif"], "remark": ["x"]}
    assert [pair.name for pair in Table(table(files, columns, sep=";", encoding="utf-8-sig"))()] == ["a"]


def test_files_of_one_stem_get_names_of_their_own(files):
    columns = {"source": ["in/a.tif", "out/a.tif"], "target": ["out/a.tif", "in/a.tif"]}
    assert [pair.name for pair in Table(table(files, columns))()] == ["in-a", "out-a"]


def test_scenes_of_one_file_are_one_group(files):
    columns = {"source": ["in/a.tif", "in/a.tif"], "target": ["out/a.tif", "out/a.tif"], "scene": ["Well A/1", "Well A/2"]}
    assert [(pair.name, pair.group) for pair in Table(table(files, columns))()] == [("a_Well_A_1", "a"), ("a_Well_A_2", "a")]


def test_a_regular_expression_replaces_the_column_of_groups(files):
    pairs = Table(table(files, COLUMNS | {"group": ["x", "y"]}), group="[ab]")()
    assert [pair.group for pair in pairs] == ["a", "b"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sources": ["in/a.tif"], "target": ["out/a.tif"]}, "has no column 'source' but 'sources'; did you mean 'source'"),
        ({"source": ["in/a.tif"], "label": ["out/a.tif"]}, "has no column 'target', got label"),
        (COLUMNS | {"costmap": ["mask.png", None]}, "no column 'cost_map' but 'costmap'; did you mean 'cost_map'"),
        (COLUMNS | {"split": ["train", "tset"]}, "train, val or test, got 'tset'; did you mean test"),
        ({"source": ["in/a.tif", "in/b.tif"], "target": ["out/a.tif", None]}, "has no target in row 2"),
        ({"source": [], "target": []}, "has no rows"),
        ({"source": ["in/a.tif"] * 2, "target": ["out/a.tif"] * 2}, "lists a 2 times"),
        (
            {"source": ["in/x.tif", "gone/y.tif"], "target": ["out/a.tif", "out/b.tif"]},
            r"2 files listed in .* are not there: .*gone/y\.tif, .*in/x\.tif",
        ),
    ],
)
def test_mistakes_in_a_table_are_named_in_one_line(files, columns, message):
    with pytest.raises(ValueError, match=message) as raised:
        Table(table(files, columns))()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "the file is empty"), (b'source,target\n"a', "Cannot read"), (b"\xff\xfe\x00", "Cannot read")]
)
def test_what_is_no_table_is_named(tmp_path, content, message):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"table\.csv.*{message}|{message}.*table\.csv"):
        Table(tmp_path / "table.csv")()
