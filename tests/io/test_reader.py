import subprocess
import sys

import pytest

from im2im.io.reader import AicsimageioReader, AutoReader, BioioReader


@pytest.mark.parametrize("reader", [AutoReader(), BioioReader(), AicsimageioReader()])
def test_a_path_that_leads_nowhere_is_named(tmp_path, reader):
    with pytest.raises(ValueError, match=r"Cannot read .*none\.tif: there is no such file"):
        reader(tmp_path / "none.tif")


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.czi"])
@pytest.mark.parametrize("reader", [AutoReader(), BioioReader(), AicsimageioReader()])
def test_an_empty_file_is_named(tmp_path, name, reader):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=rf"Cannot read .*{name}: the file is empty"):
        reader(tmp_path / name)


@pytest.mark.parametrize("name", ["notes.docx", "notes"])
def test_an_unknown_format_is_named(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(ValueError, match=rf"Cannot read .*{name}: the format .* is not known"):
        AutoReader()(tmp_path / name)


@pytest.mark.parametrize("name", ["a.czi", "a.nd2", "a.lif"])
def test_formats_of_vendors_name_the_extra_to_install(tmp_path, monkeypatch, name):
    (tmp_path / name).write_text("x")
    monkeypatch.setattr("im2im.io.reader.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r'pip install "microscopy-im2im\[formats\]"'):
        AutoReader()(tmp_path / name)


@pytest.mark.parametrize(("reader", "library"), [(BioioReader(), "bioio"), (AicsimageioReader(), "aicsimageio")])
def test_a_reader_that_is_not_installed_names_its_extra(tmp_path, monkeypatch, reader, library):
    (tmp_path / "a.tif").write_text("x")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ValueError, match=rf'pip install "microscopy-im2im\[{library}\]"'):
        reader(tmp_path / "a.tif")


@pytest.mark.parametrize("library", ["bioio", "aicsimageio"])
def test_formats_of_vendors_go_to_the_library_that_is_installed(tmp_path, monkeypatch, library):
    opened = []
    names = {"bioio": "BioioReader", "aicsimageio": "AicsimageioReader"}
    monkeypatch.setattr("im2im.io.reader.find_spec", lambda name: name == library)
    monkeypatch.setattr(f"im2im.io.reader.{names[library]}", lambda axes: lambda path: opened.append((axes, path.name)))
    (tmp_path / "a.czi").write_text("x")
    AutoReader("ZYX")(tmp_path / "a.czi")
    assert opened == [("ZYX", "a.czi")]


def test_no_library_of_vendors_is_imported_before_it_is_needed():
    code = "import sys, im2im.io.reader; sys.exit(any(name in sys.modules for name in ('bioio', 'aicsimageio', 'dask', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
