"""Long work with progress that can be cancelled, and backdrops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from interactive_scene import SHAPE, fill_cache_with_colours, make_run, make_scene
from rasterio.transform import from_origin

from clusternet.classes.export import Export
from clusternet.errors import ClusterNetError, GridMismatchError
from clusternet.interactive.filling import Progress
from clusternet.interactive.session import Session
from clusternet.interactive.tasks import Cancelled, Task
from clusternet.interactive.workspace import Workspace
from clusternet.labels.drawn import read_drawn
from clusternet.labels.stroke_files import read_strokes
from clusternet.labels.strokes import Stroke, make_line
from clusternet.raster import open_raster
from clusternet.raster.backdrop import write_view


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A scene with its features and two strokes."""
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    fill_cache_with_colours(run, raster)
    opened = Workspace(run, raster)
    for number, col in ((1, 30), (2, 200)):
        stroke = Stroke(make_line([(col, 30), (col + 40, 60)]), number, 3)
        opened.change(lambda session, s=stroke: session.draw(s))
    yield opened
    opened.stop()


def test_export_tells_how_far_it_is(workspace, tmp_path):
    task = Task("Writing ...")
    assert task.share is None
    workspace.exports.class_map(Export(tmp_path / "out" / "c.tif"), task)
    assert task.share == 1 and task.total == SHAPE[0] * SHAPE[1]


def test_cancelled_export_leaves_nothing_behind_and_the_old_file_alone(workspace, tmp_path):
    folder = tmp_path / "out"
    export = Export(folder / "c.tif", polygons=folder / "c.gpkg", overwrite=True)
    workspace.exports.class_map(export)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    threads = threading.active_count()
    task = Task("Writing ...")
    task.begin = lambda text, total=0: task.cancel()  # in the middle: the work has begun
    with pytest.raises(Cancelled, match="nothing was changed"):
        workspace.exports.class_map(export, task)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert threading.active_count() == threads  # none that reads ahead
    workspace.exports.class_map(export)  # and nothing is locked


def test_cancelled_load_changes_no_stroke(workspace, tmp_path):
    workspace.exports.strokes(tmp_path / "strokes.gpkg")
    before, task = workspace.drawing, Task("Reading ...")
    task.cancel()
    with pytest.raises(Cancelled):
        workspace.load(tmp_path / "strokes.gpkg", task=task)
    assert workspace.drawing is before


def test_backdrop_lies_on_the_grid_of_the_scene_and_may_be_in_another_crs(tmp_path):
    pytest.importorskip("rio_tiler", reason="pip install -e '.[interactive]' for the page")
    from clusternet.interactive.tiles import ImageTiles

    with open_raster(make_scene(tmp_path)) as raster:
        grid = raster.profile
    west, _south, east, north = rasterio.warp.transform_bounds(
        "EPSG:32631", "EPSG:4326", 448_000, 5_411_880, 448_160, 5_412_000
    )
    other = tmp_path / "other.tif"
    step = (east - west) / 40
    with rasterio.open(
        other, "w", driver="GTiff", dtype="uint8", count=3, height=60, width=50,
        crs="EPSG:4326", transform=from_origin(west - 2 * step, north + 5 * step, step, step),
    ) as dataset:  # fmt: skip
        pixels = np.zeros((3, 60, 50), np.uint8)
        pixels[0, :, :22], pixels[2, :, 22:] = 200, 90  # red in the west, blue in the east
        dataset.write(pixels)
    write_view(other, grid, tmp_path / "view.vrt")
    tiles = ImageTiles(tmp_path / "view.vrt")
    assert tiles.values(100, 10)[:3] == [200, 0, 0]
    assert tiles.values(100, 310)[:3] == [0, 0, 90]
    assert tiles.max_zoom == ImageTiles(grid.path).max_zoom
    with open_raster(tmp_path / "view.vrt") as raster:
        assert raster.profile.shape == SHAPE


