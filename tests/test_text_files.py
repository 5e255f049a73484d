"""Texts that people saved in another way, or edited, end in one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusternet.errors import ClusterNetError, LabelError, SettingsError
from clusternet.patches.bands import Bands
from clusternet.patches.manifest import MANIFEST_NAME, read_manifest
from clusternet.text_files import read_json, read_text, taken_apart
from clusternet.yaml_files import read_yaml


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_text_is_read_with_or_without_the_mark_of_its_encoding(
    tmp_path: Path, start: bytes
) -> None:
    (tmp_path / "a.txt").write_bytes(start + "forêt".encode())
    assert read_text(tmp_path / "a.txt", LabelError) == "forêt"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_text_of_another_encoding_says_what_to_do(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes("forêt".encode(encoding))
    with pytest.raises(LabelError, match=r"a\.txt: is no UTF-8 text; save it in that encoding"):
        read_text(tmp_path / "a.txt", LabelError)


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", tmp_path / ("x" * 300)):
        with pytest.raises(LabelError, match=r"cannot be read \("):
            read_text(path, LabelError)


WRONG_JSON = ["", "{", "[1,", "[" * 100_000, "9" * 5000, "\0", "{'a': 1}"]


@pytest.mark.parametrize("text", WRONG_JSON, ids=range(len(WRONG_JSON)))
def test_what_is_no_json_is_one_short_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(LabelError, match=r"a\.json: is no JSON") as end:
        read_json(tmp_path / "a.json", LabelError)
    assert len(str(end.value)) < 300 and "\n" not in str(end.value)


WRONG_YAML = [
    "a: [1", "a: 2026-13-45", "{[1]: 2}", "a: 0x_", "a: " + "9" * 5000, "a: !!binary x=y",
    "a: !!timestamp x", "a: !!int ''", "\0", "[" * 1500, "a: &a [1, *b]", "a: !!python/object:x y",
    "- a", "7",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG_YAML, ids=range(len(WRONG_YAML)))
def test_what_is_no_yaml_of_settings_is_one_short_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"a\.yaml: ") as end:
        read_yaml(tmp_path / "a.yaml")
    assert len(str(end.value)) < 300 and "\n" not in str(end.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
MANIFEST: dict[str, Any] = {
    "format": 1, "patch_shape": [8, 8], "stride": [8, 8], "edge": "shift",
    "rasters": [{"name": "a", "source": "a.tif", "crs": None, "transform": [1, 0, 0, 0, 1, 0],
                 "shape": [8, 8], "num_bands": 1, "dtype": "uint8", "nodata": None,
                 "has_mask": False}],
    "patches": [{"file": "a/0_0.png", "raster": "a", "window": [0, 0, 8, 8]}],
}  # fmt: skip
BANDS: dict[str, Any] = {
    "num_bands": 1, "dtype": "uint8", "nodata": None, "mean": [1.0], "std": [1.0],
    "patch_shape": [8, 8],
}  # fmt: skip


def edited(original: dict[str, Any], data: st.DataObject) -> Any:
    """Return a JSON value in which one entry, perhaps a deep one, was replaced."""
    values = json.loads(json.dumps(original))
    place: Any = values
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if isinstance(inner, (dict, list)) and inner and data.draw(st.booleans()):
            place = inner
            continue
        place[key] = data.draw(json_values)
        return values


@settings(max_examples=50)
@given(st.data())
def test_an_edited_list_of_patches_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / MANIFEST_NAME).write_text(json.dumps(edited(MANIFEST, data)))
    try:
        read_manifest(folder)
    except ClusterNetError as error:
        assert MANIFEST_NAME in str(error) and "\n" not in str(error)


@settings(max_examples=50)
@given(st.data())
def test_edited_statistics_of_bands_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "bands.json"
    path.write_text(json.dumps(edited(BANDS, data)))
    try:
        Bands.load(path)
    except ClusterNetError as error:
        assert "bands.json" in str(error) and "\n" not in str(error)


def test_a_fault_of_ours_is_not_taken_for_one_of_the_file() -> None:
    with pytest.raises(NotImplementedError), taken_apart(LabelError, "a"):
        raise NotImplementedError
