from __future__ import annotations

import errno
import json
from collections import namedtuple
from dataclasses import replace

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from pyogrio.errors import DataSourceError

from clusternet.errors import GridMismatchError, LabelError, OutputError
from clusternet.interactive.autosave import load_drawing, save_drawing
from clusternet.labels.stroke_files import DrawingGrid, read_strokes, write_strokes
from clusternet.labels.strokes import Drawing, Stroke, make_line
from clusternet.legend.land_classes import LandClass
from clusternet.prediction import feature_cache as cache_module
from clusternet.prediction.feature_cache import Identity, disk_bytes, open_cache
from clusternet.prediction.quantiser import Quantiser
from clusternet.raster import open_raster
from clusternet.raster.pyramid import build_pyramid
from clusternet.windows import Window

DEPTH = 3
QUANTISER = Quantiser(
    np.arange(DEPTH, dtype=np.int32), np.full(DEPTH, -1, np.float32),
    np.full(DEPTH, 0.01, np.float32), np.zeros((2, DEPTH), np.float32),
)  # fmt: skip
IDENTITY = Identity("scene.tif", 10, 20, (600, 700), "run", DEPTH)
CLASSES = (LandClass(1, "grass", (10, 200, 30)), LandClass(4, "road", (90, 90, 90)))
DRAWING = Drawing(
    CLASSES,
    (
        Stroke(make_line([(3, 4), (20, 8)]), 1, 4),
        Stroke(make_line([(30, 40)]), 4, 2.5),
        Stroke(shapely.box(5, 20, 9, 30), 4, 3),
    ),
)


def place(crs: str | None = "EPSG:32631", transform: Affine | None = None) -> DrawingGrid:
    grid = transform or Affine(0.5, 0, 448_000, 0, -0.5, 5_412_000)
    wkt = None if crs is None else geopandas.GeoSeries(crs=crs).crs.to_wkt()
    return DrawingGrid((60, 70), grid, wkt, "scene.tif")


def fill(cache, value: float = 0.5) -> None:
    for number, window in enumerate(cache.windows):
        features = np.full((*window.shape, DEPTH), value, np.float32)
        features[..., 0] = np.arange(window.col, window.col + window.width) / 1000
        clusters = np.full(window.shape, 1, np.int32)
        cache.write(number, features, clusters, np.ones(window.shape, bool))
    cache.flush()


def test_features_come_back_within_half_a_step(tmp_path):
    cache, _ = open_cache(tmp_path, IDENTITY, QUANTISER)
    assert not cache.is_complete
    fill(cache)
    assert cache.is_complete
    features, clusters, valid = cache.read(Window(500, 480, 100, 64))
    found = features * QUANTISER.step + QUANTISER.low
    assert np.abs(found[..., 0] - np.arange(480, 544) / 1000).max() <= 0.0051
    assert (clusters == 1).all() and valid.all()


def test_coarse_copies_hold_every_nth_pixel(tmp_path):
    cache, _ = open_cache(tmp_path, IDENTITY, QUANTISER)
    fill(cache)
    whole = Window(0, 0, 600, 700)
    fine = cache.read(whole)[0]
    for step in (2, 4, 8, 16, 32):
        np.testing.assert_array_equal(cache.read(whole, step)[0], fine[::step, ::step])


def test_window_without_data_or_not_computed_is_not_valid(tmp_path):
    cache, _ = open_cache(tmp_path, IDENTITY, QUANTISER)
    window = cache.windows[0]
    cache.write(0, None, np.zeros(window.shape, np.int32), np.zeros(window.shape, bool))
    assert not cache.read(Window(0, 0, 600, 700))[2].any()
    assert cache.done.tolist() == [True, False, False, False]


def test_unchanged_cache_is_reused_and_a_changed_one_started_afresh(tmp_path):
    cache, _ = open_cache(tmp_path, IDENTITY, QUANTISER)
    fill(cache)
    again, reason = open_cache(tmp_path, IDENTITY, QUANTISER)
    assert again.is_complete and not reason
    other = Identity("scene.tif", 10, 21, (600, 700), "another run", DEPTH)
    fresh, reason = open_cache(tmp_path, other, QUANTISER)
    assert not fresh.done.any() and reason == "changed since: mtime_ns, run"


