from __future__ import annotations

import importlib.util
import shutil
import socket
import warnings
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import random_run
import rasterio
import shapely
from conftest import ROOT
from interactive_scene import SHAPE, fill_cache_with_colours, make_run, make_scene, truth

from clusternet.classes.batch import LazyPredictor, fit_drawing, full_cache, read_profile
from clusternet.command_line.options import OPTIONS
from clusternet.errors import RunError
from clusternet.interactive.session import Session
from clusternet.interactive.workspace import Workspace
from clusternet.labels.stroke_files import DrawingGrid, read_strokes
from clusternet.labels.strokes import Stroke, make_line
from clusternet.learning.rules import RULES
from clusternet.legend.legend import read_legend
from clusternet.prediction.quantiser import Quantiser
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.training.run import load_run
from clusternet.windows import Window

has_page = importlib.util.find_spec("nicegui") and importlib.util.find_spec("rio_tiler")
needs_page = pytest.mark.skipif(not has_page, reason="pip install -e '.[interactive]'")


def load_script():
    spec = importlib.util.spec_from_file_location("interactive_script", ROOT / "tools" /
                                                  "interactive.py")  # fmt: skip
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def scene(tmp_path) -> tuple[Path, Path]:
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    fill_cache_with_colours(run, raster)
    return run, raster


@pytest.fixture
def strokes(tmp_path) -> Path:
    """One line on each quarter, of classes 0 to 3."""
    lines = []
    for row, col in ((30, 30), (30, 200), (150, 30), (150, 200)):
        x, y = 448_000 + col / 2, 5_412_000 - row / 2
        lines.append(shapely.LineString([(x, y), (x + 20, y - 10)]))
    path = tmp_path / "strokes.gpkg"
    geopandas.GeoDataFrame({"class": [0, 1, 2, 3]}, geometry=lines, crs=32631).to_file(path)
    return path


def call(*arguments: object) -> None:
    load_script().main(list(map(str, arguments)))


