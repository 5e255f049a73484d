"""Labels find their maps by base name."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from clusternet.errors import LabelError, RasterError
from clusternet.labels.pairing import base_name, pair_files


@pytest.fixture
def folders(tmp_path: Path):
    """Return ``make(maps, labels)``: creates empty files, returns the two folders."""

    def make(maps: list[str], labels: list[str]) -> tuple[Path, Path]:
        for folder, names in (("maps", maps), ("labels", labels)):
            (tmp_path / folder).mkdir()
            for name in names:
                path = tmp_path / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return tmp_path / "maps", tmp_path / "labels"

    return make


def paired_names(maps: Path, labels: Path) -> list[tuple[str, str]]:
    return [
        (str(map_path.relative_to(maps)), str(label.relative_to(labels)))
        for map_path, label in pair_files(maps, labels)
    ]


@pytest.mark.parametrize(
    ("map_name", "label_name"),
    [
        ("tile1_part001.tif", "tile1_part001.png"),
        ("tile1_part001_clusters.tif", "tile1_part001.png"),
        ("tile1_part001_classes.tif", "tile1_part001_mask.png"),
        ("tile1_part001.tif", "tile1_part001_labels.tif"),
        ("scene_prediction.tif", "scene.gpkg"),
        ("scene_v2.tif", "scene.png"),
        ("scene-clusters.TIF", "scene.PNG"),
        ("a/0_256_clusters.png", "a/0_256.png"),
    ],
)
def test_suffixes_do_not_count(folders, map_name, label_name):
    maps, labels = folders([map_name], [label_name])
    assert paired_names(maps, labels) == [(map_name, label_name)]


def test_the_longest_base_name_wins(folders):
    maps, labels = folders(["area_north_v2.tif"], ["area.png", "area_north.png"])
    assert paired_names(maps, labels) == [("area_north_v2.tif", "area_north.png")]


@pytest.mark.parametrize("other", ["scene_12.tif", "scene_1_2_clusters.tif", "scene_1_b.tif"])
def test_labels_of_one_scene_do_not_serve_another(folders, other, caplog):
    maps, labels = folders(["scene_1_clusters.tif", other], ["scene_1.png"])
    assert paired_names(maps, labels) == [("scene_1_clusters.tif", "scene_1.png")]
    assert "1 of 2 maps have no labels" in caplog.text


def test_the_same_relative_folder_is_preferred(folders):
    maps, labels = folders(["a/0_0.png", "b/0_0.png"], ["a/0_0.png", "b/0_0.png"])
    assert paired_names(maps, labels) == [("a/0_0.png", "a/0_0.png"), ("b/0_0.png", "b/0_0.png")]


def test_one_label_file_serves_every_map(folders):
    maps, labels = folders(["a.tif", "b.tif"], ["drawn.gpkg"])
    drawn = labels / "drawn.gpkg"
    assert pair_files(maps, drawn) == [(maps / "a.tif", drawn), (maps / "b.tif", drawn)]


def test_one_map_finds_its_labels_in_a_folder(folders):
    maps, labels = folders(["a_clusters.tif", "b.tif"], ["a.png", "b.png"])
    assert pair_files(maps / "a_clusters.tif", labels) == [
        (maps / "a_clusters.tif", labels / "a.png")
    ]


def test_confidence_rasters_previews_and_hidden_files_are_no_maps(folders):
    maps, labels = folders(
        ["a.tif", "a.png", "a_confidence.tif", "a_features.tif", ".a.part1.tif"], ["a.png"]
    )
    assert paired_names(maps, labels) == [("a.tif", "a.png")]


def test_maps_without_labels_are_reported(folders, caplog):
    maps, labels = folders(["a.tif", "b.tif", "c.tif"], ["a.png"])
    with caplog.at_level(logging.WARNING, "clusternet"):
        assert len(pair_files(maps, labels)) == 1
    assert "2 of 3 maps have no labels" in caplog.text
    assert "b.tif, c.tif" in caplog.text


def test_no_common_name_is_refused(folders):
    maps, labels = folders(["a.tif"], ["b.png"])
    with pytest.raises(LabelError, match=r"no label file is named like .*\(a\.tif\)"):
        pair_files(maps, labels)


def test_two_label_files_for_one_map_are_refused(folders):
    maps, labels = folders(["a.tif"], ["a.png", "a_mask.png"])
    with pytest.raises(LabelError, match=r"found a\.png and a_mask\.png"):
        pair_files(maps, labels)


def test_missing_and_empty_places_are_refused(folders, tmp_path):
    maps, labels = folders(["a.tif"], [])
    with pytest.raises(LabelError, match="no label file found"):
        pair_files(maps, labels)
    with pytest.raises(LabelError, match="nowhere: no such file"):
        pair_files(maps, tmp_path / "nowhere")
    with pytest.raises(RasterError, match="nowhere: no such file"):
        pair_files(tmp_path / "nowhere", labels)
    with pytest.raises(LabelError, match="another folder"):
        pair_files(maps, maps)


def test_a_name_made_of_known_words_only_is_kept():
    assert base_name(Path("a/mask.png")) == "mask"
    assert base_name(Path("labels_mask.png")) == "labels"