@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_damaged_cache_is_started_afresh(tmp_path, damage):
    cache, _ = open_cache(tmp_path, IDENTITY, QUANTISER)
    fill(cache)
    path = tmp_path / "features_4.npy"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 1000 * (damage == "cut")])
    fresh, reason = open_cache(tmp_path, IDENTITY, QUANTISER)
    assert not fresh.done.any() and "damaged" in reason


def test_full_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    refusal = r"take 0\.00 GB and 0\.07 GB more must stay free, but only 0\.00 GB are free"
    with pytest.raises(OutputError, match=refusal):
        open_cache(tmp_path / "new", IDENTITY, QUANTISER)
    assert not any((tmp_path / "new").iterdir())


def test_disk_that_a_large_scene_takes_is_known_beforehand():
    assert disk_bytes((10_000, 10_000), 64) == pytest.approx(7.03e9, rel=0.01)


@pytest.mark.parametrize("suffix", ["gpkg", "geojson"])
@pytest.mark.parametrize(
    "where",
    [place(), place(None), place("EPSG:4326", Affine(1e-5, 0, 8, 0, -1e-5, 50)),
     place(transform=Affine(0.4, 0.3, 448_000, 0.3, -0.4, 5_412_000)),
     DrawingGrid((60, 70), Affine.scale(1, -1), None, "scene.png", is_georeferenced=False)],
    ids=["utm", "no crs", "degrees", "rotated", "pixels"],
)  # fmt: skip
def test_strokes_come_back_as_they_were(tmp_path, suffix, where):
    path = tmp_path / f"strokes.{suffix}"
    write_strokes(path, DRAWING, where)
    found = read_strokes(path, where)
    assert found.classes == CLASSES
    for stroke, old in zip(found.strokes, DRAWING.strokes, strict=True):
        assert stroke.land_class == old.land_class
        assert stroke.width == pytest.approx(old.width, abs=0.01)
        assert shapely.hausdorff_distance(stroke.geometry, old.geometry) < 0.01


def test_strokes_of_another_crs_are_reprojected(tmp_path):
    path = tmp_path / "strokes.gpkg"
    write_strokes(path, DRAWING, place())
    geopandas.read_file(path).to_crs(4326).to_file(tmp_path / "degrees.gpkg")
    found = read_strokes(tmp_path / "degrees.gpkg", place())
    for stroke, old in zip(found.strokes, DRAWING.strokes, strict=True):
        assert shapely.hausdorff_distance(stroke.geometry, old.geometry) < 0.01
        assert stroke.width == pytest.approx(old.width)


@pytest.mark.parametrize("backwards", [False, True])
def test_pen_keeps_its_width_on_a_raster_of_another_crs(tmp_path, backwards):
    metres = place()
    lon, lat = 8.289, 48.859  # the same spot
    degrees = place("EPSG:4326", Affine(1e-5, 0, lon, 0, -1e-5, lat))
    drawn_on, other = (degrees, metres) if backwards else (metres, degrees)
    write_strokes(tmp_path / "s.gpkg", DRAWING, drawn_on)
    frame = geopandas.read_file(tmp_path / "s.gpkg").to_crs(other.crs)
    left, _, _, top = frame.total_bounds
    grid = other.transform
    far = Affine(grid.a, 0, left - 99 * grid.a, 0, grid.e, top - 99 * grid.e)
    around = DrawingGrid((400, 400), far, other.crs, "other.tif")
    for stroke, old in zip(read_strokes(tmp_path / "s.gpkg", around).strokes, DRAWING.strokes,
                           strict=True):  # fmt: skip
        ratio = 0.5 / 0.9  # metres a pixel here and there: 1e-5 degrees are 1.1 by 0.73 m
        expected = old.width / ratio if backwards else old.width * ratio
        assert stroke.width == pytest.approx(max(expected, 1), rel=0.1)