def refused(capsys, *arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        call(*arguments)
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    return lines[-1]


@pytest.mark.parametrize("rule", RULES)
def test_strokes_become_a_class_map_without_a_browser(tmp_path, scene, strokes, capsys, rule):
    output = tmp_path / "out" / "classes.tif"
    call(*scene, "--strokes", strokes, "--output", output, "--stroke_rule", rule,
         "--polygons", tmp_path / "out" / "polygons.gpkg")  # fmt: skip
    with rasterio.open(output) as found, rasterio.open(scene[1]) as source:
        assert (found.crs, found.transform, found.shape) == (
            source.crs, source.transform, source.shape,
        )  # fmt: skip
        classes = found.read(1)
    assert (classes[:-10] == truth()[:-10]).mean() > 0.99
    assert (classes[-10:] == 255).all()
    assert "from 4 stroke(s)" in capsys.readouterr().out
    assert len(geopandas.read_file(tmp_path / "out" / "polygons.gpkg")) >= 4
    legend = read_legend(tmp_path / "out" / "classes_legend.csv")
    assert legend.lookup().tolist() == [0, 1, 2, 3]


def test_page_and_batch_give_the_same_map(tmp_path, scene, strokes):
    workspace = Workspace(*scene)
    workspace.load(strokes)
    from clusternet.classes.export import Export

    workspace.exports.class_map(Export(tmp_path / "page.tif"))
    workspace.stop()
    call(*scene, "--strokes", strokes, "--output", tmp_path / "batch.tif")
    with rasterio.open(tmp_path / "page.tif") as a, rasterio.open(tmp_path / "batch.tif") as b:
        np.testing.assert_array_equal(a.read(), b.read())


@pytest.mark.parametrize("filters", [False, True])
@pytest.mark.parametrize("smooth", [1, 7])
def test_strokes_drawn_on_another_raster_give_the_map_they_give_there(
    tmp_path, strokes, filters, smooth
):
    raster = make_scene(tmp_path)
    run = random_run.make_run(tmp_path / "network", fixed_filters=filters)
    copy = shutil.copy(raster, tmp_path / "copy.tif")
    common = ("--strokes", strokes, "--smooth", smooth, "--cache_folder", tmp_path / "cache")
    call(run, raster, *common, "--output", tmp_path / "own.tif")
    call(run, copy, *common, "--drawn_on", raster, "--output", tmp_path / "other.tif")
    with rasterio.open(tmp_path / "own.tif") as a, rasterio.open(tmp_path / "other.tif") as b:
        own, other = a.read(1), b.read(1)
    assert len(np.unique(own)) > 2  # random weights tell some classes apart
    np.testing.assert_array_equal(own, other)


def test_cache_holds_learned_features_and_fixed_filters(tmp_path):
    raster = make_scene(tmp_path)
    run = random_run.make_run(tmp_path / "network", fixed_filters=True)
    lazy = LazyPredictor(run)
    cache = full_cache(load_run(run), raster, lazy, None)
    predictor = lazy.get()
    assert len(cache.quantiser.kept) == predictor.num_features > 6
    expected = cache.quantiser.quantise(predictor.features(raster)[:50])
    stored = cache.read(Window(0, 0, 50, SHAPE[1]))[0]
    # the same pixels in windows of another size: they round to a neighbouring byte at most
    assert np.abs(stored.astype(int) - expected).max() <= 1
    assert (np.ptp(stored, axis=(0, 1)) > 20).mean() > 0.5  # both kinds use the range of a byte


def test_rules_know_the_space_that_pixels_were_clustered_in(tmp_path):
    run = load_run(random_run.make_run(tmp_path / "network"))
    rng = np.random.default_rng(1)
    low, high = run.stored.feature_range
    high[2] = low[2]  # a feature that never varies is left out
    projection = rng.normal(size=(len(low), len(low))).astype(np.float32)
    book = replace(run.stored.codebook, projection=projection)
    quantiser = Quantiser.of_run(replace(run, stored=replace(run.stored, codebook=book)))
    features = rng.uniform(low, high, (50, len(low))).astype(np.float32)
    stored = (features[:, quantiser.kept] - quantiser.low) / quantiser.step
    assert stored.shape[1] == len(low) - 1
    expected = np.diff(book.transform(features), axis=0)
    np.testing.assert_allclose(np.diff(stored, axis=0) @ quantiser.projection, expected, atol=1e-3)


def test_features_clustered_as_they_are_have_no_such_space(tmp_path):
    run = load_run(random_run.make_run(tmp_path / "network"))
    assert not run.stored.codebook.has_projection
    assert Quantiser.of_run(run).projection is None


def test_maps_follow_the_edges_of_the_bands(tmp_path):
    run = load_run(random_run.make_run(tmp_path / "network", fixed_filters=True))
    assert np.argwhere(Quantiser.of_run(run).guide).tolist() == [[6, 0], [7, 1], [8, 2]]
    without = load_run(random_run.make_run(tmp_path / "alone"))
    assert Quantiser.of_run(without).guide is None


def test_of_many_bands_the_directions_in_which_they_differ_most_are_followed(tmp_path):
    run = load_run(random_run.make_run(tmp_path / "network", num_bands=7, fixed_filters=True))
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(7, 7)))[0][:3]
    low, high = run.stored.feature_range
    low[:], high[:] = 0, 254  # a level of a byte is 1
    weights = np.random.default_rng(1).normal(size=(6, 3)) * [50, 20, 10]
    book = run.stored.codebook
    centroids = book.centroids.copy()
    centroids[:, 6:13] = weights @ directions
    run = replace(run, stored=replace(run.stored, codebook=replace(book, centroids=centroids)))
    guide = Quantiser.of_run(run).guide
    assert not guide[:6].any() and not guide[13:].any()
    inside = guide[6:13]
    np.testing.assert_allclose(inside.T @ inside, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(directions @ inside @ inside.T, directions, atol=1e-5)


def test_raster_without_georeference_works_in_pixel_coordinates(tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    raster, run = make_scene(folder, georeferenced=False), make_run(folder)
    fill_cache_with_colours(run, raster)
    workspace = Workspace(run, raster)
    for number, col in ((1, 30), (2, 200)):
        stroke = Stroke(make_line([(col, 30), (col + 40, 60)]), number, 3)
        workspace.change(lambda session, s=stroke: session.draw(s))
    workspace.exports.strokes(tmp_path / "strokes.geojson")
    workspace.stop()
    call(run, raster, "--strokes", tmp_path / "strokes.geojson", "--output", tmp_path / "c.tif")
    with quiet_georeferencing(), rasterio.open(tmp_path / "c.tif") as dataset:
        classes = dataset.read(1)
    assert classes[30, 30] == 1 and classes[30, 200] == 2


def test_workspace_goes_on_where_the_last_sitting_ended(scene):
    first = Workspace(*scene)
    first.change(lambda session: session.draw(Stroke(make_line([(5, 5), (50, 50)]), 1, 3)))
    first.change(Session.add_class)
    first.stop()
    again = Workspace(*scene)
    assert len(again.drawing.strokes) == 1 and len(again.drawing.classes) == 3
    assert again.classifier is not None
    again.stop()


def test_raster_of_another_run_is_refused(tmp_path, scene, strokes, write_raster, capsys):
    other = write_raster("seven.tif", np.ones((20, 20, 7), np.uint8))
    message = refused(capsys, scene[0], other, "--strokes", strokes, "--output", tmp_path / "o.tif")
    assert "expected 3 band(s) of uint8" in message and "found 7" in message
    assert not (tmp_path / "o.tif").exists()


def test_strokes_of_another_raster_need_its_name(tmp_path, scene, capsys):
    line = shapely.LineString([(449_000, 5_411_000), (449_010, 5_411_000)])
    geopandas.GeoDataFrame({"class": [1]}, geometry=[line], crs=32631).to_file(tmp_path / "s.gpkg")
    message = refused(capsys, *scene, "--strokes", tmp_path / "s.gpkg", "--output",
                      tmp_path / "o.tif")  # fmt: skip
    assert "--drawn_on" in message and not (tmp_path / "o.tif").exists()


def test_strokes_on_nodata_only_are_refused(tmp_path, scene, capsys):
    line = shapely.LineString([(448_010, 5_412_000 - 118), (448_030, 5_412_000 - 118)])
    geopandas.GeoDataFrame({"class": [1]}, geometry=[line], crs=32631).to_file(tmp_path / "s.gpkg")
    message = refused(capsys, *scene, "--strokes", tmp_path / "s.gpkg", "--output",
                      tmp_path / "o.tif")  # fmt: skip
    assert "touch no pixel with data" in message


def test_what_becomes_of_the_strokes_of_each_class_is_said(tmp_path, scene, caplog):
    run, raster = scene
    ends = {"crop": (448_010, 20), "bare": (448_020, 118), "far": (449_000, 20)}
    lines = [
        shapely.LineString([(x, 5_412_000 - down), (x + 20, 5_412_000 - down)])
        for x, down in ends.values()
    ]
    frame = geopandas.GeoDataFrame({"class": list(ends)}, geometry=lines, crs=32631)
    frame.to_file(tmp_path / "s.gpkg")
    profile = read_profile(raster, load_run(run))
    drawing = read_strokes(tmp_path / "s.gpkg", DrawingGrid.of(profile))
    cache = full_cache(load_run(run), raster, LazyPredictor(run), None)
    fit_drawing(cache, profile, drawing, "perceptron")
    assert "no stroke of the class 'far' lies on" in caplog.text
    assert "class 'bare': none of its 1 stroke(s) gives a label" in caplog.text
    assert "'crop'" not in "".join(r.getMessage() for r in caplog.records if r.levelname != "INFO")


def test_certainty_class_table_and_clean_polygons_are_written_beside_the_map(
    tmp_path, scene, strokes
):
    names = {"certainty": "certain.tif", "class_table": "table.csv", "polygons": "p.gpkg"}
    wanted = [part for flag, name in names.items() for part in (f"--{flag}", tmp_path / name)]
    call(*scene, "--strokes", strokes, "--output", tmp_path / "c.tif", *wanted, "--smooth", 1)
    with rasterio.open(tmp_path / "certain.tif") as found, rasterio.open(scene[1]) as source:
        assert (found.crs, found.transform, found.nodata) == (source.crs, source.transform, 255)
        levels = found.read(1)
    assert (levels[-10:] == 255).all() and levels[:-10].max() <= 254
    assert levels[:100].mean() > 127  # the quarters are easily told apart
    table = pd.read_csv(tmp_path / "table.csv")
    with rasterio.open(tmp_path / "c.tif") as dataset:
        pixels = np.bincount(dataset.read(1).ravel())[:4].tolist()
    assert table["pixels"].tolist() == pixels and table["strokes"].tolist() == [1, 1, 1, 1]
    assert table["area_ha"].tolist() == pytest.approx([n * 0.25e-4 for n in pixels], abs=1e-4)
    assert table["share"].sum() == pytest.approx(1, abs=1e-3)

    assert len(geopandas.read_file(tmp_path / "p.gpkg")) == 4
    call(*scene, "--strokes", strokes, "--output", tmp_path / "c.tif", *wanted, "--smooth", 1,
         "--min_area", 18_500, "--sieve", 9, "--simplify", 2, "--overwrite")  # fmt: skip
    assert len(geopandas.read_file(tmp_path / "p.gpkg")) == 2  # without the quarters with nodata


def test_strokes_held_back_as_a_check_say_how_good_the_map_is_and_change_nothing(
    tmp_path, scene, strokes, caplog
):
    caplog.set_level("INFO", logger="clusternet")
    frame = geopandas.read_file(strokes).assign(colour="#010203", width=1.5, check=0)
    frame["name"] = ["grass", "sand", "water", "roof"]
    frame.to_file(tmp_path / "strokes_alone.gpkg")
    call(*scene, "--strokes", tmp_path / "strokes_alone.gpkg", "--output", tmp_path / "without.tif")
    assert "accuracy: not known yet" in caplog.text  # one stroke a class
    checks = frame.iloc[[0, 2]].assign(check=1)
    # a hundred pixels to the right: the first one is still grass, the second one still water
    checks["geometry"] = checks.geometry.translate(5, -30)
    pd.concat([frame, checks]).to_file(tmp_path / "checked.gpkg")
    call(*scene, "--strokes", tmp_path / "checked.gpkg", "--output", tmp_path / "with.tif")
    assert "accuracy: 1.00 of the pixels, 2 stroke(s) held back as a check" in caplog.text
    with rasterio.open(tmp_path / "without.tif") as a, rasterio.open(tmp_path / "with.tif") as b:
        np.testing.assert_array_equal(a.read(), b.read())
    caplog.clear()
    frame["check"] = [0, 0, 0, 1]
    frame.to_file(tmp_path / "lacking.gpkg")
    call(*scene, "--strokes", tmp_path / "lacking.gpkg", "--output", tmp_path / "lacking.tif")
    assert "class 'roof': all its 1 stroke(s) are held back as a check" in caplog.text
    frame.assign(check=1).to_file(tmp_path / "none.gpkg")
    with pytest.raises(SystemExit):
        call(*scene, "--strokes", tmp_path / "none.gpkg", "--output", tmp_path / "none.tif")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(("--output", "o.tif"), "--output needs --strokes"),
     (("--overwrite",), "--overwrite goes with --output"),
     (("--certainty", "c.tif"), "--certainty goes with --output"),
     (("--sieve", "4"), "--sieve goes with --output"),
     (("--strokes", "{strokes}", "--output", "o.tif", "--certainty", "c.png"), "GeoTIFF"),
     (("--strokes", "{strokes}", "--output", "o.tif", "--sieve", "-1"), "--sieve: expected"),
     (("--strokes", "{strokes}", "--output", "o.tif", "--class_table", "o.tif"), "o.tif"),
     (("--layer", "a"), "go with --strokes"),
     (("--smooth", "0"), "--smooth: expected at least 1"),
     (("--strokes", "{strokes}", "--output", "o.png"), "written as GeoTIFF"),
     (("--strokes", "{strokes}", "--output", "o.tif", "--polygons", "p.shp"), "GeoPackage")],
)  # fmt: skip
def test_flags_that_do_not_fit_are_refused(scene, strokes, capsys, arguments, expected):
    filled = [str(a).format(strokes=strokes) for a in arguments]
    assert expected in refused(capsys, *scene, *filled)


