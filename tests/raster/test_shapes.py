"""Vectors: what is read from files that people draw, and how it is laid over a raster."""

from __future__ import annotations

import sqlite3
import warnings
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform_bounds

from clusternet.errors import GridMismatchError, LabelError
from clusternet.labels.reading import open_labels_onto
from clusternet.labels.rules import LabelOptions, LabelRules
from clusternet.legend.class_list import make_class_list
from clusternet.raster import RasterProfile, open_raster
from clusternet.raster.burning import NO_LABEL, BurntLabels
from clusternet.raster.outlines import polygonise
from clusternet.raster.shapes import Shapes, read_shapes, write_polygons
from clusternet.windows import Window, blocks

LEFT, TOP, PIXEL = 448_000, 5_412_000, 0.5  # of rasters by the write_raster fixture


def pixel_box(row: int, col: int, height: int, width: int) -> shapely.Polygon:
    """Return the box around pixels, in the coordinates of the rasters here."""
    left, top = LEFT + col * PIXEL, TOP - row * PIXEL
    return shapely.box(left, top - height * PIXEL, left + width * PIXEL, top)


@pytest.fixture
def draw(tmp_path: Path):
    """Return ``draw(name, geometries, crs=..., **fields)`` -> path."""

    def write(name: str, geometries, crs="EPSG:32631", to_crs=None, layer=None, **fields) -> Path:
        path = tmp_path / name
        frame = geopandas.GeoDataFrame(fields, geometry=geometries, crs=crs)
        if to_crs is not None:
            frame = frame.to_crs(to_crs)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            frame.to_file(path, **({"layer": layer} if layer else {}))
        return path

    return write


@pytest.fixture
def grid(write_raster) -> RasterProfile:
    with open_raster(write_raster("map.tif", np.zeros((40, 60), np.uint8))) as raster:
        return raster.profile


def read_all(path: Path, grid: RasterProfile, **options):
    with open_labels_onto(path, grid, LabelRules(LabelOptions(**options))) as labels:
        return labels.read(Window(0, 0, *grid.shape))[0]


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.geojson", "a.fgb"])
def test_formats_give_the_same_classes(draw, name: str) -> None:
    boxes = [pixel_box(0, 0, 4, 4), pixel_box(10, 10, 5, 5)]
    shapes = read_shapes(draw(name, boxes, landuse=["wood", "field"]), class_field="landuse")
    assert dict(shapes.names) == {0: "field", 1: "wood"}
    assert sorted(shapes.classes.tolist()) == [0, 1]


def test_whole_numbers_are_class_numbers(draw) -> None:
    path = draw("a.gpkg", [pixel_box(0, 0, 1, 1)] * 3, **{"class": [7, 0, 300]})
    shapes = read_shapes(path)
    assert shapes.classes.tolist() == [7, 0, 300]
    assert not shapes.names


def test_text_that_holds_numbers_is_class_numbers(draw) -> None:
    path = draw("a.gpkg", [pixel_box(0, 0, 1, 1)] * 2, Class=["12", "3"])
    assert read_shapes(path).classes.tolist() == [12, 3]


def test_names_get_the_numbers_that_the_caller_gives(draw) -> None:
    path = draw("a.gpkg", [pixel_box(0, 0, 1, 1)] * 2, **{"class": ["b", "a"]})
    shapes = read_shapes(path, classes=make_class_list({5: "a", 2: "b", 9: "c"}))
    assert shapes.classes.tolist() == [2, 5]
    assert dict(shapes.names) == {5: "a", 2: "b"}


def test_a_file_without_fields_is_class_1(draw) -> None:
    path = draw("a.geojson", [shapely.box(3, 48, 4, 49)], crs=4326)
    assert read_shapes(path).classes.tolist() == [1]


def test_shapes_without_class_or_geometry_are_left_out(draw, caplog) -> None:
    boxes = [pixel_box(0, 0, 1, 1), pixel_box(0, 0, 2, 2), None, pixel_box(0, 0, 3, 3)]
    path = draw("a.gpkg", boxes, **{"class": ["a", None, "b", " "]})
    assert read_shapes(path).classes.tolist() == [0]
    assert "1 of 4 shapes have no geometry and are left out" in caplog.text
    assert "2 of 4 shapes have no class and are left out" in caplog.text