def test_backdrop_of_another_place_is_refused(tmp_path):
    with open_raster(make_scene(tmp_path)) as raster:
        grid = raster.profile
    other = tmp_path / "other.tif"
    with rasterio.open(
        other, "w", driver="GTiff", dtype="uint8", count=1, height=9, width=9, crs="EPSG:32631",
        transform=from_origin(500_000, 5_000_000, 1, 1),
    ) as dataset:  # fmt: skip
        dataset.write(np.ones((1, 9, 9), np.uint8))
    with pytest.raises(GridMismatchError, match="does not lie on"):
        write_view(other, grid, tmp_path / "view.vrt")
    assert not (tmp_path / "view.vrt").exists()


def test_an_export_that_waits_for_another_one_can_be_cancelled(workspace, tmp_path):
    task = Task("Writing ...")
    with ThreadPoolExecutor(1) as threads, workspace.exports.turn(Task("another")):
        export = threads.submit(workspace.exports.class_map, Export(tmp_path / "c.tif"), task)
        task.cancel()
        with pytest.raises(Cancelled):
            export.result(timeout=20)
    assert not (tmp_path / "c.tif").exists()


def test_certainty_can_be_cancelled_while_it_is_written(workspace, tmp_path, monkeypatch):
    task = Task("Writing ...")
    monkeypatch.setattr(task, "begin", lambda text, total=0: task.cancel())
    with pytest.raises(Cancelled, match="nothing was changed"):
        workspace.exports.certainty(tmp_path / "c.tif", task=task)
    assert not any(tmp_path.glob("*c.tif*"))


def test_whoever_cancels_is_told_of_the_files_that_were_complete(workspace, monkeypatch):
    task = Task("Writing ...")
    begin = task.begin

    def cancel_later(text: str, total: int = 0) -> None:
        if "certainty" in text:
            task.cancel()
        begin(text, total)

    monkeypatch.setattr(task, "begin", cancel_later)
    with pytest.raises(Cancelled, match="1 file is complete, the others unchanged"):
        workspace.exports.write(["map", "certainty"], task=task)
    assert workspace.exports.path("map").exists()


def test_what_is_being_written_is_cancelled_when_the_server_ends(workspace, tmp_path):
    task = Task("Writing ...")
    with workspace.exports.turn(task):
        workspace.end()
    assert task.is_cancelled


def test_features_that_failed_are_not_waited_for(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "_fitted_to_all", False)
    monkeypatch.setattr(workspace.cache, "_done", np.zeros(1, bool))
    workspace.filling.progress = Progress(0, 1, "Features cannot be computed: broken")
    with pytest.raises(ClusterNetError, match="Features cannot be computed: broken"):
        workspace.exports.class_map(Export(tmp_path / "c.tif"))


def test_a_map_names_the_strokes_that_it_was_fitted_to(workspace, tmp_path, monkeypatch):
    """Also if others are drawn before its turn comes."""
    took = workspace.whole_map

    def draw_and_take() -> object:
        late = Stroke(make_line([(250, 200), (290, 210)]), 2, 3)
        workspace.change(lambda session: session.draw(late))
        return took()

    monkeypatch.setattr(workspace, "whole_map", draw_and_take)
    workspace.exports.class_map(Export(tmp_path / "c.tif"))
    with open_raster(tmp_path / "c.tif", codes=True) as raster:
        drawn, profile = read_drawn(raster.tags), raster.profile
    assert drawn.cover(profile, np.array([(205, 270)])).all()


def test_files_that_are_written_together_are_of_one_state(workspace, monkeypatch):
    task = Task("Writing ...")
    begin = task.begin

    def draw_meanwhile(text: str, total: int = 0) -> None:
        late = Stroke(make_line([(250, 200), (290, 210)]), 2, 3)
        workspace.change(lambda session: session.draw(late))
        begin(text, total)

    monkeypatch.setattr(task, "begin", draw_meanwhile)
    written = workspace.exports.write(["map", "certainty", "strokes"], task=task)
    saved = read_strokes(workspace.exports.path("strokes"), workspace.drawing_grid)
    assert len(saved.strokes) == 2 < len(workspace.drawing.strokes)
    before = [path.read_bytes() for path in written]
    while workspace.session.can_undo and len(workspace.drawing.strokes) > 2:
        workspace.change(Session.undo)
    again = workspace.exports.write(["map", "certainty", "strokes"])
    assert [path.read_bytes() for path in again][1] == before[1]
