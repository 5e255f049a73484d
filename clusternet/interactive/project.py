"""Several scenes of one run that share their classes, and are learned from together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from clusternet.classes.batch import LazyPredictor
from clusternet.classes.export import Export
from clusternet.interactive.scene_session import SceneSession
from clusternet.interactive.session import Session
from clusternet.interactive.tasks import Task
from clusternet.interactive.workspace import Workspace
from clusternet.labels.class_changes import add_drawing
from clusternet.labels.strokes import Drawing
from clusternet.learning.classifiers import Samples
from clusternet.learning.mapping import collect_project_samples

_LOOK_EVERY = 0.5  # seconds between looks whether the features of a scene have come


class Project:
    """The scenes of one run that a server shows."""

    def __init__(self, scenes: Sequence[Workspace], run: Path) -> None:
        """Let scenes share their classes; their saved strokes are kept.

        Args:
            scenes: opened, each with its own strokes.
            run: run folder.
        """
        self.scenes = tuple(scenes)
        self.session = Session(self._united())
        self.lock = threading.RLock()  # of all scenes: they share strokes
        turn, predictor = threading.Lock(), LazyPredictor(run)
        for scene in self.scenes:
            scene.filling.take_turns(turn, predictor)
            scene.join(self, SceneSession(self.session, scene.key))

    def _united(self) -> Drawing | None:
        """Return the drawings of all scenes as one; classes of the same name are one class."""
        whole: Drawing | None = None
        for scene in self.scenes:
            if not scene.has_saved:
                continue
            tagged = replace(
                scene.drawing,
                strokes=tuple(replace(s, scene=scene.key) for s in scene.drawing.strokes),
            )
            if whole is not None:
                every_fifth = whole.every_fifth or tagged.every_fifth
                tagged = replace(add_drawing(whole, tagged), every_fifth=every_fifth)
            whole = tagged
        return whole

    def samples(self) -> tuple[Samples, bool]:
        """Return the pixels under the strokes of all scenes, and whether all have features."""
        drawn = [scene for scene in self.scenes if scene.drawing.strokes]
        complete = all(scene.cache.is_complete for scene in drawn)
        pairs = [(scene.cache, scene.drawing.strokes) for scene in drawn or self.scenes[:1]]
        return collect_project_samples(pairs), complete

    def changed(self, by: Workspace) -> None:
        """Tell the other scenes that strokes or classes have changed."""
        for scene in self.scenes:
            if scene is not by:
                scene.note_change()

    def export_all(self, task: Task) -> list[Path]:
        """Write the class maps of all scenes, each into its own folder.

        Features that are missing are waited for.

        Raises:
            ClusterNetError: if a map cannot be written; those before it stay.
            Cancelled: if the task is no longer wanted, or the server ends.
        """
        for number, scene in enumerate(self.scenes, 1):  # first all: each map is learned from all
            self._await_features(scene, f"scene {number} of {len(self.scenes)}", task)
        written = [scene.exports.path("map") for scene in self.scenes]
        for scene, path in zip(self.scenes, written, strict=True):
            scene.exports.class_map(Export(path, overwrite=True), task)
        return written

    def _await_features(self, scene: Workspace, name: str, task: Task) -> None:
        while not scene.cache.is_complete and not scene.filling.progress.message:
            progress = scene.filling.progress
            task.begin(f"Features of {name} ...", progress.total)
            task.done = progress.done
            if scene.is_ending:
                task.cancel()
            task.wait(_LOOK_EVERY)
