"""What all open pages of a scene share, without a browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from interactive_scene import fill_cache_with_colours, make_run, make_scene

from clusternet.classes.batch import BatchOptions, apply_strokes
from clusternet.classes.export import Export
from clusternet.errors import ClusterNetError, LabelError, OutputError
from clusternet.interactive import filling, loading, saving
from clusternet.interactive import workspace as workspace_module
from clusternet.interactive.areas import count_areas
from clusternet.interactive.autosave import load_drawing
from clusternet.interactive.session import Session
from clusternet.interactive.workspace import Workspace
from clusternet.labels.drawn import read_drawn
from clusternet.labels.strokes import Stroke, make_line
from clusternet.learning.mapping import confidence
from clusternet.legend.legend import read_legend
from clusternet.raster import open_raster
from clusternet.windows import Window


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A scene with its features and two strokes, working."""
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    fill_cache_with_colours(run, raster)
    opened = Workspace(run, raster)
    for number, col in ((1, 30), (2, 200)):
        stroke = Stroke(make_line([(col, 30), (col + 40, 60)]), number, 3)
        opened.change(lambda session, s=stroke: session.draw(s))
    yield opened
    opened.stop()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_failed_save_is_shown_and_made_up_for_by_the_next_change(workspace, monkeypatch):
    saved = []
    broken = [OutputError("disk full")]

    def save(folder: Path, drawing: object, place: object) -> None:
        if broken:
            raise broken[0]
        saved.append(drawing)

    monkeypatch.setattr(saving, "save_drawing", save)
    workspace.start()
    until(lambda: workspace.trouble == "Your last changes are not saved: disk full")
    broken.clear()
    workspace.change(Session.add_class)
    until(lambda: workspace.trouble == "" and saved[-1:] == [workspace.drawing])


def test_any_failure_of_the_features_reaches_the_page(tmp_path, caplog):
    raster, run = make_scene(tmp_path), make_run(tmp_path)  # its network cannot be read

    def fail(*arguments: object, **options: object) -> None:
        raise MemoryError("too small")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filling.LazyPredictor, "get", fail)
        opened = Workspace(run, raster)
        opened.start()
        until(lambda: opened.filling.progress.message != "")
        opened.stop()
    assert (
        opened.filling.progress.message == "Features cannot be computed: memory ran out: too small"
    )


def test_new_class_is_not_hidden_because_a_removed_one_was(workspace):
    workspace.hide(2, True)
    workspace.change(lambda session: session.remove_class(2))
    workspace.change(Session.add_class)
    assert workspace.drawing.classes[-1].number == 2 and not workspace.hidden


def test_same_smoothing_again_is_no_change(workspace):
    before = workspace.revision
    workspace.set_smooth(workspace.smooth)
    assert workspace.revision == before
    workspace.set_smooth(1)
    assert workspace.revision > before


def test_legend_is_written_without_a_class_map(workspace, tmp_path):
    workspace.exports.legend(tmp_path / "out" / "legend.csv")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["legend.csv"]
    assert read_legend(tmp_path / "out" / "legend.csv").lookup()[:2].tolist() == [1, 2]


def test_a_map_holds_the_strokes_that_it_is_made_from(workspace, tmp_path):
    workspace.exports.class_map(Export(tmp_path / "c.tif"))
    with open_raster(tmp_path / "c.tif", codes=True) as raster:
        drawn, profile = read_drawn(raster.tags), raster.profile
    pixels = np.array([(30, 30), (45, 50), (60, 70), (30, 200), (20, 30), (60, 30)])
    assert drawn is not None
    assert drawn.cover(profile, pixels).tolist() == [True, True, True, True, False, False]


def test_exports_asked_for_at_once_all_succeed(workspace, tmp_path):
    failures: list[BaseException] = []

    def export() -> None:
        try:
            target = tmp_path / "out"
            workspace.exports.class_map(
                Export(target / "c.tif", polygons=target / "c.gpkg", overwrite=True)
            )
            workspace.exports.strokes(target / "s.gpkg", overwrite=True)
            workspace.exports.legend(target / "l.csv", overwrite=True)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=export) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    written = {p.name for p in (tmp_path / "out").iterdir()}
    assert written >= {"c.tif", "c.gpkg", "s.gpkg", "l.csv"}


def test_saving_at_once_keeps_the_last_drawing_whole(workspace):
    """As at the end of a server, whose threads still save while it does."""
    threads = [threading.Thread(target=workspace.save) for _ in range(6)]
    for thread in threads:
        thread.start()
    workspace.change(Session.add_class)
    for thread in threads:
        thread.join()
    workspace.save()
    assert workspace.trouble == ""
    assert (
        load_drawing(workspace.folder, workspace.drawing_grid).classes == workspace.drawing.classes
    )


