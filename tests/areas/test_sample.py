"""Validation points: random within each class, apart from each other, never on nodata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from conftest import WriteRaster
from rasterio.transform import from_origin

from clusternet.areas import overlaps as overlaps_module
from clusternet.areas import sample as sample_module
from clusternet.areas import strata as strata_module
from clusternet.areas.sampling import SampleOptions, sample_points
from clusternet.areas.strata import open_class_maps
from clusternet.errors import LabelError, OutputError, SettingsError
from clusternet.raster.styles import style_path

NODATA = 255


@pytest.fixture
def class_map(write_raster: WriteRaster) -> Path:
    """A map of 60 x 90 pixels: three classes, one of 6 pixels, and a corner of nodata."""
    values = np.ones((60, 90), np.uint8)
    values[:, 50:] = 2
    values[40:42, 10:13] = 3
    values[:20, :20] = NODATA
    path = write_raster("scene_classes.tif", values, nodata=NODATA)
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(CLUSTERNET_KIND="classes")
    (path.parent / "classes.json").write_text('{"1": "grass", "2": "water", "3": "roof"}')
    return path


def draw(path: Path, **options: Any) -> geopandas.GeoDataFrame:
    sample = sample_module.draw_sample(open_class_maps(path), SampleOptions(**options))
    return geopandas.GeoDataFrame(
        {"class": sample.classes, "row": sample.places[:, 1], "col": sample.places[:, 2]},
        geometry=geopandas.points_from_xy(*sample.positions.T),
    )


def test_each_class_has_its_points_and_nodata_none(class_map: Path, caplog: Any) -> None:
    points = draw(class_map, per_class=40)
    assert points["class"].value_counts().to_dict() == {1: 40, 2: 40, 3: 6}
    assert not ((points["row"] < 20) & (points["col"] < 20)).any()
    assert not points.duplicated(["row", "col"]).any()
    assert "fewer than 40 pixels" in caplog.text and "6" in caplog.text
    assert not points["class"].is_monotonic_increasing  # the order must not tell the class


def test_the_seed_fixes_the_points(class_map: Path) -> None:
    assert draw(class_map, per_class=9).equals(draw(class_map, per_class=9))
    assert not draw(class_map, per_class=9).equals(draw(class_map, per_class=9, seed=2))


def test_points_keep_their_distance_in_metres(class_map: Path, caplog: Any) -> None:
    points = draw(class_map, per_class=30, min_distance=3)  # 6 pixels of half a metre
    apart = points.geometry.apply(points.geometry.distance).to_numpy()
    assert apart[~np.eye(len(points), dtype=bool)].min() >= 3
    assert 10 < len(points) < 66
    assert "lower --min_distance" in caplog.text


def test_every_pixel_of_a_class_has_the_same_chance(class_map: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(strata_module, "_WINDOW", (16, 32))  # windows must not matter
    hits = np.zeros((60, 90))
    for seed in range(150):
        points = draw(class_map, per_class=60, seed=seed)
        of_water = points[points["class"] == 2]
        np.add.at(hits, (of_water["row"], of_water["col"]), 1)
    expected = 150 * 60 / 2400
    parts = hits[:, 50:].reshape(4, 15, 4, 10).sum(axis=(1, 3)) / (150 * expected)
    assert parts == pytest.approx(1, abs=0.12)


def test_memory_does_not_grow_with_the_map(class_map: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(strata_module, "_WINDOW", (16, 16))
    seen, kept = [], []
    add = sample_module._Lots.add

    def watched(lots: Any, index: int, corner: Any, values: np.ndarray, *rest: Any) -> None:
        add(lots, index, corner, values, *rest)
        seen.append(values.size)
        kept.append(sum(map(len, lots.keys.values())))

    monkeypatch.setattr(sample_module._Lots, "add", watched)
    draw(class_map, per_class=5)
    assert max(seen) <= 256 and max(kept) <= 15


def test_in_degrees_chances_follow_the_areas_of_pixels(write_raster: WriteRaster) -> None:
    values = np.ones((80, 200), np.uint8)  # 80 degrees of latitude from the equator
    path = write_raster("earth_classes.tif", values, nodata=NODATA, crs="EPSG:4326",
                        transform=from_origin(0, 80, 1, 1))  # fmt: skip
    points = draw(path, per_class=4000)
    north = (points.geometry.y > 60).mean()
    # the share of the area between 0 and 80 degrees that lies north of 60 degrees
    ends = np.sin(np.radians([60, 80]))
    assert north == pytest.approx((ends[1] - ends[0]) / ends[1], abs=0.02)


def test_the_file_hides_the_class_of_the_map_and_offers_all_classes(
    class_map: Path, tmp_path: Path
) -> None:
    path = tmp_path / "points.gpkg"
    written = sample_points(class_map, path, SampleOptions(per_class=5), map_field="was")
    frame = geopandas.read_file(path)
    assert list(frame.columns) == ["point", "reference", "was", "geometry"]
    assert frame["reference"].isna().all()
    assert set(frame["was"]) == {"grass", "water", "roof"}
    assert frame.crs.to_epsg() == 32631
    style = style_path(path).read_text()
    assert '<field name="was"><editWidget type="Hidden">' in style
    assert 'value="roof"' in style
    assert "15 points (grass 5, water 5, roof 5)" in str(written)
    sample_points(class_map, path, hide=False, overwrite=True)
    assert 'type="Hidden"' not in style_path(path).read_text()


def test_points_that_somebody_has_filled_in_are_not_replaced(
    class_map: Path, tmp_path: Path
) -> None:
    path = tmp_path / "points.gpkg"
    sample_points(class_map, path)
    frame = geopandas.read_file(path)
    frame.loc[3, "reference"] = "grass"
    frame.to_file(path, layer="points")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="choose another output"):
        sample_points(class_map, path, overwrite=True)
    assert path.read_bytes() == before


def test_several_maps_share_one_sample(class_map: Path, write_raster: WriteRaster) -> None:
    other = write_raster("east_classes.tif", np.full((30, 30), 2, np.uint8), nodata=NODATA,
                         transform=from_origin(600_000, 5_000_000, 0.5, 0.5))  # fmt: skip
    points = draw(class_map.parent, per_class=300)
    assert (points["class"] == 2).sum() == 300
    assert (points.geometry.x > 600_000).sum() == pytest.approx(300 * 900 / 3300, abs=30)
    assert other.exists()


@pytest.mark.parametrize("metres", [0.5, 0.25, 0.7])
def test_where_maps_overlap_a_place_counts_once(
    class_map: Path, write_raster: WriteRaster, metres: float, monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(strata_module, "_WINDOW", (16, 32))
    monkeypatch.setattr(overlaps_module, "_MOST_READ", 60)
    # from the upper left corner of the first map, whose nodata it covers, 20 x 30 metres
    rows, cols = round(20 / metres), round(30 / metres)
    other = write_raster("a_second_classes.tif", np.full((rows, cols), 2, np.uint8), nodata=NODATA,
                         transform=from_origin(448_000, 5_412_000, metres, metres))  # fmt: skip
    class_map.rename(class_map.with_name("a_first_classes.tif"))
    with caplog.at_level("INFO"):
        strata = strata_module.count_strata(open_class_maps(class_map.parent))
    water_on_nodata = 10 * 10 / 10_000  # of the 20 x 20 pixels of the first map
    areas = {c.name: area for c, area in zip(strata.classes, strata.areas, strict=True)}
    edge = 2 * 45 * metres / 10_000  # pixels that lie across a border
    assert areas["water"] == pytest.approx(60 * 40 * 0.25 / 1e4 + water_on_nodata, abs=edge)
    assert strata.areas.sum() == pytest.approx(60 * 90 * 0.25 / 1e4, abs=edge)
    assert "2 maps overlap" in caplog.text and strata.num_repeated > 0
    points = draw(class_map.parent, per_class=400)
    ours = points[points["class"] == 2].geometry
    twice = (ours.x < 448_025) & (ours.x > 448_010) & (ours.y > 5_411_980)
    assert not twice.any()  # there the first map says grass
    other.unlink()
    assert strata_module.count_strata(open_class_maps(class_map.parent)).num_repeated == 0


def test_cluster_maps_and_impossible_options_are_refused(
    write_raster: WriteRaster, class_map: Path, tmp_path: Path
) -> None:
    clusters = write_raster("a_clusters.tif", np.ones((9, 9), np.uint8), nodata=NODATA)
    with rasterio.open(clusters, "r+") as raster:
        raster.update_tags(CLUSTERNET_KIND="clusters")
    with pytest.raises(LabelError, match="is a cluster map"):
        open_class_maps(clusters)
    empty = write_raster("empty.tif", np.full((9, 9), NODATA, np.uint8), nodata=NODATA)
    with pytest.raises(LabelError, match="nothing but nodata"):
        draw(empty)
    with pytest.raises(SettingsError, match="--per_class: expected 1 or more"):
        SampleOptions(per_class=0)
    with pytest.raises(SettingsError, match="--map_field"):
        sample_points(class_map, tmp_path / "p.gpkg", map_field="reference")
    with pytest.raises(OutputError, match="GeoPackage"):
        sample_points(class_map, tmp_path / "p.shp")
