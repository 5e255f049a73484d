"""Several scenes of one run that share classes and are learned from together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from interactive_scene import SHAPE, fill_cache_with_colours, make_run, make_scene, truth

from clusternet.errors import SettingsError
from clusternet.interactive import saving
from clusternet.interactive import workspace as workspace_module
from clusternet.interactive.app import PageOptions, serve
from clusternet.interactive.project import Project
from clusternet.interactive.session import Session
from clusternet.interactive.tasks import Cancelled, Task
from clusternet.interactive.workspace import Workspace
from clusternet.labels.class_changes import merge_class
from clusternet.labels.strokes import Stroke, make_line
from clusternet.learning.mapping import classify
from clusternet.windows import Window


def open_both(folder: Path) -> tuple[Workspace, Workspace]:
    scenes = tuple(Workspace(folder / "run", folder / f"{name}.tif") for name in "ab")
    Project(scenes, folder / "run")
    return scenes[0], scenes[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a run and two rasters, whose features are there."""
    run = make_run(tmp_path)
    for name in "ab":
        fill_cache_with_colours(run, make_scene(tmp_path, f"{name}.tif"))
    return tmp_path


@pytest.fixture
def scenes(folder: Path) -> Iterator[tuple[Workspace, Workspace]]:
    """Two scenes of one project."""
    opened = open_both(folder)
    yield opened
    for scene in opened:
        scene.stop()


def draw(scene: Workspace, number: int, col: int, owner: str = "") -> None:
    stroke = Stroke(make_line([(col, 30), (col + 40, 60)]), number, 3, scene=scene.tag)
    scene.change(lambda session: session.draw(stroke), owner)


def class_map(scene: Workspace) -> np.ndarray:
    return classify(scene.cache, scene.classifier, Window(0, 0, *SHAPE))


def test_strokes_of_one_scene_classify_the_others(scenes):
    first, second = scenes
    draw(first, 1, 30)
    draw(second, 2, 200)
    assert len(first.drawing.strokes) == len(second.drawing.strokes) == 1
    for scene in scenes:
        found = class_map(scene)
        assert (found[:-10][truth()[:-10] == 0] == 1).mean() > 0.99
        assert (found[:-10][truth()[:-10] == 1] == 2).mean() > 0.99


def test_classes_are_shared_and_each_scene_keeps_its_strokes_on_disk(scenes, folder):
    first, second = scenes
    first.change(lambda session: session.change_class(1, name="meadow"))
    assert second.drawing.find(1).name == "meadow"
    draw(first, 1, 30)
    draw(second, 1, 60)
    draw(second, 2, 200)
    for scene in scenes:
        scene.stop()
    again = open_both(folder)
    assert [len(scene.drawing.strokes) for scene in again] == [1, 2]
    assert [c.name for c in again[0].drawing.classes] == ["meadow", "class 2"]
    assert again[0].drawing.classes == again[1].drawing.classes
    alone = [scene.classifier for scene in scenes]
    for scene, classifier in zip(again, alone, strict=True):  # bitwise the same after a restart
        whole = Window(0, 0, *SHAPE)
        np.testing.assert_array_equal(class_map(scene), classify(scene.cache, classifier, whole))
    for scene in again:
        scene.stop()


def test_a_removed_class_takes_its_strokes_on_all_scenes_and_undo_brings_all_back(scenes):
    first, second = scenes
    draw(first, 2, 30, "tab")
    draw(second, 2, 30, "tab")
    second.change(lambda session: session.remove_class(2), "tab")
    assert not first.drawing.strokes and not second.drawing.strokes
    first.change(Session.undo, "tab")
    assert len(first.drawing.strokes) == len(second.drawing.strokes) == 1
    first.change(Session.undo, "tab")  # the last stroke was on the other scene
    assert len(first.drawing.strokes) == 1 and not second.drawing.strokes


def test_eraser_and_clear_touch_one_scene(scenes):
    first, second = scenes
    draw(first, 1, 30)
    draw(second, 1, 30)
    rubber = Stroke(make_line([(0, 45), (100, 45)]), 0, 80)
    first.change(lambda session: session.rub_out(rubber))
    assert not first.drawing.strokes and len(second.drawing.strokes) == 1
    draw(first, 2, 200)
    second.change(Session.clear)
    assert len(first.drawing.strokes) == 1 and not second.drawing.strokes


def test_scenes_that_were_drawn_on_alone_keep_their_classes_by_name(folder):
    for name, classes in (("a", ("water", "road")), ("b", ("road", "roof"))):
        scene = Workspace(folder / "run", folder / f"{name}.tif")
        for number, text in enumerate(classes, 1):
            scene.change(lambda session, n=number, t=text: session.change_class(n, name=t))
        draw(scene, 1, 30)
        scene.stop()
    scenes = open_both(folder)
    names = {c.number: c.name for c in scenes[0].drawing.classes}
    assert sorted(names.values()) == ["road", "roof", "water"]
    assert [names[s.drawing.strokes[0].land_class] for s in scenes] == ["water", "road"]
    for scene in scenes:
        scene.stop()


