"""What a scene's page writes for its user: class map, polygons, legend, strokes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from clusternet.classes.export import (
    Export,
    make_legend,
    write_class_map,
    write_sides,
)
from clusternet.labels.stroke_files import write_strokes
from clusternet.learning.streaming import cached_windows
from clusternet.legend.legend import write_legend

if TYPE_CHECKING:
    from clusternet.interactive.workspace import Workspace


class Exports:
    """The exports of a workspace, one at a time: two pages may ask for the same file."""

    def __init__(self, workspace: Workspace) -> None:
        """Export from a workspace."""
        self._workspace = workspace
        self._lock = threading.Lock()

    def strokes(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the strokes as GeoPackage or GeoJSON."""
        workspace = self._workspace
        with self._lock:
            write_strokes(path, workspace.drawing, workspace.drawing_grid, overwrite=overwrite)

    def class_map(self, export: Export) -> dict[int, int]:
        """Write the class map of the whole scene, and the other files that ``export`` names.

        Returns:
            the pixels of each class.

        Raises:
            ClusterNetError: if there is no map yet, or it cannot be written.
        """
        workspace = self._workspace
        classifier, classes = workspace.whole_map()
        windows = cached_windows(workspace.cache, classifier, workspace.smooth)
        with self._lock:
            counts = write_class_map(
                export.output, workspace.profile, windows, classes, workspace.run.stored.identity,
                overwrite=export.overwrite,
            )  # fmt: skip
            write_sides(export, None, classes)
        if export.legend is not None:
            self.legend(export.legend, overwrite=export.overwrite)
        return counts

    def legend(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the class of each cluster as a legend; errors as of `class_map`."""
        workspace = self._workspace
        classifier, classes = workspace.whole_map()
        legend = make_legend(workspace.cache, classifier, classes, workspace.run)
        with self._lock:
            write_legend(path, legend, overwrite=overwrite)
