"""Points that are filled in give areas in hectares, and what makes them doubtful is said."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from conftest import WriteRaster
from rasterio.transform import from_origin

from clusternet.areas.accuracy import assess_areas
from clusternet.areas.report import Margins, assess_to_folder
from clusternet.areas.sampling import SampleOptions, sample_points
from clusternet.errors import LabelError, OutputError, SettingsError
from clusternet.evaluation.evaluate import evaluate
from clusternet.labels.drawn import stroke_tags
from clusternet.labels.origins import origin_tags
from clusternet.labels.strokes import Stroke
from clusternet.raster.opening import open_raster
from clusternet.raster.pixel_areas import pixel_areas

NAMES = '{"1": "forest", "2": "water", "3": "car"}'


@pytest.fixture
def world(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A folder with a map of 100 x 100 pixels of 10 m: ``map.tif`` and ``points.gpkg``.

    The map calls the last 30 columns water; of these 10 are forest in truth.
    """
    values = np.ones((100, 100), np.uint8)
    values[:, 70:] = 2
    path = write_raster("map.tif", values, nodata=255, transform=from_origin(5e5, 6e6, 10, 10))
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(CLUSTERNET_KIND="classes")
    (tmp_path / "classes.json").write_text(NAMES)
    sample_points(path, tmp_path / "points.gpkg", SampleOptions(per_class=60))
    return tmp_path


def fill(folder: Path, change: Any = None) -> geopandas.GeoDataFrame:
    """Write the true class of each point."""
    frame = geopandas.read_file(folder / "points.gpkg")
    frame["reference"] = np.where(frame.geometry.x < 5e5 + 800, "forest", "water")
    frame = frame if change is None else change(frame)
    frame.to_file(folder / "points.gpkg", layer="points")
    return frame


def test_areas_are_adjusted_for_the_errors_of_the_map(world: Path) -> None:
    fill(world)
    result = assess_areas(world / "map.tif", world / "points.gpkg")
    assert [c.name for c in result.classes] == ["forest", "water"]
    assert result.unit == "ha"
    assert result.mapped.tolist() == [70, 30]
    areas = result.estimate.shares * result.total
    half = 1.96 * result.estimate.share_errors * result.total
    assert areas.sum() == pytest.approx(100)
    assert (abs(areas - [80, 20]) < half).all()
    assert half.max() < 6
    assert result.warnings == []


