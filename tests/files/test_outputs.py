"""Outputs appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from clusternet.errors import OutputError
from clusternet.files.outputs import (
    Kind,
    check_apart,
    check_distinct,
    check_new,
    new_file,
    new_folder,
)

FOLDER = Kind(
    "folder of ours", lambda folder: (folder / "old").exists(), lambda _: {"old"}.__contains__
)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_file_appears_when_the_block_ends(tmp_path):
    with new_file(tmp_path / "a.txt") as part:
        part.write_text("done")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "done"
    assert everything(tmp_path) == ["a.txt"]


def test_the_hidden_file_keeps_the_suffix(tmp_path):
    with new_file(tmp_path / "a.tif") as part:
        part.touch()
        assert part.name.startswith(".") and part.suffix == ".tif"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_no_file(tmp_path, failure):
    with pytest.raises(failure), new_file(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise failure
    assert everything(tmp_path) == []


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_no_folder(tmp_path, failure):
    with pytest.raises(failure), new_folder(tmp_path / "a", kind=FOLDER) as part:
        (part / "half").touch()
        raise failure
    assert everything(tmp_path) == []


def test_a_failure_leaves_the_old_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with pytest.raises(ValueError), new_folder(tmp_path / "a", kind=FOLDER, overwrite=True) as part:
        (part / "new").touch()
        raise ValueError
    assert everything(tmp_path) == ["a", "a/old"]


def test_overwriting_replaces_a_folder_whole(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with new_folder(tmp_path / "a", kind=FOLDER, overwrite=True) as part:
        (part / "new").touch()
    assert everything(tmp_path) == ["a", "a/new"]


def test_an_existing_folder_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with pytest.raises(OutputError, match=r"exists already.*--overwrite"):
        check_new(tmp_path / "a", kind=FOLDER, overwrite=False)


def test_an_empty_folder_counts_as_absent(tmp_path):
    (tmp_path / "a").mkdir()
    with new_folder(tmp_path / "a", kind=FOLDER) as part:
        (part / "new").touch()
    assert everything(tmp_path) == ["a", "a/new"]


@pytest.mark.parametrize("kind", [FOLDER, Kind("file of ours", lambda _: True)])
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_ours_is_not_replaced(tmp_path, kind, overwrite):
    (tmp_path / "a").mkdir()
    for name in "abcde":
        (tmp_path / "a" / name).touch()
    found = rf"no {kind.name} that ClusterNet wrote \(a folder with a, b, c and 2 more\)"
    with pytest.raises(OutputError, match=found):
        check_new(tmp_path / "a", kind=kind, overwrite=overwrite)
    (tmp_path / "b").write_text("12345")
    if kind is FOLDER:
        with pytest.raises(OutputError, match=r"wrote \(a file of 5 bytes\)"):
            check_new(tmp_path / "b", kind=kind, overwrite=overwrite)


def test_a_file_is_replaced_only_where_it_is_said(tmp_path):
    (tmp_path / "a").write_text("old")
    with (
        pytest.raises(OutputError, match=r"exists already; .*--overwrite"),
        new_file(tmp_path / "a"),
    ):
        pass
    with new_file(tmp_path / "a", overwrite=True) as part:
        part.write_text("new")
    assert (tmp_path / "a").read_text() == "new"


def test_what_is_not_ours_in_a_folder_of_ours_is_handed_on(tmp_path, caplog):
    old = tmp_path / "a"
    (old / "deep" / "er").mkdir(parents=True)
    (old / "empty").mkdir()
    for place in ("old", "note", "deep/er/note"):
        (old / place).write_text(place)
    (old / "link").symlink_to(tmp_path)
    (old / "dead").symlink_to("nowhere")
    with new_folder(old, kind=FOLDER, overwrite=True) as part:
        (part / "deep").mkdir()
        (part / "deep" / "new").touch()
    assert everything(tmp_path) == [
        "a", "a/dead", "a/deep", "a/deep/er", "a/deep/er/note", "a/deep/new", "a/empty", "a/link",
        "a/note",
    ]  # fmt: skip
    assert (old / "link").resolve() == tmp_path and (old / "dead").is_symlink()
    assert (old / "deep/er/note").read_text() == "deep/er/note"
    assert "a: kept dead, link, note and 2 more, which ClusterNet did not write" in caplog.text


@pytest.mark.parametrize(("theirs", "new"), [("name", "name"), ("name", "name/new"), ("a/b", "a")])
def test_a_name_that_others_took_in_a_folder_of_ours_is_left_to_them(tmp_path, theirs, new):
    for place, text in (("a/old", "ours"), (f"a/{theirs}", "theirs")):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    with pytest.raises(OutputError, match=r"not of ClusterNet, and in the way"):
        with new_folder(tmp_path / "a", kind=FOLDER, overwrite=True) as part:
            (part / new).parent.mkdir(exist_ok=True)
            (part / new).write_text("new")
    assert (tmp_path / "a" / theirs).read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path, there):
    (tmp_path / "disk").mkdir()
    for name in ("folder", "file"):
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
    if there:
        (tmp_path / "disk" / "folder").mkdir()
        (tmp_path / "disk" / "folder" / "old").touch()
        (tmp_path / "disk" / "file").touch()
    with new_folder(tmp_path / "folder", kind=FOLDER, overwrite=True) as part:
        (part / "new").touch()
    with new_file(tmp_path / "file", overwrite=True) as part:
        part.write_text("new")
    assert everything(tmp_path / "disk") == ["file", "folder", "folder/new"]
    assert (tmp_path / "folder").is_symlink() and (tmp_path / "file").is_symlink()


def test_a_full_disk_is_one_clear_line(tmp_path):
    with pytest.raises(OutputError, match=r"a: cannot be written .No space left"):
        with new_folder(tmp_path / "a", kind=FOLDER):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert everything(tmp_path) == []


def test_a_file_in_place_of_the_parent_folder_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        with new_file(tmp_path / "file" / "a.txt"):
            pass
    assert everything(tmp_path) == ["file"]


def tree(folder: Path) -> Path:
    """Make an input with a file in it, a link to it, and a link to what holds it."""
    (folder / "above" / "input" / "inner").mkdir(parents=True)
    (folder / "above" / "input" / "file.tif").write_text("theirs")
    (folder / "link").symlink_to(folder / "above" / "input")
    (folder / "higher").symlink_to(folder / "above")
    os.link(folder / "above" / "input" / "file.tif", folder / "twin.tif")
    return folder


@pytest.mark.parametrize(
    ("output", "taken", "relation"),
    [
        ("above/input", "above/input", "is"),
        ("above/input", "link", "is"),
        ("link", "above/input", "is"),
        ("higher/input", "above/input", "is"),
        ("above/other/../input/", "above/input", "is"),
        ("twin.tif", "above/input/file.tif", "is"),
        ("above", "above/input", "holds"),
        ("higher", "above/input", "holds"),
        ("above", "link", "holds"),
        ("above", "higher/input/file.tif", "holds"),
        ("link", "above/input/file.tif", "holds"),
        ("above/input/new", "above/input", "lies inside"),
        ("link/inner/new", "above/input", "lies inside"),
        ("above/input/inner", "higher", "lies inside"),
        ("missing/new", "missing", "lies inside"),
    ],
)
def test_an_output_that_meets_an_input_is_refused(tmp_path, monkeypatch, output, taken, relation):
    monkeypatch.chdir(tree(tmp_path))
    with pytest.raises(OutputError, match=rf"^{Path(output)}: {relation} the input {taken};"):
        check_apart([None, Path(output)], [None, Path("elsewhere"), Path(taken)])


def vrt(path: Path, *sources: str) -> Path:
    """A virtual raster as far as its list of files is concerned."""
    names = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename></SimpleSource>'
        for name in sources
    )
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"<VRTDataset><VRTRasterBand>{names}</VRTRasterBand></VRTDataset>")
    return path


@pytest.mark.parametrize("taken", ["a.vrt", "b.vrt", "folder", "upper", "linked"])
def test_what_a_virtual_raster_is_made_of_is_an_input(tmp_path, taken):
    vrt(tmp_path / "a.vrt", "tiles/1.tif", "b.vrt")
    vrt(tmp_path / "b.vrt", "tiles/2.tif", "a.vrt")
    vrt(tmp_path / "folder" / "inner.vrt", "../a.vrt")
    vrt(tmp_path / "upper" / "INNER.VRT", "../a.vrt")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "link").symlink_to(tmp_path / "upper")
    (tmp_path / "linked" / "loop").symlink_to(tmp_path / "linked")
    (tmp_path / "tiles").mkdir()
    for name in ("1.tif", "2.tif", "3.tif"):
        (tmp_path / "tiles" / name).touch()
    for name, relation in (("tiles/2.tif", "is"), ("tiles", "holds")):
        with pytest.raises(OutputError, match=f"{relation} the input {tmp_path / taken};"):
            check_apart([tmp_path / name], [tmp_path / taken])
    check_apart([tmp_path / "tiles/3.tif"], [tmp_path / taken])


@pytest.mark.parametrize(
    ("output", "taken"),
    [("above/input_2", "above/input"), ("above/input/a.tif", "above/input/b.tif"), ("new", "link")],
)
def test_an_output_beside_an_input_is_welcome(tmp_path, monkeypatch, output, taken):
    monkeypatch.chdir(tree(tmp_path))
    check_apart([Path(output)], [Path(taken)])


@pytest.mark.parametrize(
    ("files", "folders"),
    [
        (["a", "a"], []),
        (["a", "b/../a"], []),
        (["a"], ["a"]),
        (["a"], ["a/inner"]),
        (["a/b", "a"], []),
        (["link"], ["above/input"]),
    ],
)
def test_two_outputs_of_one_name_are_refused(tmp_path, monkeypatch, files, folders):
    monkeypatch.chdir(tree(tmp_path))
    with pytest.raises(OutputError, match=r"is the name of another output"):
        check_distinct(map(Path, files), map(Path, folders))


def test_a_file_may_lie_in_a_folder_that_is_an_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tree(tmp_path))
    check_distinct([Path("a/b"), None, Path("a/c"), Path("link/d")], [Path("a"), Path("link")])
