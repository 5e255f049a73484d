"""From a file of strokes to a class map, without the page."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from clusternet.classes.class_table import CLASS_TABLE, write_class_table
from clusternet.classes.export import (
    Export,
    make_legend,
    write_certainty,
    write_class_map,
    write_sides,
)
from clusternet.classes.polygons import check_new_polygons
from clusternet.errors import LabelError, OutputError, SettingsError
from clusternet.files.locks import claimed
from clusternet.files.outputs import check_apart, check_distinct, check_new, check_writable
from clusternet.labels.stroke_files import DrawingGrid, read_strokes
from clusternet.labels.strokes import Drawing
from clusternet.learning.classifiers import Classifier
from clusternet.learning.mapping import DEFAULT_SMOOTH, collect_samples, sample_scene
from clusternet.learning.rules import DEFAULT_RULE, RULES, fit_rule
from clusternet.learning.streaming import (
    Certainties,
    Windows,
    cached_certainty,
    cached_windows,
    streamed_certainty,
    streamed_windows,
)
from clusternet.learning.stroke_check import check_strokes
from clusternet.legend.land_classes import LandClass
from clusternet.legend.legend import LEGEND_FILE
from clusternet.messages import short
from clusternet.prediction.feature_cache import WINDOW, FeatureCache, scene_folder
from clusternet.prediction.filling import complete_cache, fill_cache, prepare_cache
from clusternet.prediction.scene_lock import lock_scene
from clusternet.processes.interrupts import interrupts
from clusternet.raster import RasterProfile, check_new_map, open_raster, warn_of_orientation
from clusternet.training.run import Run, load_run, scene_of_run

if TYPE_CHECKING:
    from clusternet.prediction.predictor import Predictor

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchOptions:
    """How strokes become a map."""

    rule: str = DEFAULT_RULE
    """See `clusternet.learning.rules`."""
    smooth: int = DEFAULT_SMOOTH
    """Side in pixels of the squares that smooth the map; 1 gives each pixel its own class."""
    drawn_on: Path | None = None
    """The raster that strokes were drawn on, if it is another one of the same run."""
    class_field: str | None = None
    """Field of the strokes that holds the class."""
    layer: str | None = None
    """Layer of the strokes."""
    cache_folder: Path | None = None
    """Where features are kept; None means beside the run."""


@dataclass(frozen=True)
class BatchReport:
    """What was written."""

    output: Path
    counts: dict[int, int]
    classes: dict[int, LandClass]
    num_strokes: int
    """Strokes that the map was made from, without those that are held back as a check."""
    hectares: float | None
    """Of a pixel."""

    def summary(self) -> str:
        """Return one line."""
        total = max(sum(self.counts.values()), 1)
        parts = []
        for number, count in self.counts.items():
            size = "" if self.hectares is None else f" ({count * self.hectares:.2f} ha)"
            parts.append(f"{self.classes[number].name} {count / total:.1%}{size}")
        return f"{self.output}: {', '.join(parts)}; from {self.num_strokes} stroke(s)"


@interrupts.listening()
def apply_strokes(
    run_folder: Path,
    raster_path: Path,
    strokes: Path,
    export: Export,
    options: BatchOptions | None = None,
) -> BatchReport:
    """Write the class map of a raster from strokes.

    The features of the raster that was drawn on are computed once and kept; those of another
    raster are computed window by window and not kept.

    Raises:
        ClusterNetError: with one clear line; nothing is half-written.
    """
    with threadpool_limits(1):  # windows are computed side by side, see streaming.cached_windows
        return _apply(run_folder, raster_path, strokes, export, options or BatchOptions())


def _apply(
    run_folder: Path, raster_path: Path, strokes: Path, export: Export, options: BatchOptions
) -> BatchReport:
    if options.rule not in RULES:
        raise SettingsError(
            f"--stroke_rule: expected one of {', '.join(RULES)}, found {options.rule}."
        )
    raster_path = scene_of_run(run_folder, raster_path)
    if options.drawn_on is not None:
        options = replace(options, drawn_on=scene_of_run(run_folder, options.drawn_on))
    folder = scene_folder(run_folder, options.drawn_on or raster_path, options.cache_folder)
    rasters = (raster_path, options.drawn_on)
    check_apart(export.paths, (run_folder, strokes, *rasters))
    # The folder of cached features may lie in the run and may hold the strokes, so it is
    # compared with the rasters alone.
    check_apart((folder,), rasters)
    check_distinct(export.paths, (folder,))
    with claimed(*export.paths):
        _check_outputs(export)
        return _write_all(run_folder, raster_path, strokes, export, options)


def _write_all(
    run_folder: Path, raster_path: Path, strokes: Path, export: Export, options: BatchOptions
) -> BatchReport:
    run = load_run(run_folder)
    profile = read_profile(raster_path, run)
    drawn_on = options.drawn_on or raster_path
    same = drawn_on.resolve() == raster_path.resolve()
    drawn_profile = profile if same else read_profile(drawn_on, run)
    drawing = read_strokes(
        strokes, DrawingGrid.of(drawn_profile), class_field=options.class_field, layer=options.layer
    )
    predictor = LazyPredictor(run_folder)
    cache = full_cache(run, drawn_on, predictor, options.cache_folder)
    classifier = fit_drawing(cache, drawn_profile, drawing, options.rule)
    classes = {c.number: c for c in drawing.classes}
    with ExitStack() as stack:
        windows, certainty = (
            (cached_windows(cache, classifier, options.smooth), cached_certainty(cache, classifier))
            if same
            else _streamed(stack, raster_path, cache, classifier, predictor.get(), options.smooth)
        )
        counts = _write(export, profile, windows, classes, run, strokes)
        if export.certainty is not None:
            write_certainty(
                export.certainty, profile, certainty, run.stored.identity,
                overwrite=export.overwrite,
            )  # fmt: skip
    write_sides(export, make_legend(cache, classifier, classes, run), classes)
    if export.table is not None:
        pixel_ha = profile.pixel_area_ha
        write_class_table(export.table, drawing, counts, pixel_ha, overwrite=export.overwrite)
    num_strokes = sum(not stroke.is_check for stroke in drawing.strokes)
    return BatchReport(export.output, counts, classes, num_strokes, profile.pixel_area_ha)


def _streamed(
    stack: ExitStack,
    raster_path: Path,
    cache: FeatureCache,
    classifier: Classifier,
    predictor: Predictor,
    smooth: int,
) -> tuple[Windows, Certainties]:
    """Return the classes and their certainty of a raster that was not drawn on."""
    raster = stack.enter_context(open_raster(raster_path, predictor.run.bands.nodata_choice))
    quantiser = cache.quantiser
    windows = streamed_windows(predictor, raster, quantiser, classifier, smooth)
    certainty = streamed_certainty(predictor, raster, quantiser, classifier)
    return stack.enter_context(closing(windows)), stack.enter_context(closing(certainty))


class LazyPredictor:
    """A predictor that loads its network only when it is needed."""

    def __init__(self, run_folder: Path) -> None:
        """Remember the run."""
        self._folder = run_folder
        self._predictor: Predictor | None = None

    def get(self) -> Predictor:
        """Return the predictor."""
        if self._predictor is None:
            # here: TensorFlow takes seconds to load, and is not needed where features are there
            from clusternet.prediction.predictor import load

            self._predictor = load(self._folder, window_size=WINDOW, assign="codebook")
        return self._predictor


def read_profile(raster_path: Path, run: Run) -> RasterProfile:
    """Return the profile of a raster that fits the run; RunError if it does not."""
    warn_of_orientation([raster_path])
    with open_raster(raster_path, run.bands.nodata_choice) as raster:
        run.check_fits(raster.profile)
        return raster.profile


def full_cache(
    run: Run, raster_path: Path, predictor: LazyPredictor, root: Path | None
) -> FeatureCache:
    """Return the complete features of a raster, computed where they are missing."""
    folder = scene_folder(run.folder, raster_path, root)
    cache = complete_cache(folder, raster_path, run)
    if cache is None:
        lock = lock_scene(folder)
        try:
            cache, _ = prepare_cache(folder, raster_path, run)
            if not cache.is_complete:
                fill_cache(cache, raster_path, predictor.get())
        finally:
            lock.release()
    return cache


def fit_drawing(
    cache: FeatureCache, profile: RasterProfile, drawing: Drawing, rule: str
) -> Classifier:
    """Fit a rule to strokes, and report what was used and how good the map is.

    Raises:
        LabelError: if no stroke touches a pixel with data.
    """
    samples, scene = collect_samples(cache, drawing.strokes), sample_scene(cache)
    if not len(samples.classes):
        held_back = ", or use some that are held back as a check"
        raise LabelError(
            "The strokes touch no pixel with data; draw some where the raster has it"
            f"{held_back if any(stroke.is_check for stroke in drawing.strokes) else ''}."
        )
    _report(drawing, Counter(samples.classes.tolist()))
    found = check_strokes(cache, profile, drawing.strokes, rule, scene)
    if found is not None:
        logger.info("%s.", short(found.summary({c.number: c for c in drawing.classes}), 240))
    return fit_rule(rule, samples, scene)


def _report(drawing: Drawing, samples: Mapping[int, int]) -> None:
    """Log the strokes and pixels used of each class, and warn of a class without any."""
    strokes = Counter(each.land_class for each in drawing.strokes if not each.is_check)
    checks = Counter(each.land_class for each in drawing.strokes if each.is_check)
    parts = []
    for land_class in drawing.classes:
        drawn, used = strokes[land_class.number], samples.get(land_class.number, 0)
        if used:
            parts.append(f"'{land_class.name}' {used:,} px of {drawn} stroke(s)")
        elif drawn:
            logger.warning(
                "class '%s': none of its %d stroke(s) gives a label: the raster has no data there, "
                "or later strokes lie over them.", land_class.name, drawn,
            )  # fmt: skip
        elif checks[land_class.number]:
            logger.warning(
                "class '%s': all its %d stroke(s) are held back as a check, so the map lacks it.",
                land_class.name, checks[land_class.number],
            )  # fmt: skip
    logger.info("labels used: %s.", short(", ".join(parts), 240))


def _write(
    export: Export,
    profile: RasterProfile,
    windows: Windows,
    classes: dict[int, LandClass],
    run: Run,
    strokes: Path,
) -> dict[int, int]:
    return write_class_map(
        export.output, profile, windows, classes, run.stored.identity,
        labels=[strokes], overwrite=export.overwrite,
    )  # fmt: skip


def _check_outputs(export: Export) -> None:
    for path in (export.output, export.certainty):
        if path is not None and path.suffix.lower() not in (".tif", ".tiff"):
            raise OutputError(f"{path}: maps are written as GeoTIFF; name it *.tif.")
    if export.polygons is not None and export.polygons.suffix.lower() != ".gpkg":
        raise OutputError(f"{export.polygons}: polygons are written as GeoPackage; name it *.gpkg.")
    check_new_map(export.output, "classes", overwrite=export.overwrite)
    if export.certainty is not None:
        check_new_map(export.certainty, "certainty", overwrite=export.overwrite)
    if export.polygons is not None:
        check_new_polygons(export.polygons, overwrite=export.overwrite)
    for path, kind in ((export.legend, LEGEND_FILE), (export.table, CLASS_TABLE)):
        if path is not None:
            check_new(path, kind=kind, overwrite=export.overwrite)
    for path in export.paths:
        check_writable(path)
