"""What a scene's page writes for its user: maps, polygons, tables, strokes."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clusternet.classes.class_table import write_class_table
from clusternet.classes.export import (
    Export,
    make_legend,
    write_certainty,
    write_class_map,
    write_sides,
)
from clusternet.classes.polygons import PolygonOptions
from clusternet.errors import ClusterNetError
from clusternet.interactive.tasks import Task
from clusternet.labels.stroke_files import write_strokes
from clusternet.labels.strokes import Drawing
from clusternet.learning.classifiers import Classifier
from clusternet.learning.streaming import cached_certainty, cached_windows
from clusternet.legend.class_files import write_class_file
from clusternet.legend.legend import write_legend
from clusternet.types import AnyArray
from clusternet.windows import Window

if TYPE_CHECKING:
    from clusternet.interactive.workspace import Workspace

FILES = {
    "map": ("Class map (GeoTIFF)", "classes.tif"),
    "certainty": ("Certainty of each pixel (GeoTIFF)", "certainty.tif"),
    "polygons": ("Polygons (GeoPackage)", "polygons.gpkg"),
    "table": ("Table of classes (CSV)", "table.csv"),
    "legend": ("Legend, cluster to class (CSV)", "legend.csv"),
    "strokes": ("Strokes (GeoPackage)", "strokes.gpkg"),
    "classes": ("Class list with colours (CSV)", "class_list.csv"),
}
"""What can be written: how it is called, and the end of its file's name."""
_OF_MAP = ("map", "polygons", "table")
_OF_CLASSIFIER = (*_OF_MAP, "certainty", "legend")
_LOOK_SECONDS = 0.2  # between looks whether an export that waits for its turn is still wanted
_Array = TypeVar("_Array", bound=AnyArray)