def test_existing_output_is_refused_and_kept(tmp_path, scene, strokes, capsys):
    output = tmp_path / "o.tif"
    output.write_text("mine")
    message = refused(capsys, *scene, "--strokes", strokes, "--output", output)
    assert "exists already" in message and output.read_text() == "mine"


@pytest.mark.parametrize("flag", ["--output", "--polygons"])
def test_input_is_never_written_over(tmp_path, scene, strokes, capsys, flag):
    outputs = {"--output": tmp_path / "o.tif"}
    outputs |= {flag: scene[1] if flag == "--output" else strokes}
    before = outputs[flag].read_bytes()
    message = refused(capsys, *scene, "--strokes", strokes, "--overwrite",
                      *(part for pair in outputs.items() for part in pair))  # fmt: skip
    assert "is the input" in message and outputs[flag].read_bytes() == before


@needs_page
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(("--port", "70000"), "--port 70000: expected 0 to 65535"),
     (("--port", "0", "--host", "192.0.2.1"), "--host 192.0.2.1: is no address of this machine")],
)  # fmt: skip
def test_address_that_cannot_be_served_is_refused(scene, capsys, arguments, expected):
    assert expected in refused(capsys, *scene, "--no-browser", *arguments)


@needs_page
def test_port_in_use_is_refused(scene, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = refused(capsys, *scene, "--port", port, "--no-browser")
    assert f"--port {port}" in message and "--port 0" in message


@needs_page
def test_page_needs_a_network_that_can_be_read_if_features_are_missing(
    tmp_path, capsys, monkeypatch
):
    def unreadable(path, **options):
        raise RunError(f"{path}: no good")

    monkeypatch.setattr("clusternet.prediction.predictor.load", unreadable)
    message = refused(capsys, make_run(tmp_path), make_scene(tmp_path), "--port", "0",
                      "--no-browser")  # fmt: skip
    assert message.endswith("run: no good")


@needs_page
def test_raster_without_overviews_is_shown_while_warnings_are_errors(tmp_path, write_raster):
    from clusternet.interactive.tiles import ImageTiles

    raster = write_raster("large.tif", np.full((600, 600, 3), 9, np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        images = ImageTiles(raster)
    assert images.tile(0, 0, 0, images.first_look())


@needs_page
def test_tiles_of_two_rasters_have_different_addresses(tmp_path, write_raster):
    from clusternet.interactive.tiles import ImageTiles

    rasters = [write_raster(name, np.full((60, 60, 3), 9, np.uint8)) for name in ("a.tif", "b.tif")]
    assert len({ImageTiles(raster).key for raster in rasters}) == 2


@needs_page
def test_scene_of_another_server_is_refused(scene, capsys):
    first = Workspace(*scene)
    first.lock.tell("http://127.0.0.1:8080")
    message = refused(capsys, *scene, "--port", "0", "--no-browser")
    assert "is being written by another process" in message
    assert "at http://127.0.0.1:8080); draw there" in message
    first.stop()


def test_every_rule_can_be_asked_for():
    assert tuple(OPTIONS["stroke_rule"]["choices"]) == tuple(RULES)