def test_the_report_is_json_csv_and_a_page(world: Path) -> None:
    fill(world, lambda f: f.assign(reference=[*f["reference"][:-1], "<b>=1+1</b>"]))
    written = assess_to_folder(world / "map.tif", world / "points.gpkg", margins=Margins(0.05))
    assert "from 120 points" in str(written)
    assert written.folder.name == "map_areas"
    assert {p.name for p in written.folder.iterdir()} == {
        "areas.json", "areas.csv", "confusion.csv", "report.html",
    }  # fmt: skip
    values = json.loads((written.folder / "areas.json").read_text())
    rows = list(csv.DictReader((written.folder / "areas.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == ["forest", "water", "<b>=1+1</b>"]
    for row, stated in zip(rows, values["classes"], strict=True):
        assert float(row["area"]) == stated["area"]
        assert row["unit"] == "ha"
    assert sum(map(sum, values["confusion"]["points"])) == 120
    more = values["more_points"]
    assert more["for_areas_of"]["water"]["points"] > 0
    assert more["for_all_areas"]["points"] >= more["for_areas_of"]["water"]["points"]
    page = (written.folder / "report.html").read_text()
    assert "&lt;b&gt;=1+1" in page and "<b>=1+1" not in page
    assert "http" not in page  # it needs no network
    with pytest.raises(OutputError, match="overwrite"):
        assess_to_folder(world / "map.tif", world / "points.gpkg")
    assess_to_folder(world / "map.tif", world / "points.gpkg", overwrite=True)


def test_references_may_be_numbers_or_of_other_case(world: Path) -> None:
    fill(world)
    expected = assess_areas(world / "map.tif", world / "points.gpkg").estimate.counts
    fill(world, lambda f: f.assign(reference=f["reference"].map({"forest": "1", "water": "WATER"})))
    assert (
        assess_areas(world / "map.tif", world / "points.gpkg").estimate.counts == expected
    ).all()
    fill(world, lambda f: f.assign(reference=f["reference"].map({"forest": 1.0, "water": 2.0})))
    assert (
        assess_areas(world / "map.tif", world / "points.gpkg").estimate.counts == expected
    ).all()


def test_points_in_another_crs_and_field_are_read(world: Path) -> None:
    fill(world)
    expected = assess_areas(world / "map.tif", world / "points.gpkg").estimate.counts
    frame = geopandas.read_file(world / "points.gpkg").to_crs(4326)
    frame.rename(columns={"reference": "truth"}).to_file(world / "moved.geojson")
    result = assess_areas(world / "map.tif", world / "moved.geojson", class_field="truth")
    assert (result.estimate.counts == expected).all()


def test_points_without_a_reference_are_left_out_with_a_warning(world: Path, caplog: Any) -> None:
    fill(world, lambda f: f.assign(reference=[None, "unknown", *f["reference"][2:]]))
    result = assess_areas(world / "map.tif", world / "points.gpkg")
    assert result.estimate.counts.sum() == 118
    assert "2 of its 120 points are left out: 2 with no reference class" in caplog.text


def test_classes_that_only_the_points_have_are_errors_of_the_map(world: Path, caplog: Any) -> None:
    fill(world, lambda f: f.assign(reference=["forrest", *f["reference"][1:]]))
    result = assess_areas(world / "map.tif", world / "points.gpkg")
    assert [c.name for c in result.classes] == ["forest", "water", "forrest"]
    assert result.mapped[2] == 0 and result.estimate.shares[2] > 0
    assert "the map lacks: 'forrest'" in caplog.text and "misspelt" in caplog.text


def _all_of(name: str) -> Any:
    return lambda f: f.assign(reference=f["reference"].where(f["map_class"] == name))


REFUSED = {
    "none filled": (lambda f: f.assign(reference=None), "none of its 120 points"),
    "a class without points": (_all_of("forest"), r"no point with a reference class in 'water'"),
    "another map": (lambda f: f.assign(map_class="car"), "was drawn from another map"),
    "no field": (lambda f: f.drop(columns="reference"), "has no field 'reference'"),
    "no points": (lambda f: f.set_geometry(f.geometry.buffer(1)), "expected points, found Polygon"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_points_that_do_not_fit_are_refused(world: Path, case: str) -> None:
    change, message = REFUSED[case]
    frame = fill(world)
    (world / "points.gpkg").unlink()
    change(frame).to_file(world / "points.gpkg", layer="points")
    with pytest.raises(LabelError, match=message):
        assess_areas(world / "map.tif", world / "points.gpkg")


def test_labels_that_made_the_map_do_not_validate_it_unsaid(world: Path, caplog: Any) -> None:
    frame = fill(world)
    inside = shapely.box(5e5, 6e6 - 1000, 5e5 + 300, 6e6)
    labels = world / "labels.gpkg"
    geopandas.GeoDataFrame({"use": ["forest"]}, geometry=[inside], crs=32631).to_file(labels)
    with rasterio.open(world / "map.tif", "r+") as raster:
        raster.update_tags(**origin_tags([labels], world / "map.tif"))
    result = assess_areas(world / "map.tif", world / "points.gpkg")
    on_labels = int((frame.geometry.x < 5e5 + 300).sum())
    assert f"{on_labels} of its 120 points lie on labels" in result.warnings[0]
    assert "labels.gpkg" in caplog.text

    with rasterio.open(world / "map.tif", "r+") as raster:
        raster.update_tags(**origin_tags([world / "points.gpkg"], world / "map.tif"))
    caplog.clear()
    assess_areas(world / "map.tif", world / "points.gpkg")
    assert "is a label file that the map was made from" in caplog.text
    caplog.clear()
    evaluate(world / "map.tif", world / "points.gpkg", class_field="reference")
    assert "was made from these labels" in caplog.text


def test_points_on_strokes_that_made_the_map_are_told(world: Path, caplog: Any) -> None:
    frame = fill(world)
    strokes = [
        Stroke(shapely.box(0, 0, 20, 100), 1),
        Stroke(shapely.box(50, 0, 100, 100), 1, is_check=True),  # held back: it may validate
    ]
    with rasterio.open(world / "map.tif", "r+") as raster:
        raster.update_tags(**stroke_tags(strokes, raster.transform))
    result = assess_areas(world / "map.tif", world / "points.gpkg")
    on_strokes = int((frame.geometry.x < 5e5 + 205).sum())
    assert f"{on_strokes} of its 120 points lie on labels" in result.warnings[0]
    assert "strokes drawn on the page" in caplog.text

    with rasterio.open(world / "map.tif", "r+") as raster:
        raster.update_tags(CLUSTERNET_STROKES="edited by others")
    assert assess_areas(world / "map.tif", world / "points.gpkg").warnings == []


def test_maps_without_any_point_are_told(world: Path, write_raster: WriteRaster) -> None:
    fill(world)
    other = write_raster("other.tif", np.ones((100, 100), np.uint8), nodata=255,
                         transform=from_origin(6e5, 6e6, 10, 10))  # fmt: skip
    with rasterio.open(other, "r+") as raster:
        raster.update_tags(CLUSTERNET_KIND="classes")
    listed = world / "maps.txt"
    listed.write_text("map.tif\nother.tif\n")
    warned = assess_areas(listed, world / "points.gpkg").warnings
    assert len(warned) == 1 and "none of its 120 points lies on other.tif" in warned[0]


def test_area_units_come_from_the_crs(write_raster: WriteRaster, caplog: Any) -> None:
    def areas(crs: str | None, transform: Any) -> tuple[str, float]:
        path = write_raster("a.tif", np.ones((10, 20), np.uint8), crs=crs, transform=transform)
        with open_raster(path) as raster:
            found = pixel_areas(raster.profile)
        return found.unit, float(np.broadcast_to(found.rows, 10).sum() * 20)

    unit, of_utm = areas("EPSG:32631", from_origin(5e5, 5e6, 10, 10))
    assert (unit, of_utm) == ("ha", pytest.approx(2))
    # the same degrees at the equator and at 60 degrees north: half the area, on the ellipsoid
    _, equator = areas("EPSG:4326", from_origin(0, 0.005, 0.001, 0.001))
    unit, north = areas("EPSG:4326", from_origin(0, 60.005, 0.001, 0.001))
    assert unit == "ha"
    assert equator == pytest.approx(200 * 111.319 * 110.574 / 1e4, rel=1e-3)
    assert north / equator == pytest.approx(0.5, abs=0.01)
    assert not caplog.text
    mercator = areas("EPSG:3857", from_origin(0, 8_399_738, 10, 10))[1]  # at 60 degrees north
    assert mercator == pytest.approx(2)
    assert "EPSG:3857 are 3.9" in caplog.text or "EPSG:3857 are 4.0" in caplog.text
    assert areas(None, None) == ("pixels", 200)


def test_margins_that_mean_nothing_are_refused() -> None:
    with pytest.raises(SettingsError, match="--area_margin"):
        Margins(area=0)
    with pytest.raises(SettingsError, match="--accuracy_margin"):
        Margins(accuracy=5)
