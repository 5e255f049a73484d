"""Class maps, polygons and legends from strokes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clusternet.classes.polygons import PolygonOptions, write_class_polygons
from clusternet.files.outputs import KIND_TAG
from clusternet.labels.drawn import stroke_tags
from clusternet.labels.origins import origin_tags
from clusternet.labels.rasterization import map_type
from clusternet.labels.strokes import Stroke
from clusternet.learning.classifiers import Classifier
from clusternet.learning.mapping import count_clusters
from clusternet.learning.streaming import Certainties, Windows
from clusternet.legend.land_classes import LandClass
from clusternet.legend.legend import Legend, LegendRow, write_legend
from clusternet.prediction.feature_cache import FeatureCache
from clusternet.prediction.map_states import RUN_TAG
from clusternet.prediction.quantiser import LEVELS
from clusternet.processes.progress import Progress
from clusternet.raster import MapForm, RasterProfile, create_map
from clusternet.training.run import Run
from clusternet.types import NO_CLASS

NO_LEVEL = LEVELS + 1
"""Nodata in maps of certainty."""


@dataclass(frozen=True)
class Export:
    """The paths of a class map and of what is written beside it."""

    output: Path
    """The class map, a GeoTIFF."""
    polygons: Path | None = None
    """A GeoPackage."""
    legend: Path | None = None
    """The class of each cluster, as tools/clusters2classes.py --legend takes it."""
    certainty: Path | None = None
    """How certain the class of each pixel is, a GeoTIFF."""
    table: Path | None = None
    """Strokes, pixels and area of each class, as CSV."""
    polygon_options: PolygonOptions = field(default_factory=PolygonOptions)
    """How polygons are cleaned."""
    overwrite: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that are written."""
        wanted = (self.output, self.polygons, self.legend, self.certainty, self.table)
        return tuple(path for path in wanted if path is not None)


def write_class_map(
    path: Path,
    grid: RasterProfile,
    windows: Windows,
    classes: Mapping[int, LandClass],
    run: str,
    *,
    labels: Iterable[Path] = (),
    strokes: Iterable[Stroke] = (),
    overwrite: bool = False,
) -> dict[int, int]:
    """Write a class map on the grid of its raster and return the pixels of each class.

    The map states its run, and the files of labels or the strokes that it is made from.
    """
    dtype, nodata = map_type(max(classes))
    colours = np.zeros((max(classes) + 1, 3), np.uint8)
    for number, land_class in classes.items():
        colours[number] = land_class.colour
    names = [classes[n].name if n in classes else "" for n in range(max(classes) + 1)]
    counts = np.zeros(max(classes) + 1, np.int64)
    rows, cols = grid.shape
    tags = {KIND_TAG: "classes", RUN_TAG: run, **origin_tags(labels, path)}
    tags |= stroke_tags(strokes, grid.transform)
    form = MapForm(dtype, nodata=nodata, colours=colours, names=names, tags=tags)
    with create_map(path, grid, form, overwrite=overwrite) as writer:
        with Progress(total=rows * cols, desc="class map", unit="px", unit_scale=True) as bar:
            for window, values in windows:
                valid = values != NO_CLASS
                counts += np.bincount(values[valid], minlength=len(counts))
                writer.write(window, np.where(valid, values, nodata).astype(dtype))
                bar.update(values.size)
    return {number: int(counts[number]) for number in classes}


def write_certainty(
    path: Path,
    grid: RasterProfile,
    windows: Certainties,
    run: str,
    *,
    overwrite: bool = False,
) -> None:
    """Write how certain the class of each pixel is, on the grid of its raster.

    0 is undecided between two classes, 254 is certain, 255 is nodata. As on the page, it is that
    of each pixel by itself, before the map is smoothed.
    """
    rows, cols = grid.shape
    tags = {KIND_TAG: "certainty", RUN_TAG: run}
    form = MapForm(nodata=NO_LEVEL, tags=tags, overview_method="average")
    with create_map(path, grid, form, overwrite=overwrite) as writer:
        with Progress(total=rows * cols, desc="certainty", unit="px", unit_scale=True) as bar:
            for window, values in windows:
                levels = np.rint(np.nan_to_num(values) * LEVELS)
                writer.write(window, np.where(np.isnan(values), NO_LEVEL, levels).astype(np.uint8))
                bar.update(values.size)


def make_legend(cache: FeatureCache, classifier: Classifier, classes: Mapping[int, LandClass],
                run: Run) -> Legend:  # fmt: skip
    """Return the class that most pixels of each cluster have, for clusters that occur."""
    numbers, counts = count_clusters(cache, classifier)
    rows = []
    for cluster in np.flatnonzero(counts.sum(axis=1)).tolist():
        best = int(counts[cluster].argmax())
        votes = int(counts[cluster].sum())
        share = float(counts[cluster, best] / votes)
        rows.append(LegendRow(cluster, classes[int(numbers[best])], votes, share))
    return Legend(tuple(rows), run.stored.identity)


def write_sides(export: Export, legend: Legend | None, classes: Mapping[int, LandClass]) -> None:
    """Write the polygons and the legend that were asked for; the class map must exist."""
    if export.polygons is not None:
        write_class_polygons(
            export.polygons, [export.output], classes, export.polygon_options,
            overwrite=export.overwrite,
        )  # fmt: skip
    if export.legend is not None and legend is not None:
        write_legend(export.legend, legend, overwrite=export.overwrite)