def test_shapes_drawn_in_a_gis_serve_as_strokes(tmp_path):
    frame = geopandas.GeoDataFrame(
        {"class": ["tree", "road"]},
        geometry=[shapely.box(448_001, 5_411_990, 448_004, 5_411_995),
                  shapely.LineString([(448_010, 5_411_990), (448_020, 5_411_980)])],
        crs=32631,
    )  # fmt: skip
    frame.to_file(tmp_path / "drawn.gpkg")
    found = read_strokes(tmp_path / "drawn.gpkg", place())
    assert [c.name for c in found.classes] == ["road", "tree"]
    assert all(len(stroke.pixels((60, 70))) for stroke in found.strokes)


def write_frame(path, crs="EPSG:32631", shift=0.0, **fields):
    geometry = [shapely.LineString([(448_001 + shift, 5_411_999), (448_009 + shift, 5_411_990)])]
    geopandas.GeoDataFrame(fields, geometry=geometry, crs=crs).to_file(path)


def test_strokes_without_a_class_are_refused(tmp_path):
    write_frame(tmp_path / "s.gpkg", note=["a"])
    with pytest.raises(LabelError, match=r"s\.gpkg: has no field 'class'"):
        read_strokes(tmp_path / "s.gpkg", place())


def test_strokes_outside_the_raster_are_refused(tmp_path):
    write_frame(tmp_path / "s.gpkg", shift=5000, **{"class": [1]})
    with pytest.raises(GridMismatchError, match=r"none of its 1 strokes lies on scene\.tif"):
        read_strokes(tmp_path / "s.gpkg", place())


def test_strokes_with_a_crs_do_not_fit_a_raster_without(tmp_path):
    write_frame(tmp_path / "s.gpkg", **{"class": [1]})
    with pytest.raises(GridMismatchError, match="has no CRS"):
        read_strokes(tmp_path / "s.gpkg", place(None))


def test_stroke_that_reaches_the_raster_by_its_width_only_is_kept(tmp_path):
    edge = Drawing(CLASSES[:1], (Stroke(make_line([(5, -2), (30, -2)]), 1, 9),))
    save_drawing(tmp_path, edge, place())
    assert len(load_drawing(tmp_path, place()).strokes) == 1


@pytest.mark.parametrize("number", [None, 4])
def test_saved_strokes_can_be_added_to_in_a_gis(tmp_path, number):
    path = tmp_path / "strokes.gpkg"
    write_strokes(path, DRAWING, place())
    frame = geopandas.read_file(path)
    frame.loc[len(frame)] = {"class": number, "geometry": frame.geometry[0]}
    frame.to_file(path, layer="strokes")
    found = read_strokes(path, place())
    assert len(found.strokes) == 3 + (number is not None)
    assert [s.width for s in found.strokes[:3]] == pytest.approx([4, 2.5, 3])
    assert found.classes == CLASSES


def test_fields_of_ours_with_class_names_of_others_serve(tmp_path):
    write_frame(tmp_path / "s.gpkg", name=["x"], colour=["#010203"], width=[2.0],
                **{"class": ["tree"]})  # fmt: skip
    found = read_strokes(tmp_path / "s.gpkg", place())
    assert [c.name for c in found.classes] == ["tree"] and found.strokes[0].width == 4