class Exports:
    """The exports of a workspace, one at a time: two pages may ask for the same file."""

    def __init__(self, workspace: Workspace) -> None:
        """Export from a workspace."""
        self._workspace = workspace
        self._lock = threading.RLock()  # what holds it calls what takes it, too
        self._running: Task | None = None
        self._found: tuple[Classifier, Drawing] | None = None

    @contextmanager
    def turn(self, task: Task) -> Iterator[None]:
        """Let nothing else be written in the block; what others are writing is waited for.

        Raises:
            Cancelled: if the task is no longer wanted before its turn.
        """
        while not self._lock.acquire(timeout=_LOOK_SECONDS):
            task.begin("Waiting for another export ...")
        before, self._running = self._running, task
        if self._workspace.is_ending:
            task.cancel()
        try:
            yield
        finally:
            self._running = before
            self._lock.release()

    def end(self) -> None:
        """Cancel what is being written, as the server ends."""
        running = self._running
        if running is not None:
            running.cancel()

    def path(self, what: str) -> Path:
        """Return where a file is written, see `FILES`."""
        workspace = self._workspace
        return workspace.folder / "exports" / f"{workspace.raster_path.stem}_{FILES[what][1]}"

    def write(
        self,
        wanted: Collection[str],
        options: PolygonOptions | None = None,
        task: Task | None = None,
    ) -> list[Path]:
        """Write files into the folder of the scene, in place of earlier ones.

        Args:
            wanted: keys of `FILES`. Polygons and the table are made from the class map, which is
                then written, too.
            options: how polygons are cleaned.
            task: told how far it is; cancelled, it leaves no file half-written.

        Returns:
            the files that were written.

        Raises:
            ClusterNetError: if nothing is wanted, there is no map yet, or writing fails.
        """
        if not wanted:
            raise ClusterNetError("Choose at least one file.")
        task = task or Task("")
        kinds = [what for what in FILES if what in wanted]
        with self.turn(task), self._held(kinds):
            if set(kinds) & set(_OF_MAP):
                polygons, table = (
                    self.path(what) if what in wanted else None for what in ("polygons", "table")
                )
                self.class_map(
                    Export(self.path("map"), polygons, table=table, overwrite=True,
                           polygon_options=options or PolygonOptions()),
                    task,
                )  # fmt: skip
                kinds = ["map", *(what for what in kinds if what != "map")]
            for what in kinds:
                if what not in _OF_MAP:
                    task.begin(f"Writing {self.path(what).name} ...")
                    getattr(self, what)(self.path(what), overwrite=True, task=task)
        return [self.path(what) for what in kinds]

    @contextmanager
    def _held(self, kinds: Collection[str]) -> Iterator[None]:
        """Write one state of the map and strokes in the block, whatever is drawn meanwhile."""
        if set(kinds) & set(_OF_CLASSIFIER):
            self._found = self._workspace.whole_map()
        try:
            yield
        finally:
            self._found = None

    def _whole_map(self) -> tuple[Classifier, Drawing]:
        return self._found or self._workspace.whole_map()

    def _drawing(self) -> Drawing:
        return self._found[1] if self._found else self._workspace.drawing

    def strokes(self, path: Path, *, overwrite: bool = False, task: Task | None = None) -> None:
        """Write the strokes as GeoPackage or GeoJSON."""
        with self._writing(task):
            grid = self._workspace.drawing_grid
            write_strokes(path, self._drawing(), grid, overwrite=overwrite)

    def classes(self, path: Path, *, overwrite: bool = False, task: Task | None = None) -> None:
        """Write the classes with their names and colours, in their order, as CSV."""
        with self._writing(task):
            write_class_file(path, self._drawing().classes, overwrite=overwrite)

    @contextmanager
    def _writing(self, task: Task | None) -> Iterator[Task]:
        """Take the turn for one file, which counts as written at the end of the block."""
        task = task or Task("")
        with self.turn(task):
            yield task
            task.num_written += 1

    def class_map(self, export: Export, task: Task | None = None) -> dict[int, int]:
        """Write the class map of the whole scene, and polygons and table if ``export`` names them.

        Args:
            export: the files to write.
            task: told how far it is; cancelled, it leaves no file half-written.

        Returns:
            the pixels of each class.

        Raises:
            ClusterNetError: if there is no map yet, or it cannot be written.
            Cancelled: if the task is no longer wanted.
        """
        workspace, task = self._workspace, task or Task("")
        with self.turn(task):
            classifier, drawing = self._whole_map()
            classes = {c.number: c for c in drawing.classes}
            windows = cached_windows(workspace.cache, classifier, workspace.smooth)
            with self._writing(task):
                counts = write_class_map(
                    export.output, workspace.profile, self._followed(windows, export.output, task),
                    classes, workspace.run.stored.identity, strokes=drawing.strokes,
                    overwrite=export.overwrite,
                )  # fmt: skip
            if export.polygons is not None:
                task.begin(f"Writing {export.polygons.name} ...")
                with self._writing(task):
                    write_sides(export, None, classes)
            if export.table is not None:
                with self._writing(task):
                    write_class_table(
                        export.table, drawing, counts, workspace.profile.pixel_area_ha,
                        overwrite=export.overwrite,
                    )  # fmt: skip
        return counts

    def _followed(
        self, windows: Iterable[tuple[Window, _Array]], path: Path, task: Task
    ) -> Iterator[tuple[Window, _Array]]:
        """Yield windows, and tell the task how much of the scene they cover."""
        rows, cols = self._workspace.profile.shape
        task.begin(f"Writing {path.name} ...", rows * cols)
        return task.follow(windows, lambda pair: pair[1].size)

    def certainty(self, path: Path, *, overwrite: bool = False, task: Task | None = None) -> None:
        """Write how certain the class of each pixel is; errors as of `class_map`."""
        workspace = self._workspace
        with self._writing(task) as task:
            classifier, _ = self._whole_map()
            windows = cached_certainty(workspace.cache, classifier)
            write_certainty(
                path, workspace.profile, self._followed(windows, path, task),
                workspace.run.stored.identity, overwrite=overwrite,
            )  # fmt: skip

    def legend(self, path: Path, *, overwrite: bool = False, task: Task | None = None) -> None:
        """Write the class of each cluster as a legend; errors as of `class_map`."""
        workspace = self._workspace
        with self._writing(task):
            classifier, drawing = self._whole_map()
            classes = {c.number: c for c in drawing.classes}
            legend = make_legend(workspace.cache, classifier, classes, workspace.run)
            write_legend(path, legend, overwrite=overwrite)