def test_parts_of_a_shape_share_its_class(draw) -> None:
    parts = shapely.MultiPolygon([pixel_box(0, 0, 1, 1), pixel_box(5, 5, 1, 1)])
    shapes = read_shapes(draw("a.gpkg", [parts, pixel_box(9, 9, 1, 1)], **{"class": [4, 6]}))
    assert shapes.classes.tolist() == [4, 4, 6]


def test_a_layer_is_chosen_by_name(draw) -> None:
    draw("a.gpkg", [pixel_box(0, 0, 1, 1)], layer="old", **{"class": [1]})
    path = draw("a.gpkg", [pixel_box(0, 0, 1, 1)], layer="new", **{"class": [2]})
    assert read_shapes(path, layer="new").classes.tolist() == [2]
    with pytest.raises(LabelError, match=r"several layers \(old, new\); choose one with --layer"):
        read_shapes(path)
    with pytest.raises(LabelError, match="no layer 'other'; there are old, new"):
        read_shapes(path, layer="other")


@pytest.mark.parametrize(
    ("fields", "options", "message"),
    [
        ({"kind": ["a"], "id": [1]}, {}, "no field 'class'; name the one .* there: kind, id"),
        ({"kind": ["a"]}, {"class_field": "knd"}, r"no field 'knd' \(--class_field\).* kind"),
        ({"class": [1]}, {"order_field": "z"}, r"no field 'z' \(--order_field\)"),
        ({"class": [-1]}, {}, "class number -1 cannot be used; expected 0 to 65534"),
        ({"class": [65535]}, {}, "class number 65535 cannot be used"),
        ({"class": [1.5]}, {}, "holds fractions such as 1.5"),
        ({"class": [None]}, {}, "holds no shape with a class"),
        ({"class": ["x"]}, {"classes": make_class_list({0: "a"})}, "class 'x', which is not in"),
    ],
)
def test_classes_that_cannot_be_used_are_refused(draw, fields, options, message) -> None:
    path = draw("a.gpkg", [pixel_box(0, 0, 1, 1)], **fields)
    with pytest.raises(LabelError, match=message):
        read_shapes(path, **options)


def test_an_empty_layer_is_refused(draw) -> None:
    with pytest.raises(LabelError, match="holds no shape"):
        read_shapes(draw("a.gpkg", [], **{"class": np.array([], int)}))


@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.geojson"])
def test_a_file_that_is_no_vector_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a vector file at all")
    with pytest.raises(LabelError, match="cannot be read as vectors"):
        read_shapes(tmp_path / name)


def test_a_database_without_layers_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.gpkg") as database:
        database.execute("create table t (x int)")
    database.close()
    with pytest.raises(LabelError, match=r"a\.gpkg"):
        read_shapes(tmp_path / "a.gpkg")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="no such file"):
        read_shapes(tmp_path / "a.gpkg")


# --- laid over a raster ------------------------------------------------------------------------


def test_shapes_in_another_crs_land_on_their_pixels(draw, grid) -> None:
    path = draw("a.gpkg", [pixel_box(10, 20, 6, 8)], to_crs=4326, **{"class": [3]})
    expected = np.full(grid.shape, NO_LABEL)
    expected[10:16, 20:28] = 3
    np.testing.assert_array_equal(read_all(path, grid), expected)


def test_points_and_lines_label_the_pixels_they_touch(draw, grid) -> None:
    point = shapely.Point(LEFT + 5.25, TOP - 2.25)
    line = shapely.LineString([(LEFT + 10, TOP - 10.25), (LEFT + 14.9, TOP - 10.25)])
    labels = read_all(draw("a.gpkg", [point, line], **{"class": [1, 2]}), grid)
    assert np.argwhere(labels == 1).tolist() == [[4, 10]]
    assert set(np.argwhere(labels == 2)[:, 0]) == {20}
    assert (labels == 2).sum() == 10


def test_background_labels_what_no_shape_covers(draw, grid) -> None:
    path = draw("a.gpkg", [pixel_box(0, 0, 2, 2)], **{"class": [1]})
    labels = read_all(path, grid, background=0)
    assert (labels == 1).sum() == 4
    assert (labels == 0).sum() == labels.size - 4