def test_maps_of_all_scenes_are_written_and_can_be_cancelled(scenes):
    draw(scenes[0], 1, 30)
    draw(scenes[1], 2, 200)
    task = Task("Writing ...")
    written = scenes[0].project.export_all(task)
    assert [path.name for path in written] == ["a_classes.tif", "b_classes.tif"]
    for path, scene in zip(written, scenes, strict=True):
        with rasterio.open(path) as dataset:
            assert set(np.unique(dataset.read(1))) == {1, 2, 255}
        path.unlink()
        assert path.parent.parent == scene.folder
    task.cancel()
    with pytest.raises(Cancelled):
        scenes[0].project.export_all(task)
    assert not any(path.exists() for path in written)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_areas_are_counted_of_the_scene_that_a_page_shows(scenes):
    first, second = scenes
    for scene in scenes:
        scene.start()
    first.show_to(True)
    draw(first, 1, 30)
    until(lambda: bool(first.areas.counts))
    assert not second.areas.counts
    second.show_to(True)
    until(lambda: bool(second.areas.counts))


def test_pages_of_two_scenes_can_change_strokes_at_once(scenes):
    from threading import Thread

    def change(scene: Workspace) -> None:
        for col in range(20, 120, 10):
            draw(scene, 1, col)

    threads = [Thread(target=change, args=(scene,)) for scene in scenes for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [len(scene.drawing.strokes) for scene in scenes] == [20, 20]


def test_raster_that_is_named_twice_is_refused(folder):
    pytest.importorskip("nicegui", reason="pip install -e '.[interactive]' for the page")
    twice = [folder / "a.tif", folder / "run" / ".." / "a.tif"]
    with pytest.raises(SettingsError, match=r"a.tif: named twice"):
        serve(folder / "run", twice, PageOptions(port=0, browser=False))


def test_merged_classes_are_merged_on_all_scenes(scenes):
    first, second = scenes
    draw(second, 1, 30)
    first.change(lambda session: session.change_whole(lambda whole: merge_class(whole, 1, 2)))
    assert [stroke.land_class for stroke in second.drawing.strokes] == [2]
    assert [c.number for c in second.drawing.classes] == [2]


def test_strokes_of_a_file_replace_those_of_one_scene_and_change_no_class_of_another(
    scenes, tmp_path
):
    first, second = scenes
    first.change(lambda session: session.change_class(1, name="water"))
    draw(first, 1, 30)
    draw(second, 1, 30)
    draw(second, 2, 200)
    first.exports.strokes(tmp_path / "strokes.gpkg")
    first.change(lambda session: session.change_class(1, name="lake"))
    first.load(tmp_path / "strokes.gpkg")
    names = {c.number: c.name for c in second.drawing.classes}
    assert [names[s.land_class] for s in second.drawing.strokes] == ["lake", "class 2"]
    assert [names[s.land_class] for s in first.drawing.strokes] == ["water"]


def test_a_stroke_is_saved_on_its_scene_only_and_a_class_on_all(scenes, monkeypatch):
    saved = []
    monkeypatch.setattr(saving, "save_drawing", lambda folder, *_: saved.append(folder.name[0]))
    for scene in scenes:
        scene.save()
    draw(scenes[0], 1, 30)
    for scene in scenes:
        scene.save()
    assert saved == ["a", "b", "a"]
    scenes[0].change(Session.add_class)
    for scene in scenes:
        scene.save()
    assert saved[3:] == ["a", "b"]


def test_the_rule_is_fitted_once_however_many_tiles_are_asked_for(scenes, monkeypatch):
    first, second = scenes
    draw(first, 1, 30)
    fits = []
    fit = workspace_module.fit_rule

    def slowly(*arguments: object) -> object:
        fits.append(arguments)
        time.sleep(0.05)
        return fit(*arguments)

    monkeypatch.setattr(workspace_module, "fit_rule", slowly)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: second.classifier, range(8)))
    assert len(fits) == 1 and len(set(map(id, found))) == 1


def test_maps_of_all_scenes_wait_until_the_features_of_all_are_there(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    first, second = (make_scene(tmp_path, f"{name}.tif") for name in "ab")
    fill_cache_with_colours(run, first)
    scenes = open_both(tmp_path)
    for scene in scenes:
        draw(scene, 1, 30)
    task = Task("Writing ...")
    monkeypatch.setattr(task, "wait", lambda seconds: fill_cache_with_colours(run, second))
    assert all(path.exists() for path in scenes[0].project.export_all(task))
    for scene in scenes:
        scene.stop()


def test_features_are_not_waited_for_when_the_server_ends(tmp_path):
    make_run(tmp_path)
    for name in "ab":
        make_scene(tmp_path, f"{name}.tif")
    scenes = open_both(tmp_path)
    for scene in scenes:
        scene.end()
    with pytest.raises(Cancelled):
        scenes[0].project.export_all(Task("Writing ..."))
    for scene in scenes:
        scene.stop()


def test_strokes_are_held_back_on_all_scenes_also_after_a_restart(scenes, folder):
    def checks(some: tuple[Workspace, ...]) -> list[int]:
        return [sum(stroke.is_check for stroke in s.drawing.strokes) for s in some]

    first, second = scenes
    for row in range(5):
        draw(second, 1, 20 * row)
    draw(first, 1, 30)
    first.change(Session.hold_back_every_fifth)
    assert checks(scenes) == [0, 1]
    for scene in scenes:
        scene.stop()
    again = open_both(folder)
    assert again[0].drawing.every_fifth and checks(again) == [0, 1]
    again[0].change(Session.hold_back_none)
    assert checks(again) == [0, 0]
    for scene in again:
        scene.stop()


def test_whether_there_is_a_map_is_known_without_fitting_it(scenes, monkeypatch):
    first, second = scenes
    draw(first, 1, 30)
    monkeypatch.setattr(second, "_fit", lambda: 1 / 0)
    assert second.is_mapped
    first.change(Session.clear)
    assert not second.is_mapped