def test_a_fault_while_areas_are_counted_does_not_stop_the_saving(workspace, monkeypatch, caplog):
    saved = []
    monkeypatch.setattr(
        saving, "save_drawing", lambda folder, drawing, place: saved.append(drawing)
    )
    monkeypatch.setattr(workspace, "_measure", lambda: 1 / 0)
    workspace.start()
    until(lambda: bool(saved) and "please report" in caplog.text)
    workspace.change(Session.add_class)
    until(lambda: saved[-1] == workspace.drawing)


def test_field_and_layer_of_strokes_can_be_named(workspace, tmp_path):
    line = shapely.LineString([(448_010, 5_411_990), (448_030, 5_411_980)])
    frame = geopandas.GeoDataFrame({"kind": [5]}, geometry=[line], crs=32631)
    frame.to_file(tmp_path / "s.gpkg", layer="a")
    frame.to_file(tmp_path / "s.gpkg", layer="b")
    workspace.load(tmp_path / "s.gpkg", class_field="kind", layer="b")
    assert [c.number for c in workspace.drawing.classes] == [5]


def draw(workspace: Workspace, number: int, *points: tuple[float, float], width: float = 3) -> None:
    stroke = Stroke(make_line(points), number, width)
    workspace.change(lambda session: session.draw(stroke))


def certainty(workspace: Workspace) -> np.ndarray:
    """Return what any difference of two classifiers would change; (rows, cols)."""
    return confidence(
        workspace.cache, workspace.classifier, Window(0, 0, *workspace.cache.shape)
    )  # fmt: skip