@settings(max_examples=25, deadline=None)
@given(
    boxes=st.lists(
        st.tuples(*[st.floats(-5, 60)] * 2, *[st.floats(0.1, 30)] * 2, st.integers(0, 5)),
        min_size=1,
        max_size=6,
    ),
    size=st.integers(5, 40),
    all_touched=st.booleans(),
)
def test_windows_show_the_same_labels_as_the_whole(boxes, size: int, all_touched: bool) -> None:
    geometries = np.array([shapely.box(x, y, x + w, y + h) for x, y, w, h, _ in boxes], object)
    classes = np.array([box[-1] for box in boxes], np.int32)
    shapes = Shapes(Path("a"), geometries, classes, {}, None, np.arange(len(boxes)))
    plane = RasterProfile(
        Path("b"), (50, 60), 1, "uint8", None, from_origin(-2, 52, 1, 1), None, False
    )
    labels = BurntLabels(shapes, plane, all_touched=all_touched)
    whole = labels.read(Window(0, 0, 50, 60))[0]
    for window in blocks((50, 60), (size, size)):
        np.testing.assert_array_equal(labels.read(window)[0], whole[window.slices()])


def test_a_window_beyond_the_raster_has_no_labels_there(write_raster, grid) -> None:
    path = write_raster("l.tif", np.ones(grid.shape, np.uint8))
    with open_labels_onto(path, grid) as labels:
        values, valid = labels.read(Window(30, 50, 20, 20))
    assert valid[:10, :10].all()
    assert valid.sum() == 100
    assert (values[~valid] == NO_LABEL).all()


def test_shapes_far_away_do_not_overlap(draw, grid) -> None:
    path = draw("a.gpkg", [pixel_box(1000, 1000, 5, 5)], **{"class": [1]})
    with open_labels_onto(path, grid) as labels:
        assert not labels.overlaps


def test_shapes_without_crs_are_refused_on_a_raster_with_one(draw, grid) -> None:
    path = draw("a.gpkg", [pixel_box(0, 0, 2, 2)], crs=None, **{"class": [1]})
    with pytest.raises(GridMismatchError, match=r"a\.gpkg: has no CRS but .*map\.tif has one"):
        read_all(path, grid)


def test_shapes_with_crs_are_refused_on_a_raster_without(draw, write_raster) -> None:
    path = draw("a.gpkg", [pixel_box(0, 0, 2, 2)], **{"class": [1]})
    with open_raster(write_raster("m.png", np.zeros((9, 9), np.uint8))) as raster:
        with pytest.raises(GridMismatchError, match=r"m\.png: has no CRS but .*a\.gpkg has one"):
            read_all(path, raster.profile)


@pytest.mark.parametrize("sign", [1, -1])
def test_pixel_coordinates_serve_a_raster_without_georeference(
    draw, write_raster, sign: int
) -> None:
    # QGIS draws such a raster downwards from y = 0, so what is drawn there has a negative y
    box = shapely.box(2, sign * 1, 5, sign * 4)
    path = draw("a.gpkg", [box], crs=None, **{"class": [1]})
    with open_raster(write_raster("m.png", np.zeros((9, 9), np.uint8))) as raster:
        labels = read_all(path, raster.profile)
    expected = np.full((9, 9), NO_LABEL)
    expected[1:4, 2:5] = 1
    np.testing.assert_array_equal(labels, expected)


# --- label rasters -----------------------------------------------------------------------------


def test_labels_on_the_same_grid_are_read_as_they_are(write_raster, grid) -> None:
    values = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
    labels = read_all(write_raster("l.tif", values, nodata=7), grid)
    assert labels[0, 7] == NO_LABEL
    labels[0, 7] = 7
    np.testing.assert_array_equal(labels, values)


def test_255_means_unlabelled_in_8_bit_rasters(write_raster, grid) -> None:
    values = np.full(grid.shape, 255, np.uint8)
    assert (read_all(write_raster("l.tif", values), grid) == NO_LABEL).all()
    assert (read_all(write_raster("l16.tif", values.astype(np.uint16)), grid) == 255).all()


def test_another_value_can_mean_unlabelled(write_raster, grid) -> None:
    labels = read_all(write_raster("l.tif", np.zeros(grid.shape, np.uint8)), grid, ignore_label=0)
    assert (labels == NO_LABEL).all()


