"""The state of one scene that all open pages share; safe to use from any thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from clusternet.classes.batch import read_profile
from clusternet.errors import ClusterNetError
from clusternet.files.outputs import check_apart
from clusternet.interactive import loading
from clusternet.interactive.areas import Areas, count_areas
from clusternet.interactive.autosave import load_drawing
from clusternet.interactive.exports import Exports
from clusternet.interactive.filling import Filling
from clusternet.interactive.member import Member
from clusternet.interactive.raster_watch import RasterWatch
from clusternet.interactive.saving import Saver
from clusternet.interactive.session import Session
from clusternet.interactive.suggestions import Suggestions
from clusternet.interactive.tasks import Task
from clusternet.interactive.tile_requests import TileRequests
from clusternet.labels.stroke_files import DrawingGrid, read_strokes
from clusternet.labels.strokes import Drawing, Stroke
from clusternet.learning.classifiers import Classifier, Scene
from clusternet.learning.mapping import DEFAULT_SMOOTH, collect_samples, sample_scene
from clusternet.learning.rules import DEFAULT_RULE, fit_rule
from clusternet.learning.stroke_check import StrokeCheck, check_strokes
from clusternet.prediction.feature_cache import scene_folder
from clusternet.prediction.filling import prepare_cache
from clusternet.prediction.scene_lock import lock_scene
from clusternet.raster import one_scene
from clusternet.training.run import load_run
from clusternet.windows import Window

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0  # between checks of the raster file
_CALM_SECONDS = 1.0  # without a change, after which the accuracy is computed
_MOST_SAVE_DELAY = 2.0  # seconds that saving waits for the view to be drawn


class Workspace(Member):
    """The strokes of a scene and its class map, which is fitted anew after each change."""

    def __init__(
        self,
        run_folder: Path,
        raster_path: Path,
        *,
        rule: str = DEFAULT_RULE,
        smooth: int = DEFAULT_SMOOTH,
        cache_folder: Path | None = None,
    ) -> None:
        """Open a scene; `start` computes the features that are missing.

        Raises:
            ClusterNetError: if run and raster do not fit each other, the disk is full, or another
                server works on the scene.
        """
        self.run = load_run(run_folder)
        raster_path = one_scene(raster_path, self.run.bands.scene)
        self.raster_path = raster_path
        self._raster = RasterWatch(raster_path)
        self.profile = read_profile(raster_path, self.run)
        self.folder = scene_folder(run_folder, raster_path, cache_folder)
        check_apart((self.folder,), (raster_path,))
        self.drawing_grid = DrawingGrid.of(self.profile)
        self.rule, self.smooth = rule, smooth
        self._classifier: Classifier | None = None
        self.areas = Areas({}, True)
        self.check: StrokeCheck | None = None
        """How good the map is; None until it is known for the first time."""
        self.checked: tuple[Stroke, ...] = ()
        """The strokes that ``check`` is of."""
        self._saver = Saver(self.folder, self.drawing_grid)
        self._scene: Scene | None = None
        self._fitted_to_all = False
        """False if the last fit may have missed features that were not computed yet."""
        self._suggestions = Suggestions()
        self.exports = Exports(self)
        """Writes what users ask for."""
        self._stop = threading.Event()
        self.tile_requests = TileRequests()
        """Tells whether browsers are fetching tiles."""
        self._threads: list[threading.Thread] = []
        self.lock = lock_scene(self.folder)
        try:
            self.cache, reason = prepare_cache(self.folder, raster_path, self.run)
            super().__init__(load_drawing(self.folder, self.drawing_grid))
            self._fit()
        except BaseException:  # also Ctrl-C: the lock would outlive this object
            self.lock.release()
            raise
        if reason:
            logger.info("%s: features are computed again (%s).", raster_path, reason)
        self.filling = Filling(self.cache, raster_path, self.run.folder)
        """Computes the features that are missing."""

    def start(self) -> None:
        """Start the background threads, which compute features, count areas and save."""
        self._threads = [
            threading.Thread(target=self._work_in_background, name="areas", daemon=True),
            threading.Thread(target=self._fill, name="features", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Ask the background threads and exports to end."""
        self._stop.set()
        self.exports.end()
        self._changed.set()

    @property
    def is_ending(self) -> bool:
        """True once the background threads were asked to end."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Stop the background threads, save the strokes, and unlock the scene."""
        self.end()
        for thread in self._threads:
            thread.join(timeout=60)
        self.save()
        self.lock.release()

    def save(self) -> None:
        """Save the strokes and classes now; ``unsaved`` says why that failed."""
        if self._saver.save(lambda: self.drawing):
            self._mark_changed()

    @property
    def unsaved(self) -> str:
        """Why the last changes are not saved, empty if they are."""
        return self._saver.trouble

    def rescue(self) -> str:
        """Save the strokes elsewhere, as the server ends; see `Saver.rescue`."""
        return self._saver.rescue(self.drawing)

    @property
    def trouble(self) -> str:
        """Why the last changes are not saved or the raster is not the one that was opened."""
        return " ".join(filter(None, (self._raster.trouble, self.unsaved)))

    @property
    def classifier(self) -> Classifier | None:
        """What gives pixels their classes, None before the first stroke."""
        if self._is_stale:
            with self._lock:
                if self._is_stale:  # a view asks from many threads at once
                    self._fit()
        return self._classifier

    @property
    def is_mapped(self) -> bool:
        """True if there is a map, or strokes from which it is still to be fitted."""
        if self._is_stale:
            return any(not stroke.is_check for stroke in self.session.whole.strokes)
        return self._classifier is not None

    def change(self, step: Callable[[Session], object], owner: str = "") -> None:
        """Call ``step(session)`` and update the map; ``owner`` is the page whose step it is.

        Raises:
            ClusterNetError: by ``step``. After this or any other error nothing has changed.
        """
        self.tile_requests.note()
        with self._lock:
            before = self.session.whole
            self.session.owner = owner
            with self.session.whole_or_not_at_all():
                step(self.session)
                now = self.session.whole
                redrawn = now.strokes != before.strokes
                if redrawn:
                    self._fit()
                    self._suggestions.forget()
            self._forget_hidden()
            if self.project is not None and now is not before:
                self.project.changed(self)
            if not redrawn:  # also shown: a step that was taken back without an effect is gone
                self._mark_changed(new_map=now != before)
        self._changed.set()

    def set_smooth(self, smooth: int) -> None:
        """Change the side of the square that smooths the map; 1 shows each pixel's own class."""
        with self._lock:
            if smooth == self.smooth:
                return
            self.smooth = smooth
            self._mark_changed(new_map=True)
        self._changed.set()

    def suggest(self, land_class: int | None = None) -> Window | None:
        """Return where to draw next, see `Suggestions.next`."""
        return self._suggestions.next(self.cache, self.classifier, self.drawing.strokes, land_class)

    def load(
        self,
        path: Path,
        *,
        class_field: str | None = None,
        layer: str | None = None,
        owner: str = "",
        add: bool = False,
        task: Task | None = None,
    ) -> Drawing:
        """Take over the strokes of a file, see `read_strokes`; it can be undone.

        Args:
            path: the file.
            class_field: field that holds the class.
            layer: layer to read.
            owner: the page that can undo it.
            add: add the strokes to those that are there; False replaces these.
            task: told to stop, the file is read and nothing changed.

        Returns:
            the drawing of the file.

        Raises:
            Cancelled: if the task is no longer wanted when the file has been read.
        """
        drawing = read_strokes(
            path, self.drawing_grid, class_field=class_field, layer=layer, most=loading.MOST_STROKES
        )
        if task is not None:
            task.check()

        self.change(
            lambda session: loading.take_file(session, self.tag, path, drawing, add=add), owner
        )
        return drawing

    def whole_map(self) -> tuple[Classifier, Drawing]:
        """Return what gives the map of the whole scene, and the drawing that it is fitted to.

        Raises:
            ClusterNetError: if there is no map yet, or features or the raster are missing.
        """
        self._check_raster()
        with self._lock:
            if self._is_stale or (self.cache.is_complete and not self._fitted_to_all):
                self._fit()  # the last features have only just come
            classifier, drawing = self.classifier, self.drawing
            complete = self._fitted_to_all
        if classifier is None:
            raise ClusterNetError("There is no class map yet; draw a stroke first.")
        if not complete:
            failure = self.filling.progress.message
            later = "Features are still being computed; export when they are there."
            raise ClusterNetError(failure or later)
        return classifier, drawing

    def _fit(self) -> None:
        """Fit the rule to the strokes; if that fails, the map stays as it is."""
        with self._lock:
            complete = self.cache.is_complete  # asked first: windows may come while others are read
            if self.project is None:
                samples = collect_samples(self.cache, self.drawing.strokes)
            else:
                samples, others_complete = self.project.samples()
                complete &= others_complete
            scene = self._scene
            if scene is None or not self._fitted_to_all:
                scene = sample_scene(self.cache)
            found = fit_rule(self.rule, samples, scene) if len(samples.classes) else None
            self._classifier, self._scene, self._fitted_to_all = found, scene, complete
            self._is_stale = False
            self._mark_changed(new_map=True)

    def _fill(self) -> None:
        """Compute the features that are missing, and fit the rule again from time to time."""

        def came(is_due: bool) -> None:
            self._check_raster()
            self._mark_changed()
            if is_due:
                self._fit()
                self._changed.set()
                if self.project is not None and self.drawing.strokes:
                    self.project.changed(self)

        self.filling.run(self._stop.is_set, came)
        self._mark_changed()

    def _work_in_background(self) -> None:
        """After each change, save the strokes, and measure the map."""
        self._changed.set()
        while not self._stop.is_set():
            if not self._changed.wait(_LOOK_SECONDS):
                self._look_at_raster()
                if self.unsaved:
                    self.save()
                continue
            self.tile_requests.wait_until_quiet(_MOST_SAVE_DELAY, self._stop)
            self._changed.clear()
            self.save()
            self._look_at_raster()
            if not self.is_watched:
                continue
            try:
                self._measure()
            except Exception:  # this thread must live on to save later changes
                logger.exception("Areas or accuracy cannot be computed; please report this.")

    def _look_at_raster(self) -> None:
        if self._raster.look():
            self._mark_changed()

    def _check_raster(self) -> None:
        self._look_at_raster()
        if self._raster.trouble:
            raise ClusterNetError(self._raster.trouble)

    def _measure(self) -> None:
        """Estimate the areas, compute how good the map is, then count the areas exactly."""
        for areas in count_areas(
            self.cache, self.classifier, self.smooth,
            is_ending=self._stop.is_set, is_overtaken=self._is_overtaken,
        ):  # fmt: skip
            self.areas = areas
            self._mark_changed()
            self._check_strokes()  # before the exact count, which may take seconds

    def _check_strokes(self) -> None:
        strokes, scene = self.drawing.strokes, self._scene
        if scene is None or (strokes is self.checked and self._fitted_to_all):
            return
        if self._changed.wait(_CALM_SECONDS):
            return  # the next stroke must not wait for a fit to the last ones
        found = check_strokes(
            self.cache, self.profile, strokes, self.rule, scene, stop=self._is_overtaken
        )
        if found is not None:
            self.check, self.checked = found, strokes
            self._mark_changed()

    def _is_overtaken(self) -> bool:
        """Wait while the view is drawn, then tell whether areas need not be counted on."""
        self.tile_requests.wait_until_quiet(1.0, self._stop)
        return self._changed.is_set() or self._stop.is_set()