def test_strokes_that_cannot_be_written_are_an_output_error(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise DataSourceError("disk full")

    monkeypatch.setattr("pyogrio.write_dataframe", full)
    with pytest.raises(OutputError, match=r"s\.gpkg: cannot be written \(GDAL: disk full"):
        write_strokes(tmp_path / "s.gpkg", DRAWING, place())


def test_strokes_are_written_as_gpkg_or_geojson_only(tmp_path):
    with pytest.raises(LabelError, match=r"written as \.gpkg or \.geojson"):
        write_strokes(tmp_path / "s.shp", DRAWING, place())
    assert not any(tmp_path.iterdir())


def test_autosave_keeps_classes_without_strokes(tmp_path):
    more = Drawing((*CLASSES, LandClass(9, "empty", (1, 2, 3))), DRAWING.strokes)
    save_drawing(tmp_path, more, place())
    assert load_drawing(tmp_path, place()).classes == more.classes
    save_drawing(tmp_path, Drawing(CLASSES), place())
    assert load_drawing(tmp_path, place()) == Drawing(CLASSES)


def test_nothing_saved_is_no_drawing(tmp_path):
    assert load_drawing(tmp_path, place()) is None


def test_unreadable_autosave_is_set_aside(tmp_path):
    save_drawing(tmp_path, DRAWING, place())
    (tmp_path / "classes.json").write_text(json.dumps({"a": 1}))
    assert load_drawing(tmp_path, place()) is None
    assert {p.name for p in tmp_path.iterdir()} == {
        "unreadable_1_strokes.gpkg", "unreadable_1_classes.json",
    }  # fmt: skip
    save_drawing(tmp_path, DRAWING, place())
    (tmp_path / "classes.json").write_text("also bad")
    assert load_drawing(tmp_path, place()) is None
    assert (tmp_path / "unreadable_2_classes.json").read_text() == "also bad"


GOOD = {"number": 1, "name": "grass", "colour": "#0ac81e"}
EDITED = {
    "a number as colour": [GOOD | {"colour": 7}],
    "a list as colour": [GOOD | {"colour": [10, 200, 30]}],
    "no colour": [{"number": 1, "name": "grass"}],
    "another colour": [GOOD | {"colour": "green"}],
    "NaN as number": [GOOD | {"number": float("nan")}],
    "infinity as number": [GOOD | {"number": float("inf")}],
    "text as number": [GOOD | {"number": "1"}],
    "true as number": [GOOD | {"number": True}],
    "a number too large": [GOOD | {"number": 10**30}],
    "a negative number": [GOOD | {"number": -1}],
    "nothing as name": [GOOD | {"name": None}],
    "an empty name": [GOOD | {"name": " "}],
    "an object as name": [GOOD | {"name": {"en": "grass"}}],
    "a very long name": [GOOD | {"name": "x" * 10_000}],
    "two classes of one name": [GOOD, GOOD | {"number": 2}],
    "two classes of one number": [GOOD, GOOD | {"name": "road"}],
    "a list for a class": [[1, "grass", "#0ac81e"]],
    "nothing for a class": [None],
    "an object for the list": {"1": "grass"},
    "nothing": None,
}


@pytest.mark.parametrize("what", EDITED)
def test_edited_classes_are_set_aside_in_one_line(tmp_path, caplog, what):
    (tmp_path / "classes.json").write_text(json.dumps(EDITED[what]))
    assert load_drawing(tmp_path, place()) is None
    (line,) = caplog.messages
    assert "classes.json" in line and "unreadable_1_classes.json" in line
    assert len(line.replace(str(tmp_path), "")) < 250 and "\n" not in line
    assert [path.name for path in tmp_path.iterdir()] == ["unreadable_1_classes.json"]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_classes_saved_by_an_editor_are_read(tmp_path, start):
    (tmp_path / "classes.json").write_bytes(start + json.dumps([GOOD]).encode())
    assert load_drawing(tmp_path, place()) == Drawing(CLASSES[:1])


def test_small_raster_needs_no_pyramid(tmp_path, write_raster):
    source = write_raster("small.tif", np.ones((40, 50), np.uint8))
    assert build_pyramid(source, tmp_path) == source


def test_pyramid_of_a_large_raster_leaves_it_alone(tmp_path, write_raster):
    pixels = np.zeros((300, 2100, 3), np.uint8)
    pixels[:, 1000:] = 200
    source = write_raster("large.tif", pixels)
    before = source.read_bytes()
    folder = tmp_path / "view"
    folder.mkdir()
    for leftover in ("part.vrt", "part.vrt.ovr"):  # of a process that was killed
        (folder / leftover).write_bytes(b"half")
    view = build_pyramid(source, folder)
    assert source.read_bytes() == before and view.parent == folder
    with open_raster(view) as raster:
        assert raster.profile.shape == (300, 2100)
        assert raster._dataset.overviews(1) == [2, 4, 8]
        assert (raster.read(Window(0, 1500, 10, 10))[0] == 200).all()
    assert build_pyramid(source, folder) == view


def test_raster_that_is_read_from_its_beginning_only_is_looked_at_in_a_tiled_copy(
    tmp_path, write_raster
):
    pixels = np.random.default_rng(0).integers(0, 255, (1100, 700, 3), np.uint8)
    source = write_raster("scene.png", pixels)
    folder = tmp_path / "view"
    folder.mkdir()
    view = build_pyramid(source, folder)
    assert view == folder / "view.tif" and [path.name for path in folder.iterdir()] == ["view.tif"]
    with open_raster(view) as raster:
        assert raster._dataset.block_shapes[0] == (256, 256)
        assert raster._dataset.overviews(1) == [2, 4]
        np.testing.assert_array_equal(raster.read(Window(0, 0, 1100, 700))[0], pixels)
    written = view.stat().st_mtime_ns
    assert build_pyramid(source, folder) == view and view.stat().st_mtime_ns == written


def test_a_failed_save_changes_neither_file(tmp_path, monkeypatch):
    """Classes of the one would give their numbers to strokes of the other."""
    save_drawing(tmp_path, DRAWING, place())
    swapped = tuple(replace(c, number=5 - c.number) for c in CLASSES)

    def full(*arguments, **options):
        raise DataSourceError("disk full")

    monkeypatch.setattr("pyogrio.write_dataframe", full)
    strokes = tuple(replace(s, land_class=5 - s.land_class) for s in DRAWING.strokes)
    with pytest.raises(OutputError):
        save_drawing(tmp_path, Drawing(swapped, strokes), place())
    assert load_drawing(tmp_path, place()).classes == CLASSES


def test_classes_outlast_strokes_that_cannot_be_read(tmp_path, caplog):
    save_drawing(tmp_path, DRAWING, place())
    (tmp_path / "strokes.gpkg").write_bytes(b"damaged")
    assert load_drawing(tmp_path, place()) == Drawing(CLASSES)
    assert (tmp_path / "unreadable_1_strokes.gpkg").read_bytes() == b"damaged"
    assert "set aside as unreadable_1_strokes.gpkg" in caplog.text


def test_a_piece_that_an_eraser_left_beside_the_scene_is_not_saved(tmp_path, caplog):
    beside = Stroke(make_line([(-20, 5), (-9, 5)]), 1)
    save_drawing(tmp_path, Drawing(CLASSES, (beside, *DRAWING.strokes)), place())
    assert load_drawing(tmp_path, place()).strokes == DRAWING.strokes
    save_drawing(tmp_path, Drawing(CLASSES, (beside,)), place())
    assert load_drawing(tmp_path, place()) == Drawing(CLASSES)
    assert not caplog.messages


def test_a_class_that_was_added_in_a_gis_is_the_listed_one_of_its_name(tmp_path):
    save_drawing(tmp_path, DRAWING, place())
    frame = geopandas.read_file(tmp_path / "strokes.gpkg")
    frame.loc[len(frame)] = {"class": 9, "name": "road", "geometry": frame.geometry[0]}
    frame.to_file(tmp_path / "strokes.gpkg", layer="strokes")
    found = load_drawing(tmp_path, place())
    assert found.classes == CLASSES
    assert [s.land_class for s in found.strokes] == [1, 4, 4, 4]


def test_features_are_kept_if_no_more_files_can_be_opened(tmp_path, monkeypatch):
    cache, _ = open_cache(tmp_path, IDENTITY, QUANTISER)
    fill(cache)

    def fail(path, **options):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(cache_module.np, "load", fail)
        with pytest.raises(OSError, match="Too many open files"):
            open_cache(tmp_path, IDENTITY, QUANTISER)
    assert open_cache(tmp_path, IDENTITY, QUANTISER)[0].is_complete