def test_an_image_without_georeference_lies_on_a_map_of_its_size(write_raster, grid) -> None:
    labels = read_all(write_raster("l.png", np.full(grid.shape, 3, np.uint8)), grid)
    assert (labels == 3).all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32"])
def test_labels_on_a_coarser_grid_are_taken_from_the_nearest_pixel(
    write_raster, grid, dtype: str
) -> None:
    coarse = np.arange(20, dtype=dtype).reshape(4, 5)
    path = write_raster("l.tif", coarse, transform=from_origin(LEFT + 5, TOP - 5, 5, 5), nodata=19)
    labels = read_all(path, grid)  # pixels of 10 x 10, of which 3 rows and 5 columns lie inside
    expected = np.full(grid.shape, NO_LABEL)
    expected[10:, 10:] = np.kron(coarse[:3, :5], np.ones((10, 10)))
    np.testing.assert_array_equal(labels, expected)


def test_labels_in_another_crs_are_laid_over(write_raster, grid) -> None:
    bounds = (LEFT, TOP - 20, LEFT + 30, TOP)
    left, _, right, top = transform_bounds("EPSG:32631", "EPSG:4326", *bounds)
    step = (right - left) / 60
    values = np.ones((80, 80), np.uint8)
    values[:, 40:] = 2
    transform = from_origin(left, top, step, step)
    labels = read_all(write_raster("l.tif", values, crs="EPSG:4326", transform=transform), grid)
    assert (labels[5:35, 3:35] == 1).all()
    assert (labels[5:35, 45:57] == 2).all()


def test_windows_of_warped_labels_show_the_same_as_the_whole(write_raster, grid) -> None:
    values = np.random.default_rng(0).integers(0, 9, (30, 30)).astype(np.uint8)
    transform = (
        Affine.translation(LEFT + 3, TOP - 1) @ Affine.rotation(20) @ Affine.scale(0.7, -0.7)
    )
    path = write_raster("l.tif", values, transform=transform)
    whole = read_all(path, grid)
    with open_labels_onto(path, grid) as labels:
        for window in blocks(grid.shape, (13, 17)):
            np.testing.assert_array_equal(labels.read(window)[0], whole[window.slices()])


@pytest.mark.parametrize("crs", ["EPSG:32631", None])
def test_labels_far_away_do_not_overlap(write_raster, crs: str | None) -> None:
    far = {"transform": from_origin(LEFT + 9000, TOP, 0.5, 0.5), "crs": crs}
    path = write_raster("l.tif", np.ones((9, 9), np.uint8), **far)
    with open_raster(write_raster("m.tif", np.ones((8, 8), np.uint8), crs=crs)) as raster:
        with open_labels_onto(path, raster.profile) as labels:
            assert not labels.overlaps
            assert not labels.read(Window(0, 0, 8, 8))[1].any()


@pytest.mark.parametrize("lacking", ["labels", "map"])
def test_one_crs_only_is_refused(write_raster, lacking: str) -> None:
    label_crs, map_crs = (None, "EPSG:32631") if lacking == "labels" else ("EPSG:32631", None)
    path = write_raster("labels.tif", np.ones((9, 9), np.uint8), crs=label_crs)
    with open_raster(write_raster("map.tif", np.ones((8, 8), np.uint8), crs=map_crs)) as raster:
        with pytest.raises(GridMismatchError, match=rf"{lacking}\.tif: has no CRS but"):
            read_all(path, raster.profile)


def test_another_size_without_georeference_is_refused(write_raster) -> None:
    path = write_raster("l.png", np.ones((9, 9), np.uint8))
    with open_raster(write_raster("m.png", np.ones((8, 8), np.uint8))) as raster:
        with pytest.raises(GridMismatchError, match=r"expected 8 x 8 pixels .* found 9 x 9"):
            read_all(path, raster.profile)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((40, 60, 3), np.uint8), "expected one band of class numbers, found 3"),
        (np.full((40, 60), -1, np.int16), "holds the label -1; expected 0 to 65534"),
        (np.full((40, 60), 70_000, np.int32), "holds the label 70000"),
        (np.full((40, 60), 0.5, np.float32), "holds the value 0.5; expected whole"),
    ],
)
def test_rasters_that_are_no_labels_are_refused(write_raster, grid, values, message) -> None:
    with pytest.raises(LabelError, match=message):
        read_all(write_raster("l.tif", values), grid)


# --- polygons ----------------------------------------------------------------------------------