def exported(workspace: Workspace, path: Path) -> np.ndarray:
    workspace.exports.class_map(Export(path, overwrite=True))
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_strokes_give_one_map_in_the_first_sitting_in_the_next_and_in_batch(tmp_path):
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    first = Workspace(run, raster)  # none of the features are there yet
    draw(first, 1, (30, 30), (70, 60), width=8 / 3)
    draw(first, 2, (200, 30), (240.5, 60.5), (310, 90), width=12)
    draw(first, 2, (220, 200), (250, 190), width=0.1)
    # a piece is left beside the raster, and ends where no pen was lifted
    draw(first, 1, (100, 100), (-90, 37), width=5)
    eraser = Stroke(make_line([(8, 0), (8.3, 130)]), 0, 285 / 7)
    first.change(lambda session: session.rub_out(eraser))
    assert len(first.drawing.strokes) == 5
    for row in range(120, 230, 10):  # so many that all have to share the pixels of the fit
        draw(first, 1 + row // 20 % 2, (3, row), (310, row + 7 / 9), width=row / 9)
    fill_cache_with_colours(run, raster)
    found = exported(first, tmp_path / "first.tif")
    first.exports.strokes(tmp_path / "strokes.gpkg")
    first.stop()

    second = Workspace(run, raster)
    assert set(second.drawing.strokes) < set(first.drawing.strokes)  # without the piece beside it
    np.testing.assert_array_equal(certainty(second), certainty(first))
    np.testing.assert_array_equal(exported(second, tmp_path / "second.tif"), found)
    second.stop()
    report = apply_strokes(
        run, raster, tmp_path / "strokes.gpkg", Export(tmp_path / "batch.tif"), BatchOptions()
    )
    with rasterio.open(report.output) as dataset:
        np.testing.assert_array_equal(dataset.read(1), found)


def test_windows_that_come_during_a_fit_are_in_the_sample_of_the_next(tmp_path, monkeypatch):
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    first = Workspace(run, raster)
    draw(first, 1, (30, 30), (70, 60))
    collect = workspace_module.collect_samples

    def collect_too_early(*arguments: object) -> object:
        found = collect(*arguments)
        fill_cache_with_colours(run, raster)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(workspace_module, "collect_samples", collect_too_early)
        draw(first, 2, (200, 30), (240, 60))
    first._fit()  # as when the last window has come
    first.stop()
    second = Workspace(run, raster)
    np.testing.assert_array_equal(certainty(first), certainty(second))
    second.stop()


def test_more_strokes_than_the_page_follows_are_refused(workspace, tmp_path, monkeypatch):
    workspace.exports.strokes(tmp_path / "s.gpkg")
    before = workspace.drawing
    monkeypatch.setattr(loading, "MOST_STROKES", 1)
    with pytest.raises(LabelError, match=r"s\.gpkg: 2 of its strokes lie .* follows 1 at most"):
        workspace.load(tmp_path / "s.gpkg")
    assert workspace.drawing == before
    monkeypatch.setattr(loading, "MOST_STROKES", 2)
    workspace.load(tmp_path / "s.gpkg")


@pytest.mark.parametrize("what", ["is no longer there", "has changed"])
def test_raster_that_is_replaced_or_deleted_is_noticed(workspace, tmp_path, monkeypatch, what):
    monkeypatch.setattr(workspace_module, "_LOOK_SECONDS", 0.02)
    workspace.start()
    until(lambda: bool(workspace.areas.counts))
    assert workspace.trouble == ""
    revision = workspace.revision
    if what == "has changed":
        (tmp_path / "scene.tif").write_bytes(b"another")
    else:
        (tmp_path / "scene.tif").unlink()
    until(lambda: workspace.trouble.startswith(f"scene.tif: {what} since"))
    assert workspace.revision > revision  # the page shows it
    with pytest.raises(ClusterNetError, match=what):
        workspace.exports.class_map(Export(tmp_path / "out.tif"))
    assert not (tmp_path / "out.tif").exists()
    workspace.exports.strokes(tmp_path / "s.gpkg")  # nothing that was drawn is lost


def test_features_of_a_raster_that_changes_meanwhile_are_not_computed_on(tmp_path, monkeypatch):
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    opened = Workspace(run, raster)
    seen = []

    def fill(*arguments: object, progress: Callable[[int, int], None], **more: object) -> None:
        for done in (0, 1):
            progress(done, 2)
            seen.append(done)
            raster.write_bytes(b"another")

    monkeypatch.setattr(filling, "fill_cache", fill)
    monkeypatch.setattr(filling.LazyPredictor, "get", lambda self: None)
    opened._fill()
    opened.stop()
    assert seen == [0] and "scene.tif: has changed" in opened.filling.progress.message


def test_areas_are_not_counted_on_when_the_server_ends(workspace):
    def count(*, ending: bool, overtaken: bool) -> list[bool]:
        found = count_areas(
            workspace.cache, workspace.classifier, 1,
            is_ending=lambda: ending, is_overtaken=lambda: overtaken,
        )  # fmt: skip
        return [areas.is_exact for areas in found]

    assert count(ending=True, overtaken=True) == []
    assert count(ending=False, overtaken=True) == [True]  # few pixels: there is no estimate


def test_two_classes_of_a_file_that_have_one_name_are_one(workspace, tmp_path):
    line = shapely.LineString([(448_010, 5_411_990), (448_030, 5_411_980)])
    fields = {"class": [1, 2], "name": "road", "colour": "#010203", "width": 2.0}
    geopandas.GeoDataFrame(fields, geometry=[line, line], crs=32631).to_file(tmp_path / "s.gpkg")
    for add in (False, True):
        workspace.load(tmp_path / "s.gpkg", add=add)
        assert [c.name for c in workspace.drawing.classes] == ["road"]


def test_a_failed_fit_changes_neither_strokes_nor_map_nor_undo(workspace, monkeypatch):
    """Else the strokes would be saved, and the scene could not be opened any more."""
    drawing, classifier = workspace.drawing, workspace.classifier
    workspace.change(Session.undo)
    undone = workspace.drawing

    def fail(*arguments: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(workspace_module, "fit_rule", fail)
        with pytest.raises(MemoryError):
            draw(workspace, 2, (100, 100), (120, 110))
        assert workspace.drawing is undone and workspace.classifier is not None
        with pytest.raises(MemoryError):
            workspace.change(Session.redo)
        assert workspace.drawing is undone
    workspace.change(Session.redo)
    assert workspace.drawing == drawing and workspace.classifier is not classifier


def test_a_scene_that_cannot_be_opened_is_not_locked(tmp_path, monkeypatch):
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "_fit", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Workspace(run, raster)
    Workspace(run, raster).stop()


def test_a_failed_save_is_tried_again_without_another_change(workspace, monkeypatch, caplog):
    monkeypatch.setattr(workspace_module, "_LOOK_SECONDS", 0.01)
    tries: list[object] = []

    def save(folder: Path, drawing: object, place: object) -> None:
        tries.append(drawing)
        if len(tries) < 4:
            raise OutputError("disk full")

    monkeypatch.setattr(saving, "save_drawing", save)
    workspace.start()
    until(lambda: len(tries) == 4 and workspace.trouble == "")
    assert len(caplog.messages) == 1  # the same line again would tell nothing


@pytest.mark.parametrize("width", [1e9, 1e300, float("inf"), float("nan")])
def test_any_width_that_a_file_states_is_taken(workspace, tmp_path, width):
    line = shapely.LineString([(448_010, 5_411_990), (448_030, 5_411_980)])
    fields = {"class": [1], "name": "road", "colour": "#010203", "width": width}
    geopandas.GeoDataFrame(fields, geometry=[line], crs=32631).to_file(tmp_path / "s.gpkg")
    workspace.load(tmp_path / "s.gpkg")
    (stroke,) = workspace.drawing.strokes
    assert 1 <= stroke.width <= 1e6


def test_more_corners_than_the_page_can_send_after_each_change_are_refused(
    workspace, tmp_path, monkeypatch
):
    workspace.exports.strokes(tmp_path / "s.gpkg")
    before = workspace.drawing
    monkeypatch.setattr(loading, "MOST_CORNERS", 7)
    with pytest.raises(LabelError, match=r"would be 8 corners; the page follows 7 at most"):
        workspace.load(tmp_path / "s.gpkg", add=True)
    assert workspace.drawing == before
    workspace.load(tmp_path / "s.gpkg")
