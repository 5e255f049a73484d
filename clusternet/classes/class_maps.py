"""Output paths of class maps, their legend and polygons, and the functions that write them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clusternet.classes.map_page import PAGE, check_page, write_page
from clusternet.classes.polygons import PolygonOptions, check_new_polygons, write_class_polygons
from clusternet.errors import LabelError, OutputError
from clusternet.files.outputs import (
    KIND_TAG,
    check_apart,
    check_distinct,
    check_new,
    check_open_folder,
    check_writable,
)
from clusternet.labels.origins import origin_tags, read_origins
from clusternet.labels.rasterization import map_type
from clusternet.legend.land_classes import LandClass
from clusternet.legend.legend import LEGEND_FILE, Legend, write_legend
from clusternet.prediction.cluster_maps import ClusterMap, read_clusters
from clusternet.prediction.map_states import RUN_TAG
from clusternet.processes.progress import Progress
from clusternet.raster import MapForm, check_new_map, create_map, inner_paths
from clusternet.raster.opening import open_dataset
from clusternet.training.run_files import LEGEND

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassOutputs:
    """What is written for a set of cluster maps."""

    targets: tuple[Path, ...]
    """The class maps, in the order of the cluster maps."""
    legend: Path
    """The legend beside them."""
    polygons: Path | None
    """The GeoPackage, if one was asked for."""
    keeps_legend: bool
    """True if the given legend is the output legend, which is then not written again."""
    overwrite: bool

    @classmethod
    def of(
        cls,
        cluster_maps: Sequence[ClusterMap],
        source: Path,
        folder: Path,
        polygons: Path | None,
        *,
        given: Path | None,
        overwrite: bool,
    ) -> ClassOutputs:
        """Return the paths of all outputs.

        Args:
            cluster_maps: the maps.
            source: one map, or the folder that holds them.
            folder: the output folder.
            polygons: the GeoPackage, if one is asked for.
            given: the legend that is applied, if there is one.
            overwrite: replace what exists.

        Raises:
            LabelError: if two class maps would have one name.
        """
        legend = folder / LEGEND
        keeps = given is not None and given.exists() and given.resolve() == legend.resolve()
        targets = _targets(cluster_maps, source, folder)
        return cls(tuple(targets), legend, polygons, keeps, overwrite)

    def check_apart(self, read: Sequence[Path | None]) -> None:
        """Refuse an output that is also an input, and two outputs of one path."""
        legends = () if self.keeps_legend else (self.legend,)
        check_apart((*self.targets, *legends, self.polygons, self.page), read)
        check_distinct((self.polygons, self.legend), (*self.targets, self.legend.parent))

    def check_new(self) -> None:
        """Refuse existing outputs before any work is done."""
        if not self.keeps_legend:
            check_new(self.legend, kind=LEGEND_FILE, overwrite=self.overwrite)
        check_page(self.page, overwrite=self.replaces_page)
        for path in self.targets:
            check_new_map(path, "classes", overwrite=self.overwrite)
        for folder in {path.parent for path in self.targets}:
            check_open_folder(folder)
        if self.polygons is None:
            return
        if self.polygons.suffix.lower() != ".gpkg":
            raise OutputError(
                f"{self.polygons}: polygons are written as GeoPackage; name it *.gpkg."
            )
        check_new_polygons(self.polygons, overwrite=self.overwrite)
        check_writable(self.polygons)

    @property
    def page(self) -> Path:
        """The report beside the class maps."""
        return self.legend.with_name(PAGE)

    @property
    def replaces_page(self) -> bool:
        """True if an earlier report may be replaced: also where maps are added to a legend."""
        return self.overwrite or self.keeps_legend

    def write_sides(
        self,
        cluster_maps: Sequence[ClusterMap],
        legend: Legend,
        classes: Mapping[int, LandClass],
        options: PolygonOptions,
    ) -> None:
        """Write the legend, the polygons and the report, once the class maps are there."""
        if not self.keeps_legend:
            write_legend(self.legend, legend, overwrite=self.overwrite)
        if self.polygons is not None:
            write_class_polygons(
                self.polygons, self.targets, classes, options, overwrite=self.overwrite
            )
        write_page(
            self.page, cluster_maps, self.targets, legend, classes, overwrite=self.replaces_page
        )


def _targets(maps: Sequence[ClusterMap], source: Path, output_folder: Path) -> list[Path]:
    """Return the path of each class map; folders below a folder of maps are kept."""
    inner = inner_paths(source, [cluster_map.path for cluster_map in maps])
    targets: dict[Path, Path] = {}
    for cluster_map, relative in zip(maps, inner, strict=True):
        name = f"{relative.stem.removesuffix('_clusters')}_classes.tif"
        target = output_folder / relative.with_name(name)
        if target in targets:
            raise LabelError(
                f"{cluster_map.path} and {targets[target]} would both become {target}; rename one."
            )
        targets[target] = cluster_map.path
    return list(targets)


def write_named(
    maps: Sequence[ClusterMap],
    targets: Sequence[Path],
    legend: Legend,
    *,
    labels: Iterable[Path] = (),
    overwrite: bool,
) -> None:
    """Write class maps by a legend: every cluster is one class.

    Args:
        maps: the cluster maps.
        targets: the class map of each.
        legend: the class of each cluster.
        labels: the label files that the legend was made from; the maps state them.
        overwrite: replace class maps that exist.
    """
    dtype, nodata = map_type(legend.highest_class)
    tags = {KIND_TAG: "classes"} | ({RUN_TAG: legend.run} if legend.run else {})
    form = MapForm(dtype, nodata=nodata, colours=legend.colours(), names=legend.names())
    labels = set(labels)
    lookup = legend.lookup()
    total = sum(cluster_map.num_pixels for cluster_map in maps)
    with Progress(total=total, desc="class maps", unit="px", unit_scale=True) as bar:
        for cluster_map, target in zip(maps, targets, strict=True):
            form = replace(form, tags=tags | origin_tags(labels, target))
            with (
                cluster_map.open() as raster,
                create_map(target, cluster_map.profile, form, overwrite=overwrite) as writer,
            ):
                for window in cluster_map.windows():
                    clusters, valid = read_clusters(raster, window)
                    values = np.where(valid, lookup[clusters], nodata)
                    writer.write(window, values.astype(dtype))
                    bar.update(values.size)


def labels_beside(legend: Path, run: str | None) -> set[Path]:
    """Return the label files that the class maps beside a legend were made from.

    A legend that was edited after it was made still comes from them.

    Args:
        legend: the file.
        run: the identity of its run; maps of other runs do not count.
    """
    labels: set[Path] = set()
    for path in sorted(legend.parent.glob("*_classes.tif")):
        with open_dataset(path) as dataset:
            tags = dataset.tags()
        if tags.get(RUN_TAG) == run:
            found = (origin.found(path) for origin in read_origins(tags))
            labels |= {label for label in found if label is not None}
    return labels


def keep_in_run(run: Path, legend: Legend, *, overwrite: bool) -> None:
    """Write a copy of the legend into the run; without ``overwrite`` an existing one is kept."""
    path = run / LEGEND
    if path.exists() and not LEGEND_FILE.owns(path):
        logger.warning("%s: kept, since ClusterNet did not write it as it is.", path)
        return
    if path.exists() and not overwrite:
        logger.warning("%s: kept; --overwrite replaces it by the new legend.", path)
        return
    try:
        write_legend(path, legend, overwrite=True)
    except OutputError as error:  # only a warning: the outputs that the user named are written
        logger.warning("%s The run keeps no copy of the legend.", error)
