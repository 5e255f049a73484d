"""What all open pages of a scene share, without a browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas
import pytest
import shapely
from interactive_scene import fill_cache_with_colours, make_run, make_scene

from clusternet.classes.export import Export
from clusternet.errors import OutputError
from clusternet.interactive import saving
from clusternet.interactive import workspace as workspace_module
from clusternet.interactive.autosave import load_drawing
from clusternet.interactive.session import Session
from clusternet.interactive.workspace import Workspace
from clusternet.labels.strokes import Stroke, make_line
from clusternet.legend.legend import read_legend


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
        patch.setattr(workspace_module.LazyPredictor, "get", fail)
        opened = Workspace(run, raster)
        opened.start()
        until(lambda: opened.progress.message != "")
        opened.stop()
    assert opened.progress.message == "Features cannot be computed: memory ran out: too small"


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
    workspace.export_legend(tmp_path / "out" / "legend.csv")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["legend.csv"]
    assert read_legend(tmp_path / "out" / "legend.csv").lookup()[:2].tolist() == [1, 2]


def test_exports_asked_for_at_once_all_succeed(workspace, tmp_path):
    failures: list[BaseException] = []

    def export() -> None:
        try:
            target = tmp_path / "out"
            workspace.export(Export(target / "c.tif", polygons=target / "c.gpkg", overwrite=True))
            workspace.save(target / "s.gpkg", overwrite=True)
            workspace.export_legend(target / "l.csv", overwrite=True)
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
    threads = [threading.Thread(target=workspace._save) for _ in range(6)]
    for thread in threads:
        thread.start()
    workspace.change(Session.add_class)
    for thread in threads:
        thread.join()
    workspace._save()
    assert workspace.trouble == ""
    assert (
        load_drawing(workspace.folder, workspace.drawing_grid).classes == workspace.drawing.classes
    )


def test_a_fault_while_areas_are_counted_does_not_stop_the_saving(workspace, monkeypatch, caplog):
    saved = []
    monkeypatch.setattr(
        saving, "save_drawing", lambda folder, drawing, place: saved.append(drawing)
    )
    monkeypatch.setattr(workspace, "_count_areas", lambda: 1 / 0)
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
