"""Maps of whole rasters on the grid of the raster, written window by window."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clusternet.colours import palette
from clusternet.errors import RasterError
from clusternet.files.outputs import KIND_TAG, check_apart
from clusternet.labels.origins import tags_of
from clusternet.labels.rasterization import map_type
from clusternet.legend.land_classes import LandClass
from clusternet.prediction.assigning import kind_of
from clusternet.prediction.map_outputs import MapOptions, WantedMaps, claim_maps
from clusternet.prediction.map_states import COUNT_TAG, RUN_TAG, found_at, made_from, stale_sides
from clusternet.prediction.predictor import Prediction, Predictor
from clusternet.prediction.quantiser import LEVELS, Quantiser
from clusternet.prediction.remote import RemotePredictor
from clusternet.processes.interrupts import interrupts
from clusternet.processes.progress import Progress
from clusternet.raster import (
    MapForm,
    MapWriter,
    RasterProfile,
    create_map,
    open_raster,
    report_stacks,
    warn_of_lost_georeference,
    warn_of_orientation,
    warn_of_other_images,
    warn_of_separate_bands,
)
from clusternet.raster.mosaic_vrt import write_mosaic
from clusternet.types import AnyArray

MapPredictor = Predictor | RemotePredictor


@dataclass(frozen=True)
class PredictionReport:
    """The maps that `predict_rasters` wrote, and the number of maps that it kept."""

    maps: tuple[Path, ...]
    skipped: int
    kind: str = "cluster"
    """``cluster`` or ``class``."""

    def summary(self) -> str:
        """Return one line."""
        where = self.maps[0] if len(self.maps) == 1 else f"{len(self.maps)} {self.kind} maps"
        skipped = f", {self.skipped} existing skipped" if self.skipped else ""
        return f"{where if self.maps else 'nothing to do'}{skipped}"


@interrupts.listening()
def predict_rasters(
    predictor: MapPredictor,
    rasters: Sequence[Path],
    output_folder: Path,
    options: MapOptions | None = None,
) -> PredictionReport:
    """Write the cluster or class maps of rasters, or of every raster of a folder.

    Maps are named ``<raster>_clusters.tif``, or ``<raster>_classes.tif`` if the predictor assigns
    classes, in the same sub-folders as their rasters.

    Raises:
        ClusterNetError: with one clear line; maps completed before stay.
    """
    options = options or MapOptions()
    folder, assign = predictor.run.folder, predictor.assign
    with claim_maps(folder, rasters, output_folder, options, assign) as wanted:
        return predict_maps(predictor, wanted, options)


@interrupts.listening()
def predict_maps(
    predictor: MapPredictor, wanted: WantedMaps, options: MapOptions
) -> PredictionReport:
    """Write the maps that `clusternet.prediction.map_outputs.claim_maps` returned."""
    warn_of_orientation(source for source, _ in wanted.jobs)
    profiles = _read_profiles([source for source, _ in wanted.jobs])
    report_stacks(source for source, _ in wanted.jobs)
    warn_of_other_images(profiles)
    warn_of_separate_bands(profiles)
    warn_of_lost_georeference(profiles)
    with _ahead(predictor, [source for source, _ in wanted.jobs], options):
        for source, output in wanted.jobs:
            predict_raster(predictor, source, output, options)
    if options.mosaic is not None:
        _write_mosaic(predictor, options.mosaic, wanted.every)
    kind = "class" if predictor.assign == "classes" else "cluster"
    return PredictionReport(tuple(output for _, output in wanted.jobs), wanted.num_kept, kind)


def _ahead(
    predictor: MapPredictor, sources: Sequence[Path], options: MapOptions
) -> AbstractContextManager[None]:
    """Let workers, if there are any, go on with the following rasters while one is written."""
    if not isinstance(predictor, RemotePredictor):
        return nullcontext()
    return predictor.ahead(
        sources, options.aoi, confidence=options.confidence, features=options.features
    )


def _read_profiles(paths: Sequence[Path]) -> list[RasterProfile]:
    """Return the profiles of readable rasters; `predict_raster` reports the others later."""
    profiles = []
    for path in paths:
        interrupts.check()
        with suppress(RasterError), open_raster(path) as raster:
            profiles.append(raster.profile)
    return profiles


@interrupts.listening()
def predict_raster(
    predictor: MapPredictor, source: Path, output: Path, options: MapOptions | None = None
) -> None:
    """Write the map of one raster on its own grid; memory does not grow with its size.

    Raises:
        RunError: if bands or pixel type differ from the run's.
        RasterError: if the raster is damaged.
        OutputError: if an output exists or cannot be written.
    """
    options = options or MapOptions()
    check_apart((output,), (predictor.run.folder, source))
    with ExitStack() as stack:
        choice = replace(predictor.choice, aoi=options.aoi)
        raster = stack.enter_context(open_raster(source, choice))
        identity = predictor.run.identity(predictor.assign)
        tags = made_from(source, identity, predictor.assign, options.aoi)
        tags |= found_at(source, output)
        quantiser = Quantiser.compact(predictor.run) if options.features else None
        writers = _create_maps(stack, predictor, raster.profile, output, options, tags, quantiser)
        rows, cols = raster.profile.shape
        bar = stack.enter_context(
            Progress(total=rows * cols, desc=source.name, unit="px", unit_scale=True)
        )
        windows = predictor.windows(
            raster, confidence=options.confidence, features=options.features
        )
        for prediction in stack.enter_context(closing(windows)):  # closed before the raster is
            _write(prediction, writers, quantiser)
            bar.update(prediction.window.height * prediction.window.width)
        for writer in writers.values():  # all maps are complete before the first is renamed
            writer.finish()


def _create_maps(
    stack: ExitStack,
    predictor: MapPredictor,
    grid: RasterProfile,
    output: Path,
    options: MapOptions,
    tags: dict[str, str],
    quantiser: Quantiser | None,
) -> dict[str, MapWriter]:
    """Create the maps that are written; they appear when ``stack`` ends without an error."""
    kind, head = kind_of(predictor.assign), predictor.run.class_head
    name = output.stem.removesuffix(f"_{kind}")
    counts = {} if kind == "classes" else {COUNT_TAG: str(predictor.num_clusters)}
    overwrite = options.overwrite or options.skip_existing

    def create(suffix: str, form: MapForm, stale: Sequence[Path] = ()) -> MapWriter:
        path = output.with_name(f"{name}_{suffix}.tif")
        own = {KIND_TAG: suffix, **counts, **tags}
        if suffix == "classes" and head is not None:
            own |= tags_of(head.origins, path)
        own = {name: value for name, value in own.items() if value}
        form = replace(form, tags=own, cog=options.cog)
        return stack.enter_context(create_map(path, grid, form, overwrite=overwrite, stale=stale))

    writers = {}
    if quantiser is not None:
        form = MapForm(
            num_bands=quantiser.depth, nodata=255, scale=(quantiser.step, quantiser.low),
            band_names=quantiser.names, overview_method="average",
        )  # fmt: skip
        writers["features"] = create("features", form)
    if options.confidence:
        writers["confidence"] = create("confidence", MapForm(nodata=255, overview_method="average"))
    # The stack closes writers in reverse order, so the cluster or class map appears first. Outdated
    # confidence and feature maps are deleted just before. So no map lies beside maps that were made
    # with another one.
    writers[kind] = create(kind, _main_form(predictor), stale_sides(output))
    return writers


def _cluster_form(clusters: int) -> MapForm:
    """Return what a map of this many clusters holds."""
    return MapForm(
        dtype="uint8" if clusters <= 255 else "uint16",
        nodata=255 if clusters <= 255 else 65535,
        colours=palette(clusters),
        names=[f"cluster {number}" for number in range(clusters)],
    )


def _main_form(predictor: MapPredictor) -> MapForm:
    """Return what the cluster or class maps of a predictor hold."""
    head = predictor.run.class_head
    if predictor.assign == "classes" and head is not None:
        return _class_form(head.classes)
    return _cluster_form(predictor.num_clusters)


def _class_form(classes: Sequence[LandClass]) -> MapForm:
    highest = max(land_class.number for land_class in classes)
    dtype, nodata = map_type(highest)
    colours, names = np.zeros((highest + 1, 3), np.uint8), [""] * (highest + 1)
    for land_class in classes:
        colours[land_class.number], names[land_class.number] = land_class.colour, land_class.name
    return MapForm(dtype, nodata=nodata, colours=colours, names=names)


def _write_mosaic(predictor: MapPredictor, path: Path, maps: Sequence[Path]) -> None:
    """Write the virtual raster that shows maps as one."""
    kind = kind_of(predictor.assign)
    tags = {KIND_TAG: kind, RUN_TAG: predictor.run.identity(predictor.assign)}
    if kind == "clusters":
        tags[COUNT_TAG] = str(predictor.num_clusters)
    profiles = []
    for one_map in maps:
        with open_raster(one_map, codes=True) as raster:
            profiles.append(raster.profile)
    write_mosaic(path, profiles, replace(_main_form(predictor), tags=tags), overwrite=True)


def _write(
    prediction: Prediction, writers: dict[str, MapWriter], quantiser: Quantiser | None
) -> None:
    for name, writer in writers.items():
        dtype = np.dtype(writer.dataset.dtypes[0])
        nodata = np.iinfo(dtype).max
        if not prediction.valid.any():  # the network was not run, so there are no outputs
            shape = (*prediction.window.shape, writer.dataset.count)
            writer.write(prediction.window, np.full(shape, nodata, dtype))
            continue
        values, valid = _values(prediction, name, quantiser), prediction.valid
        if values.ndim == 3:
            valid = valid[..., None]
        writer.write(prediction.window, np.where(valid, values, nodata).astype(dtype))


def _values(prediction: Prediction, name: str, quantiser: Quantiser | None) -> AnyArray:
    """Return the values of a map as whole numbers, before nodata is filled in."""
    if name == "confidence" and prediction.confidence is not None:
        return np.asarray(np.rint(prediction.confidence * LEVELS).clip(0, LEVELS))
    if quantiser is not None and name == "features" and prediction.features is not None:
        return quantiser.quantise(prediction.features)
    return prediction.labels