@pytest.fixture
def class_map(write_raster) -> Path:
    """Class 1 with a block of class 2 of 100 pixels, a speck of 1 pixel, and a nodata edge."""
    values = np.ones((40, 60), np.uint8)
    values[10:20, 10:20] = 2
    values[30, 30] = 2
    values[:, 50:] = 255
    return write_raster("classes.tif", values, nodata=255)


def one_piece(path: Path, **options):
    (polygons,) = polygonise(path, **options)
    return polygons


def test_polygons_cover_the_pixels_of_their_class(class_map: Path) -> None:
    polygons = one_piece(class_map)
    block = pixel_box(10, 10, 10, 10)
    assert any(polygon.equals(block) for polygon in polygons.geometries)
    areas = dict(zip(polygons.classes.tolist(), polygons.area_ha * 10_000 / 0.25, strict=True))
    assert areas[1] == pytest.approx(40 * 50 - 101)
    assert sorted(polygons.classes.tolist()) == [1, 2, 2]


def test_small_polygons_are_left_out(class_map: Path) -> None:
    assert sorted(one_piece(class_map, min_area=2).classes.tolist()) == [1, 2]


def test_the_sieve_gives_small_patches_to_their_neighbour(class_map: Path) -> None:
    polygons = one_piece(class_map, sieve=2)
    large = polygons.geometries[polygons.classes == 1][0]
    assert large.area == pytest.approx((40 * 50 - 100) * 0.25)


def test_simplified_polygons_keep_their_common_borders(write_raster) -> None:
    rows, cols = np.indices((40, 40))
    values = np.where(rows + np.sin(cols) * 2 > cols, 1, 2).astype(np.uint8)
    path = write_raster("c.tif", values)
    rough, smooth = one_piece(path), one_piece(path, simplify=2)
    assert shapely.get_num_coordinates(smooth.geometries).sum() < (
        shapely.get_num_coordinates(rough.geometries).sum()
    )
    assert shapely.coverage_is_valid(smooth.geometries)
    assert shapely.union_all(smooth.geometries).area == pytest.approx(400, rel=0.02)


def test_area_is_left_out_where_the_crs_has_degrees(write_raster) -> None:
    path = write_raster("c.tif", np.ones((5, 5), np.uint8), crs="EPSG:4326",
                        transform=from_origin(3, 48, 0.001, 0.001))  # fmt: skip
    assert one_piece(path).area_ha is None


def test_polygons_drawn_from_a_plain_image_lie_where_gis_shows_it(write_raster) -> None:
    values = np.zeros((9, 9), np.uint8)
    values[1:4, 2:5] = 1
    polygons = one_piece(write_raster("c.png", values))
    assert polygons.geometries[polygons.classes == 1][0].bounds == (2, -4, 5, -1)


def test_a_large_map_is_cut_into_windows_with_a_warning(
    class_map: Path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr("clusternet.raster.outlines._WHOLE_MAP_PIXELS", 1000)
    monkeypatch.setattr("clusternet.raster.outlines._POLYGON_WINDOW", (16, 16))
    parts = list(polygonise(class_map, simplify=1))
    assert len(parts) == 12
    assert "polygons are cut" in caplog.text
    joined = shapely.union_all(np.concatenate([part.geometries for part in parts]))
    assert joined.area == pytest.approx(40 * 50 * 0.25)


def test_polygons_without_crs_are_written(tmp_path: Path) -> None:
    box = np.array([shapely.box(0, 0, 1, 1)], object)
    write_polygons(tmp_path / "p.gpkg", "map", box, {"class": [4]}, None, tag="polygons",
                   append=False)  # fmt: skip
    assert read_shapes(tmp_path / "p.gpkg").crs is None


def test_written_polygons_are_read_back_window_by_window(tmp_path: Path) -> None:
    path = tmp_path / "p.gpkg"
    crs = rasterio.CRS.from_epsg(32631).to_wkt()
    for index in range(3):
        box = np.array([pixel_box(index * 5, 0, 2, 2)], object)
        write_polygons(path, "map", box, {"class": [index]}, crs, tag="polygons",
                       append=index > 0)  # fmt: skip
    shapes = read_shapes(path)
    assert shapes.classes.tolist() == [0, 1, 2]
    assert shapes.bounds[3] == TOP
