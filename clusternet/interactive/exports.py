"""What a scene's page writes for its user: maps, polygons, tables, strokes."""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

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
from clusternet.learning.streaming import cached_certainty, cached_windows
from clusternet.legend.class_files import write_class_file
from clusternet.legend.legend import write_legend

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


class Exports:
    """The exports of a workspace, one at a time: two pages may ask for the same file."""

    def __init__(self, workspace: Workspace) -> None:
        """Export from a workspace."""
        self._workspace = workspace
        self._lock = threading.Lock()

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
        kinds = [what for what in FILES if what in wanted]
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
                if task is not None:
                    task.begin(f"Writing {self.path(what).name} ...")
                getattr(self, what)(self.path(what), overwrite=True)
        return [self.path(what) for what in kinds]

    def strokes(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the strokes as GeoPackage or GeoJSON."""
        workspace = self._workspace
        with self._lock:
            write_strokes(path, workspace.drawing, workspace.drawing_grid, overwrite=overwrite)

    def classes(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the classes with their names and colours, in their order, as CSV."""
        with self._lock:
            write_class_file(path, self._workspace.drawing.classes, overwrite=overwrite)

    def class_map(self, export: Export, task: Task | None = None) -> dict[int, int]:
        """Write the class map of the whole scene, and the other files that ``export`` names.

        Args:
            export: the files to write.
            task: told how far it is; cancelled, it leaves no file half-written.

        Returns:
            the pixels of each class.

        Raises:
            ClusterNetError: if there is no map yet, or it cannot be written.
            Cancelled: if the task is no longer wanted.
        """
        workspace, drawing = self._workspace, self._workspace.drawing
        task = task or Task("")
        classifier, classes = workspace.whole_map()
        windows = cached_windows(workspace.cache, classifier, workspace.smooth)
        with self._lock:
            rows, cols = workspace.profile.shape
            task.begin(f"Writing {export.output.name} ...", rows * cols)
            windows = task.follow(windows, lambda pair: pair[1].size)
            counts = write_class_map(
                export.output, workspace.profile, windows, classes, workspace.run.stored.identity,
                strokes=drawing.strokes, overwrite=export.overwrite,
            )  # fmt: skip
            if export.polygons is not None:
                task.begin(f"Writing {export.polygons.name} ...")
            write_sides(export, None, classes)
            if export.table is not None:
                write_class_table(
                    export.table, drawing, counts, workspace.profile.pixel_area_ha,
                    overwrite=export.overwrite,
                )  # fmt: skip
        if export.legend is not None:
            self.legend(export.legend, overwrite=export.overwrite)
        if export.certainty is not None:
            self.certainty(export.certainty, overwrite=export.overwrite)
        return counts

    def certainty(self, path: Path, *, overwrite: bool = False) -> None:
        """Write how certain the class of each pixel is; errors as of `class_map`."""
        workspace = self._workspace
        classifier, _ = workspace.whole_map()
        with self._lock:
            write_certainty(
                path, workspace.profile, cached_certainty(workspace.cache, classifier),
                workspace.run.stored.identity, overwrite=overwrite,
            )  # fmt: skip

    def legend(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the class of each cluster as a legend; errors as of `class_map`."""
        workspace = self._workspace
        classifier, classes = workspace.whole_map()
        legend = make_legend(workspace.cache, classifier, classes, workspace.run)
        with self._lock:
            write_legend(path, legend, overwrite=overwrite)
