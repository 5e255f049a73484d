"""Outputs lie where their rasters lie, and what cannot be laid over another is refused."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from xml.sax.saxutils import escape

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from conftest import WriteRaster
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.warp import transform

from clusternet.classes.polygons import PolygonOptions, write_class_polygons
from clusternet.errors import GridMismatchError
from clusternet.labels.rasterization import rasterize_labels
from clusternet.labels.reading import NO_LABEL, open_labels_onto
from clusternet.labels.stroke_files import DrawingGrid, read_strokes
from clusternet.legend.land_classes import LandClass
from clusternet.patches.manifest import read_manifest
from clusternet.raster import MapForm, RasterProfile, check_same_grid, create_map, open_raster
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.settings import TilingSettings
from clusternet.tiling.tile import tile_rasters
from clusternet.windows import Window

ROWS, COLS = 12, 16
LABELS = np.arange(ROWS * COLS, dtype=np.uint8).reshape(ROWS, COLS)
T = Affine(1, 0, 500_000, 0, -1, 5_400_000)
POINTS = [
    (0, 0, 10.0, 50.0),
    (0, COLS, 10.2, 50.0),
    (ROWS, COLS, 10.21, 49.9),
    (ROWS, 0, 10.0, 49.9),
]
LOCAL = 'LOCAL_CS["site",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
ROTATED_POLE = (
    "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +to_meter=0.0174532925199433"
)
ENGINEERING = (
    'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],'
    'LENGTHUNIT["metre",1]]'
)
SYSTEMS = {
    "rotated pole": ROTATED_POLE,
    "engineering": ENGINEERING,
    "local": LOCAL,
    "s2": "+proj=s2 +lat_0=0 +lon_0=0",
    "longitudes from 0": "+proj=longlat +datum=WGS84 +lon_wrap=180 +no_defs",
    "axes of OGC": "OGC:CRS84",
    "three dimensions": "EPSG:4979",
    "compound": "EPSG:7415",
    "datum shift": "+proj=tmerc +lon_0=9 +x_0=3500000 +ellps=bessel +towgs84=598,73,418,0,0,-2,7",
    "feet": "EPSG:2263",
}
POLYNOMIALS = RPC(
    height_off=100, height_scale=500, lat_off=50, lat_scale=0.1, long_off=10, long_scale=0.1,
    line_off=6.5, line_scale=6, samp_off=8, samp_scale=8, line_den_coeff=[1.0] + [0.0] * 19,
    line_num_coeff=[0.0, 0.0, 1.0] + [0.0] * 17, samp_den_coeff=[1.0] + [0.0] * 19,
    samp_num_coeff=[0.0, 1.0] + [0.0] * 18,
)  # fmt: skip


@pytest.fixture
def write(write_raster: WriteRaster):
    """Return ``write(name, pixels, crs=, transform=, points=, rpcs=)``."""

    def write(name, pixels=LABELS, *, points=(), points_crs="EPSG:4326", rpcs=None, **options):
        if points or rpcs is not None:
            options |= dict(crs=None, transform=Affine.identity())
        if isinstance(options.get("crs"), str):
            options["crs"] = CRS.from_user_input(options["crs"])
        path = write_raster(name, pixels, **options)
        with quiet_georeferencing(), rasterio.open(path) as dataset:
            is_lost = options.get("crs") is not None and dataset.crs != options["crs"]
        if is_lost:  # as GDAL writes what the file cannot hold
            wkt = escape(options["crs"].to_wkt(version="WKT2_2019"))
            side_file = path.with_name(f"{name}.aux.xml")
            side_file.write_text(f"<PAMDataset><SRS>{wkt}</SRS></PAMDataset>")
        if points or rpcs is not None:
            with quiet_georeferencing(), rasterio.open(path, "r+") as dataset:
                if points:
                    found = [GroundControlPoint(*point) for point in points]
                    dataset.gcps = (found, CRS.from_user_input(points_crs))
                if rpcs is not None:
                    dataset.rpcs = rpcs
        return path

    return write


def profile_of(path: Path) -> RasterProfile:
    with open_raster(path, codes=True) as raster:
        return raster.profile


def write_map(path: Path, grid: RasterProfile, *, overwrite: bool = False, **options) -> Path:
    tags = {"CLUSTERNET_KIND": "labels"}
    form = MapForm(nodata=255, tags=tags, **options)
    with create_map(path, grid, form, overwrite=overwrite) as writer:
        writer.write(Window(0, 0, *grid.shape), np.zeros(grid.shape, np.uint8))
    return path


def read_onto(labels: Path, grid: Path) -> np.ndarray:
    """Return the labels of a file on the grid of another one."""
    with open_labels_onto(labels, profile_of(grid)) as opened:
        assert opened.overlaps
        return opened.read(Window(0, 0, *profile_of(grid).shape))[0]


def write_shapes(path: Path, shapes: dict[int, shapely.Geometry], crs: str | None) -> Path:
    frame = geopandas.GeoDataFrame(
        {"class": list(shapes)},
        geometry=list(shapes.values()),
        crs=crs and CRS.from_user_input(crs).to_wkt(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        frame.to_file(path)
    return path


def controlled(path: Path) -> tuple[list[tuple[float, ...]], CRS | None, RPC | None]:
    with quiet_georeferencing(), rasterio.open(path) as dataset:
        points, crs = dataset.gcps
        return [(p.row, p.col, p.x, p.y) for p in points], crs, dataset.rpcs


# what outputs carry


@pytest.mark.parametrize("cog", [False, True])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_map_has_the_very_crs_of_its_raster(write, tmp_path, system, cog):
    scene = write("scene.tif", crs=SYSTEMS[system], transform=Affine(0.1, 0, 10, 0, -0.1, 50))
    grid = profile_of(scene)
    assert grid.crs == CRS.from_user_input(SYSTEMS[system])
    path = write_map(tmp_path / "maps/map.tif", grid, cog=cog, names=["one"])
    with rasterio.open(path) as made:
        assert made.crs == grid.crs and made.transform.almost_equals(grid.transform)
    others = {file.name for file in path.parent.iterdir()} - {"map.tif", "map.tif.aux.xml"}
    assert not others
    write_map(path, grid, overwrite=True)
    assert profile_of(path).crs == grid.crs


@pytest.mark.parametrize("system", SYSTEMS)
def test_patches_have_the_very_crs_of_their_raster(write, tmp_path, system):
    scene = write("scene.tif", LABELS.astype(np.uint16), crs=SYSTEMS[system],
                  transform=Affine(0.1, 0, 10, 0, -0.1, 50))  # fmt: skip
    tile_rasters(scene, tmp_path / "patches", TilingSettings(patch_shape=(6, 8)))
    (source,) = read_manifest(tmp_path / "patches").rasters
    assert CRS.from_user_input(source.crs) == profile_of(scene).crs
    for path in (tmp_path / "patches/scene").glob("*.tif"):
        assert profile_of(path).crs == profile_of(scene).crs


@pytest.mark.parametrize("cog", [False, True])
@pytest.mark.parametrize("crs", ["EPSG:4326", ROTATED_POLE])
def test_a_map_has_the_control_points_of_its_raster(write, tmp_path, crs, cog):
    scene = write("scene.tif", points=POINTS, points_crs=crs)
    path = write_map(tmp_path / "map.tif", profile_of(scene), cog=cog)
    found, found_crs, _ = controlled(path)
    assert found == POINTS and found_crs == CRS.from_user_input(crs)
    assert not profile_of(path).is_georeferenced


@pytest.mark.parametrize("cog", [False, True])
def test_a_map_has_the_polynomials_of_its_raster(write, tmp_path, cog):
    scene = write("scene.tif", rpcs=POLYNOMIALS)
    path = write_map(tmp_path / "map.tif", profile_of(scene), cog=cog)
    assert controlled(path)[2] == controlled(scene)[2] and controlled(path)[2].line_off == 6.5


def test_patches_have_what_places_them(write, tmp_path):
    scene = write("a.tif", LABELS.astype(np.uint16), points=POINTS, rpcs=POLYNOMIALS)
    tile_rasters(scene, tmp_path / "patches", TilingSettings(patch_shape=(6, 8)))
    (source,) = read_manifest(tmp_path / "patches").rasters
    assert source.control == profile_of(scene).control
    points, crs, rpcs = controlled(tmp_path / "patches/a/00006_00008.tif")
    assert points == [(row - 6, col - 8, x, y) for row, col, x, y in POINTS]
    assert crs == CRS.from_epsg(4326) and (rpcs.line_off, rpcs.samp_off) == (0.5, 0)


def test_a_manifest_of_an_earlier_version_is_read(write, tmp_path):
    tile_rasters(write("a.tif"), tmp_path / "patches", TilingSettings(patch_shape=(6, 8)))
    path = tmp_path / "patches/patches.json"
    values = json.loads(path.read_text())
    for name in ("control", "identity"):
        del values["rasters"][0][name]
    path.write_text(json.dumps(values))
    assert read_manifest(tmp_path / "patches").rasters[0].control is None


# control points that meet something else


@pytest.mark.parametrize(
    ("place", "command"),
    [
        (dict(points=POINTS, nodata=255), "gdalwarp -r near {0}/map.tif {0}/map_warped.tif"),
        (dict(points=POINTS), "gdalwarp -r near -dstalpha {0}/map.tif {0}/map_warped.tif"),
        (dict(rpcs=POLYNOMIALS), "gdalwarp -r near -rpc -t_srs EPSG:4326 -dstalpha {0}/map.tif"),
    ],
)
def test_shapes_are_not_laid_over_a_map_without_transform(write, tmp_path, place, command):
    grid = write("map.tif", **place)
    box = shapely.box(10.05, 49.92, 10.15, 49.98)
    shapes = write_shapes(tmp_path / "a.gpkg", {1: box}, "EPSG:4326")
    labels = write("labels.tif", crs="EPSG:4326", transform=Affine(0.01, 0, 10, 0, -0.01, 50))
    for path in (shapes, labels):
        with pytest.raises(GridMismatchError, match=r"is placed by .* warp it first") as caught:
            read_onto(path, grid)
        assert command.format(tmp_path) in str(caught.value)
    with open_raster(grid) as raster, pytest.raises(GridMismatchError, match="gdalwarp"):
        read_strokes(shapes, DrawingGrid.of(raster.profile))


def test_labels_of_the_same_control_points_are_read(write):
    grid = write("map.tif", points=POINTS)
    np.testing.assert_array_equal(
        read_onto(write("l.tif", points=POINTS), grid), _as_labels(LABELS)
    )
    np.testing.assert_array_equal(read_onto(write("l.png"), grid), _as_labels(LABELS))


def test_labels_of_other_control_points_are_refused(write):
    other = [(row, col, x + 1, y) for row, col, x, y in POINTS]
    with pytest.raises(GridMismatchError, match=r"4 ground control points only.*gdalwarp"):
        read_onto(write("l.tif", points=other), write("map.tif", points=POINTS))


def test_a_transform_that_says_what_control_points_say_is_the_same_place(write):
    points = [(r, c, *(T @ (c, r))) for r, c in ((0, 0), (0, COLS), (ROWS, 0), (ROWS, COLS))]
    grid = write("map.tif", points=points, points_crs="EPSG:32632")
    there = write("there.tif", crs="EPSG:32632", transform=T)
    np.testing.assert_array_equal(read_onto(there, grid), _as_labels(LABELS))
    elsewhere = write("elsewhere.tif", crs="EPSG:32632", transform=T @ Affine.translation(3, 0))
    with pytest.raises(GridMismatchError, match="gdalwarp"):
        read_onto(elsewhere, grid)


def test_shapes_in_pixel_coordinates_fit_a_map_of_control_points(write, tmp_path):
    shapes = write_shapes(tmp_path / "a.gpkg", {3: shapely.box(2, -5, 6, -1)}, None)
    found = read_onto(shapes, write("map.tif", points=POINTS))
    assert (found[1:5, 2:6] == 3).all() and (found == 3).sum() == 16


def _as_labels(pixels: np.ndarray) -> np.ndarray:
    return np.where(pixels == 255, NO_LABEL, pixels.astype(np.int32))


# one grid, written in different ways


def test_the_same_crs_may_be_written_in_many_ways(write):
    ways = [
        "EPSG:32632",
        CRS.from_epsg(32632).to_wkt(version="WKT1_ESRI"),
        "+proj=utm +zone=32 +datum=WGS84",
        "+proj=utm +zone=32 +ellps=WGS84 +towgs84=0,0,0",
        "EPSG:32632+5773",
        "EPSG:25832",
    ]
    profiles = [profile_of(write(f"{i}.tif", crs=way, transform=T)) for i, way in enumerate(ways)]
    for profile in profiles:
        check_same_grid(profiles[0], profile)
        check_same_grid(profile, profiles[0])


def test_feet_and_metres_may_tell_the_same_grid(write):
    foot = 1200 / 3937
    feet = write("feet.tif", crs="EPSG:2263", transform=Affine(3, 0, 1_000_000, 0, -3, 200_000))
    x, y = 1_000_000 * foot, 200_000 * foot
    metres = write(
        "metres.tif", crs="EPSG:32118", transform=Affine(3 * foot, 0, x, 0, -3 * foot, y)
    )
    check_same_grid(profile_of(feet), profile_of(metres))
    assert profile_of(feet).pixel_area_ha == pytest.approx((3 * foot) ** 2 / 10_000)


def test_a_shifted_grid_is_refused_with_a_command(write, tmp_path):
    first = write("a.tif", crs="EPSG:32632", transform=T)
    second = write("b.tif", crs="EPSG:32632", transform=T @ Affine.translation(0.5, 0))
    command = f"rio warp {second} b_aligned.tif --like {first}"
    with pytest.raises(GridMismatchError) as caught:
        check_same_grid(profile_of(first), profile_of(second))
    assert command in str(caught.value)


# local systems


@pytest.mark.parametrize("local", [LOCAL, ENGINEERING])
def test_the_same_numbers_in_a_local_crs_are_the_same_grid(write, caplog, local):
    grid = write("map.tif", crs=local, transform=T)
    for crs, warned in ((local, 0), (None, 0), ("EPSG:32632", 1)):
        caplog.clear()
        found = read_onto(write("l.tif", crs=crs, transform=T), grid)
        np.testing.assert_array_equal(found, _as_labels(LABELS))
        assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == warned


@pytest.mark.parametrize("local", [LOCAL, ENGINEERING])
def test_another_grid_in_a_local_crs_is_refused_in_one_line(write, tmp_path, local):
    grid = write("map.tif", crs=local, transform=T)
    other = write("l.tif", LABELS[:-1], crs="EPSG:32632", transform=T)
    shapes = write_shapes(tmp_path / "a.gpkg", {1: shapely.box(*_inner())}, "EPSG:32632")
    for path in (other, shapes):
        with pytest.raises(GridMismatchError, match="local CRS 'site'") as caught:
            read_onto(path, grid)
        assert "[" not in str(caught.value) and "\n" not in str(caught.value)


def test_another_grid_in_the_same_local_crs_is_resampled(write, tmp_path):
    grid = write("map.tif", LABELS[:-2], crs=LOCAL, transform=T @ Affine.translation(0, 2))
    for crs in (LOCAL, None):
        labels = write("l.tif", crs=crs, transform=T)
        np.testing.assert_array_equal(read_onto(labels, grid), _as_labels(LABELS)[2:])
    for name, crs in (("a.gpkg", None), ("b.gpkg", LOCAL), ("c.shp", ENGINEERING)):
        shapes = write_shapes(tmp_path / name, {7: shapely.box(*_inner())}, crs)
        assert (read_onto(shapes, grid) == 7).sum() == 12
    elsewhere = LOCAL.replace("site", "x")
    other = write_shapes(tmp_path / "d.gpkg", {7: shapely.box(*_inner())}, elsewhere)
    with pytest.raises(GridMismatchError, match="its local CRS 'x' cannot be brought"):
        read_onto(other, grid)


def _inner() -> tuple[float, float, float, float]:
    return 500_002, 5_399_993, 500_006, 5_399_996


# images without a place, and GeoJSON


def test_geojson_in_pixel_coordinates_fits_an_image_without_georeference(write, tmp_path):
    image = write("image.png")
    shapes = write_shapes(tmp_path / "a.geojson", {3: shapely.box(2, -5, 6, -1)}, None)
    assert (read_onto(shapes, image)[1:5, 2:6] == 3).all()
    assert "crs" not in json.loads(shapes.read_text())
    output = rasterize_labels(shapes, image, tmp_path / "labels.tif")
    assert output.counts == {3: 16}


def test_geojson_that_states_a_crs_does_not_fit_an_image_without(write, tmp_path):
    image = write("image.png")
    shapes = write_shapes(tmp_path / "a.geojson", {3: shapely.box(2, -5, 6, -1)}, "EPSG:4326")
    assert "crs" in json.loads(shapes.read_text())
    with pytest.raises(GridMismatchError, match=r"image\.png: has no CRS but .*gdal_translate"):
        read_onto(shapes, image)


def test_a_world_file_places_an_image(write, tmp_path):
    image = write("image.png")
    (tmp_path / "image.pgw").write_text("1\n0\n0\n-1\n500000.5\n5399999.5\n")
    shapes = write_shapes(tmp_path / "a.gpkg", {7: shapely.box(*_inner())}, None)
    assert (read_onto(shapes, image) == 7).sum() == 12
    placed = write_shapes(tmp_path / "b.gpkg", {7: shapely.box(*_inner())}, "EPSG:32632")
    with pytest.raises(GridMismatchError, match=r"rio edit-info --crs EPSG:32632 .*image\.png"):
        read_onto(placed, image)


# turned rasters, and longitudes

TURNED = {
    "south up": Affine(1, 0, 500_000, 0, 1, 5_400_000),
    "rotated": Affine.translation(500_000, 5_400_000) @ Affine.rotation(30) @ Affine.scale(1, -1),
    "a quarter": Affine.translation(500_000, 5_400_000) @ Affine.rotation(90),
}


@pytest.mark.parametrize("turned", TURNED)
def test_labels_are_laid_over_turned_rasters(write, tmp_path, turned):
    grid = write("map.tif", crs="EPSG:32632", transform=TURNED[turned])
    pixels = np.zeros((60, 60), np.uint8)
    pixels[:, 30:] = 1
    labels = write("l.tif", pixels, crs="EPSG:32632",
                   transform=Affine(1, 0, 499_970, 0, -1, 5_400_030))  # fmt: skip
    shapes = {0: shapely.box(4e5, 5e6, 5e5, 6e6), 1: shapely.box(5e5, 5e6, 6e5, 6e6)}
    vectors = write_shapes(tmp_path / "a.gpkg", shapes, "EPSG:32632")
    cols, rows = np.meshgrid(np.arange(COLS) + 0.5, np.arange(ROWS) + 0.5)
    expected = TURNED[turned].a * cols + TURNED[turned].b * rows > 0
    np.testing.assert_array_equal(read_onto(vectors, grid), expected)
    np.testing.assert_array_equal(read_onto(labels, grid), expected)


@pytest.mark.parametrize("crs", [4326, 4258])
@pytest.mark.parametrize("start", [-540, -190, -180, 0, 170, 190])
def test_longitudes_are_the_same_after_a_full_turn(world, start, crs):
    """Labels of the whole Earth, counted from -180 or from 0, on a map that begins anywhere."""
    write, tmp_path = world
    grid = write("map.tif", np.zeros((4, 20), np.uint8), crs=f"EPSG:{crs}",
                 transform=Affine(1, 0, start, 0, -1, 2))  # fmt: skip
    expected = np.floor((start + np.arange(20)) % 360 / 10).astype(int)
    for name in ("from_0.tif", "from_180.tif", "stripes.gpkg"):
        found = read_onto(tmp_path / name, grid)
        np.testing.assert_array_equal(found, np.tile(expected, (4, 1)))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Stripes of ten degrees, numbered from 0 degrees on, as rasters and as shapes."""
    folder = tmp_path_factory.mktemp("world")
    stripes = np.tile(np.arange(360) // 10, (180, 1)).astype(np.uint8)

    def write(name, pixels, **options):
        with rasterio.open(
            folder / name, "w", driver="GTiff", height=pixels.shape[0], width=pixels.shape[1],
            count=1, dtype="uint8", **options,
        ) as dataset:  # fmt: skip
            dataset.write(pixels[None])
        return folder / name

    write("from_0.tif", stripes, crs="EPSG:4326", transform=Affine(1, 0, 0, 0, -1, 90))
    write("from_180.tif", np.roll(stripes, 180, 1), crs="EPSG:4326",
          transform=Affine(1, 0, -180, 0, -1, 90))  # fmt: skip
    starts = {n: 10 * n - (360 if n >= 18 else 0) for n in range(36)}
    shapes = {n: shapely.box(west, -80, west + 10, 80) for n, west in starts.items()}
    shapes = {n: shapely.segmentize(box, 1.0) for n, box in shapes.items()}
    write_shapes(folder / "stripes.gpkg", shapes, "EPSG:4326")
    return write, folder


def test_a_projected_map_may_cross_the_antimeridian(world):
    write, folder = world
    x, y = (v[0] for v in transform(CRS.from_epsg(4326), CRS.from_epsg(32660), [180], [10]))
    grid = write("utm.tif", np.zeros((4, 40), np.uint8), crs="EPSG:32660",
                 transform=Affine(1000, 0, x - 20_000, 0, -1000, y))  # fmt: skip
    for name in ("from_0.tif", "from_180.tif", "stripes.gpkg"):
        found = read_onto(folder / name, grid)
        assert (found[:, :19] == 17).all() and (found[:, 21:] == 18).all()
    patch = shapely.box(x - 15_000, y - 3000, x + 15_000, y - 1000)
    shapes = write_shapes(folder / "utm.gpkg", {5: patch}, "EPSG:32660")
    for start in (179.5, -180.5):
        map_ = write("lon.tif", np.zeros((40, 40), np.uint8), crs="EPSG:4326",
                     transform=Affine(0.025, 0, start, 0, -0.0025, 10.02))  # fmt: skip
        found = read_onto(shapes, map_) == 5
        assert found.any() and found[:, 16:24].any(axis=0).all() and not found[:, [0, -1]].any()


@pytest.mark.parametrize("start", [-3.0, 177.0])
def test_labels_are_laid_over_a_rotated_pole(write, tmp_path, start):
    """Two halves beside a meridian of the rotated system, also where its longitudes start anew."""
    rotated = CRS.from_user_input(ROTATED_POLE)
    grid = write("map.tif", np.zeros((6, 12), np.uint8), crs=ROTATED_POLE,
                 transform=Affine(0.5, 0, start, 0, -0.5, 1.5))  # fmt: skip
    x, y = np.meshgrid(start + 0.05 * np.arange(121), np.linspace(1.4, -1.4, 60))
    lon, lat = transform(rotated, CRS.from_epsg(4326), x.ravel().tolist(), y.ravel().tolist())
    halves = [np.array(x.ravel() < start + 3), np.array(x.ravel() >= start + 3)]
    shapes = {
        i: shapely.MultiPoint(np.stack([lon, lat], axis=1)[half]).convex_hull
        for i, half in enumerate(halves, 1)
    }
    vectors = write_shapes(tmp_path / "a.gpkg", shapes, "EPSG:4326")
    found = read_onto(vectors, grid)
    assert (found[1:-1, 1:5] == 1).all() and (found[1:-1, 7:11] == 2).all()
    degrees = Affine(0.01, 0, min(lon), 0, -0.01, max(lat))
    raster = rasterize_labels(
        vectors, write("deg.tif", np.zeros((400, 1300), np.uint8), crs="EPSG:4326",
                       transform=degrees), tmp_path / "labels.tif",
    )  # fmt: skip
    again = read_onto(raster.path, grid)
    assert (again[1:-1, 1:5] == 1).all() and (again[1:-1, 7:11] == 2).all()


def test_polygons_of_a_map_keep_its_crs(write, tmp_path):
    scene = write("scene.tif", crs=ROTATED_POLE, transform=Affine(0.1, 0, 10, 0, -0.1, 50))
    grid = profile_of(scene)
    path, classes = write_map(tmp_path / "map.tif", grid), {0: LandClass(0, "a", (1, 2, 3))}
    write_class_polygons(tmp_path / "a.gpkg", [path], classes, PolygonOptions())
    found = geopandas.read_file(tmp_path / "a.gpkg")
    assert CRS.from_wkt(found.crs.to_wkt()) == grid.crs and len(found) == 1


def test_a_raster_of_geolocation_arrays_is_named(write, tmp_path, caplog):
    path = write("swath.tif", crs=None, transform=Affine.identity())
    with quiet_georeferencing(), rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="GEOLOCATION", X_DATASET="lon.tif", Y_DATASET="lat.tif")
    tile_rasters(path, tmp_path / "patches", TilingSettings(patch_shape=(6, 8)))
    assert "geolocation arrays, which outputs cannot carry; warp it first: gdalwarp" in caplog.text


