"""Labels of scenes lie on patches as the scenes do, and wrong labels are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import WriteRaster

from clusternet.errors import ClusterNetError, GridMismatchError, LabelError
from clusternet.fine_tuning.patch_labels import IGNORE, PatchLabels, read_patch_labels
from clusternet.labels.rules import LabelOptions
from clusternet.legend.class_list import make_class_list
from clusternet.settings import TilingSettings
from clusternet.tiling.tile import tile_rasters

SHAPE = (50, 70)  # no multiple of a patch
NAMES = {4: "field", 7: "roof", 300: "water"}


@pytest.fixture
def truth() -> np.ndarray:
    rng = np.random.default_rng(3)
    truth = rng.choice([4, 7, 300], SHAPE).astype(np.uint16)
    truth[rng.random(SHAPE) < 0.5] = 65535
    truth[:, 40:] = 65535
    return truth


@pytest.fixture
def patches(write_raster: WriteRaster, tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(1, 255, (*SHAPE, 3)).astype(np.uint8)
    for name in ("scenes/town.tif", "scenes/wood.tif"):
        write_raster(name, pixels)
    tile_rasters(tmp_path / "scenes", tmp_path / "patches", TilingSettings((32, 32)))
    return tmp_path / "patches"


@pytest.fixture
def labels(write_raster: WriteRaster, tmp_path: Path, truth: np.ndarray) -> Path:
    write_raster("labels/town_mask.tif", truth, nodata=65535)
    text = json.dumps({str(number): name for number, name in NAMES.items()})
    (tmp_path / "labels/classes.json").write_text(text)
    return tmp_path / "labels"


def test_the_labels_of_a_patch_are_those_of_its_window(
    patches: Path, labels: Path, truth: np.ndarray
) -> None:
    found = read_patch_labels(patches, labels)
    assert [(one.number, one.name) for one in found.classes] == list(NAMES.items())
    assert [origin.path for origin in found.origins] == [labels / "town_mask.tif"]
    numbers = np.array([*NAMES, 65535])
    for entry in json.loads((patches / "patches.json").read_text())["patches"]:
        row, col, height, width = entry["window"]
        expected = truth[row : row + height, col : col + width]
        if entry["raster"] != "town" or (expected == 65535).all():
            assert entry["file"] not in found.counts
            assert (found.read(entry["file"]) == IGNORE).all()
            continue
        np.testing.assert_array_equal(numbers[found.read(entry["file"])], expected)
        counts = [int((expected == number).sum()) for number in NAMES]
        assert found.counts[entry["file"]].tolist() == counts
    assert found.shares.sum() == pytest.approx(1)


def test_the_scenes_need_not_be_there_any_more(patches: Path, labels: Path) -> None:
    before = read_patch_labels(patches, labels)
    for scene in (patches.parent / "scenes").iterdir():
        scene.unlink()
    assert read_patch_labels(patches, labels).digest == before.digest


def test_other_labels_have_another_digest(
    patches: Path, labels: Path, write_raster: WriteRaster, truth: np.ndarray
) -> None:
    before = read_patch_labels(patches, labels)
    row, col = np.argwhere(truth == 4)[0]
    truth[row, col] = 7
    write_raster("labels/town_mask.tif", truth, nodata=65535)
    assert read_patch_labels(patches, labels).digest != before.digest


def write_polygons(path: Path, classes: list[str], left: float, top: float) -> Path:
    """Write a square of 10 x 10 pixels of half a metre for each class, in a row."""
    squares = []
    for number, name in enumerate(classes):
        west, east = left + 5 * number, left + 5 * number + 5
        ring = [[west, top], [east, top], [east, top - 5], [west, top - 5], [west, top]]
        shape = {"type": "Polygon", "coordinates": [ring]}
        squares.append({"type": "Feature", "properties": {"class": name}, "geometry": shape})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": squares}))
    return path


def corner_of(patches: Path) -> tuple[float, float]:
    transform = json.loads((patches / "patches.json").read_text())["rasters"][0]["transform"]
    return transform[2], transform[5]


def test_polygons_label_the_pixels_that_they_cover(patches: Path, tmp_path: Path) -> None:
    file = write_polygons(tmp_path / "drawn.geojson", ["roof", "field"], *corner_of(patches))
    found = read_patch_labels(patches, file)
    assert [one.name for one in found.classes] == ["field", "roof"]
    first = next(file for file in found.counts if file.endswith("00000_00000.png"))
    columns = found.read(first)
    assert (columns[:10, :10] == 1).all() and (columns[:10, 10:20] == 0).all()
    assert (columns >= 0).sum() == 200
    assert len(found.counts) > 1  # one file labels both scenes


def test_colours_and_names_of_a_list_are_kept(patches: Path, labels: Path) -> None:
    listed = make_class_list({**NAMES, 9: "bog"}, {4: (1, 2, 3)})
    found = read_patch_labels(patches, labels, LabelOptions(listed))
    assert found.classes[0].colour == (1, 2, 3) and len(found.classes) == 3


def refused(patches: Path, labels: Path, kind: type[ClusterNetError], words: str) -> None:
    with pytest.raises(kind, match=words) as error:
        read_patch_labels(patches, labels)
    assert len(str(error.value)) < 300 + 2 * len(str(patches)) and "\n" not in str(error.value)


def test_labels_that_cannot_be_used_are_refused(
    patches: Path, labels: Path, write_raster: WriteRaster, tmp_path: Path, truth: np.ndarray
) -> None:
    refused(patches, tmp_path / "nowhere", LabelError, "nowhere: no such file or folder")
    other = write_raster("other/sea.tif", truth, nodata=65535)
    refused(patches, other.parent, LabelError, "no label file is named like one of the 2 scene")
    empty = write_raster("empty/town.tif", np.full(SHAPE, 255, np.uint8), nodata=255)
    refused(patches, empty.parent, LabelError, "no labelled pixel lies on a patch")
    one = write_raster("one/town.tif", np.full(SHAPE, 3, np.uint8), nodata=255)
    refused(patches, one.parent, LabelError, "two classes or more.* found only 'class 3'")
    far = write_polygons(tmp_path / "far.geojson", ["roof", "field"], 700_000.0, 0.0)
    refused(patches, far, GridMismatchError, "far.geojson: overlaps no scene")
    (patches / "patches.json").unlink()
    refused(patches, labels, LabelError, "patches.json: missing")


def test_shares_are_those_of_all_labelled_pixels() -> None:
    counts = {"a/0.png": np.array([3, 0]), "a/1.png": np.array([0, 1])}
    assert PatchLabels((), (2, 2), counts, {}).shares.tolist() == [0.75, 0.25]