def test_control_points_count_where_a_crs_stands_beside_them(write, tmp_path):
    write("pixels.tif", crs=None, transform=Affine.identity())
    points = "".join(
        f"<GCP Pixel='{col}' Line='{row}' X='{x}' Y='{y}'/>" for row, col, x, y in POINTS
    )
    scene = tmp_path / "scene.vrt"
    scene.write_text(
        f"<VRTDataset rasterXSize='{COLS}' rasterYSize='{ROWS}'><SRS>EPSG:32632</SRS>"
        f"<GCPList Projection='EPSG:4326'>{points}</GCPList>"
        "<VRTRasterBand dataType='Byte' band='1'>"
        "<SimpleSource><SourceFilename relativeToVRT='1'>pixels.tif</SourceFilename>"
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    grid = profile_of(scene)
    assert not grid.is_georeferenced and grid.pixel_area_ha is None
    path = write_map(tmp_path / "map.tif", grid)
    assert controlled(path)[:2] == (POINTS, CRS.from_epsg(4326))


@pytest.mark.parametrize("name", ["Undefined Cartesian SRS", "Undefined SRS"])
def test_an_undefined_crs_is_none(write, tmp_path, name):
    undefined = ENGINEERING.replace('"site"', f'"{name}"', 1)
    shapes = write_shapes(tmp_path / "a.gpkg", {3: shapely.box(2, -5, 6, -1)}, undefined)
    assert (read_onto(shapes, write("image.png")) == 3).sum() == 16


def test_heights_do_not_matter_for_where_a_pixel_lies(write, tmp_path):
    degrees = Affine(0.1, 0, 10, 0, -0.1, 50)
    flat = write("flat.tif", crs="EPSG:4326", transform=degrees)
    high = write("high.tif", LABELS[:-1], crs="EPSG:4979", transform=degrees)
    box = shapely.box(10.2, 49.6, 10.6, 49.8)
    shapes = write_shapes(tmp_path / "a.gpkg", {3: box}, "EPSG:4979")
    for grid in (flat, high):
        assert (read_onto(shapes, grid) == 3).sum() == 8
    np.testing.assert_array_equal(read_onto(flat, high), _as_labels(LABELS)[:-1])


def test_a_stroke_around_the_earth_stays_one_stroke(world, tmp_path):
    write, _ = world
    grid = write("wide.tif", np.zeros((18, 36), np.uint8), crs="EPSG:4326",
                 transform=Affine(10, 0, 0, 0, -10, 90))  # fmt: skip
    around = shapely.LineString([(-170, 5), (170, 5)])
    path = write_shapes(tmp_path / "a.gpkg", {1: around}, "EPSG:4326")
    drawing = read_strokes(path, DrawingGrid.of(profile_of(grid)))
    assert len(drawing.strokes) == 1
