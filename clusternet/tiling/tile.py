"""Cut rasters into folders of patches, window by window, in several processes."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from clusternet.errors import LabelError, PatchError
from clusternet.files.locks import claimed
from clusternet.files.outputs import check_apart, check_new, check_writable, new_folders
from clusternet.labels.rules import LabelOptions, LabelRules
from clusternet.legend.class_list import ClassList
from clusternet.patches.manifest import (
    CLASSES,
    PATCHES,
    Manifest,
    PatchEntry,
    PatchSource,
    class_list_text,
    write_manifest,
)
from clusternet.processes.executors import Executor, LocalProcesses
from clusternet.processes.interrupts import interrupts
from clusternet.processes.workers import resolve_workers
from clusternet.settings import TilingSettings
from clusternet.tiling.chunks import ONLY_NODATA, Layer, Outcome
from clusternet.tiling.cutting import PAST_EDGE, cut_all
from clusternet.tiling.inputs import TilingPair, find_inputs
from clusternet.tiling.resuming import (
    Before,
    advice,
    area_of,
    cut_before,
    drop_patches,
    take_patches,
)
from clusternet.windows import centre

__all__ = ["TilingReport", "TilingSettings", "tile_rasters"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TilingReport:
    """The number of rasters and patches of a tiling."""

    rasters: int
    """Rasters read."""
    written: int
    """Patches written."""
    skipped: dict[str, int]
    """Number of windows that gave no patch, by reason."""

    def summary(self) -> str:
        """Return one line: rasters, patches written, patches skipped and why."""
        total = sum(self.skipped.values())
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.skipped.items())
        why = f" ({reasons})" if reasons else ""
        return f"{self.rasters} raster(s): {self.written} patches written, {total} skipped{why}"


@interrupts.listening()
def tile_rasters(
    source: Path,
    output_folder: Path,
    settings: TilingSettings | None = None,
    *,
    masks_folder: Path | None = None,
    aoi: Path | None = None,
    classes: ClassList | None = None,
    ignore_label: int | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
) -> TilingReport:
    """Cut rasters into ``output_folder/<raster>/<row>_<col>.png`` (or ``.tif``).

    Beside them ``patches.json`` records the raster and the window of each patch. Patches whose
    share of nodata is above ``keep_dark_region_ratio`` are left out, and so are patches with
    nothing but nodata. Large jobs start worker processes, which import the calling script again:
    it needs the usual ``if __name__ == "__main__":``.

    Args:
        source: a raster, a folder searched with all below it, an address or a list of rasters.
        output_folder: the folder to create.
        settings: sizes, stride and nodata; the defaults if None.
        masks_folder: label rasters, each named as its raster or with ``_mask`` appended. Label
            patches of the same windows go to ``<output_folder>_masks``, cut to ``crop_shape``
            if there is one; 255 (in 8-bit labels) marks pixels without a label. Names of classes
            go to ``classes.json`` there; rasters that name classes get common numbers.
        aoi: file of polygons in any CRS; pixels outside are nodata.
        classes: the classes that label rasters may hold; None allows any.
        ignore_label: label value that means no label; None means 255 in 8-bit rasters.
        overwrite: replace folders that an earlier tiling wrote.
        skip_existing: keep the patches of rasters that an earlier call cut with these settings.
        workers: processes; None takes as many as there are cores.
        executor: where rasters are cut; None takes ``workers`` processes of this machine.

    Raises:
        RasterError: if a raster is missing, damaged, or holds NaN outside its nodata.
        LabelError: if label rasters are missing or do not belong to the rasters.
        PatchError: if every window is left out.
        OutputError: if the output exists, or cannot be written.
    """
    settings = settings or TilingSettings()
    executor = executor or LocalProcesses(resolve_workers(workers))
    _warn_of_gaps(settings)
    layers = _layers(output_folder, settings, masks_folder)
    options = LabelOptions(classes or ClassList(), ignore_label=ignore_label)
    folders = [layer.folder for layer in layers]
    check_apart(folders, (source, masks_folder, aoi, options.classes.source))
    with claimed(*folders):
        _check_outputs(folders, overwrite or skip_existing)
        pairs, rules = find_inputs(source, settings, masks_folder, options, aoi)
        check_apart(folders, (item.path for pair in pairs for item in pair.items))
        before = cut_before(layers, pairs, settings, aoi) if skip_existing else {}
        job = _Job(source, pairs, rules, layers, settings, executor, aoi)
        return job.write(before, overwrite=overwrite or skip_existing)


@dataclass(frozen=True)
class _Job:
    """What is cut, and how."""

    source: Path
    pairs: list[TilingPair]
    rules: LabelRules
    layers: list[Layer]
    settings: TilingSettings
    executor: Executor
    aoi: Path | None

    def write(self, before: Before, *, overwrite: bool) -> TilingReport:
        """Write the folders; if a server or workers fail, finished rasters are kept."""
        folders = [layer.folder for layer in self.layers]
        with new_folders(folders, kind=PATCHES, overwrite=overwrite) as paths:
            hidden = [replace(layer, folder=p) for layer, p in zip(self.layers, paths, strict=True)]
            take_patches(before, self.layers, hidden)
            left = [pair for pair in self.pairs if pair.raster.name not in before]
            known = self._add_labels(before, hidden)
            cut = cut_all(left, hidden, self.settings, self.executor, self.aoi)
            done = {left[i].raster.name: outcome for i, outcome in cut.outcomes.items()} | known
            if cut.failure is not None:
                if not any(outcome.kept for outcome in done.values()):
                    raise cut.failure
                drop_patches([p for p in self.pairs if p.raster.name not in done], hidden)
            pairs = [pair for pair in self.pairs if pair.raster.name in done]
            outcomes = [done[pair.raster.name] for pair in pairs]
            _warn_of_infinite(pairs, outcomes)
            report = _report(self.source, outcomes, self.settings)
            _write_manifests(hidden, pairs, outcomes, self)
        if cut.failure is not None:
            text = advice(cut.failure, len(pairs), len(self.pairs), folders[0])
            raise type(cut.failure)(text) from cut.failure
        return report

    def _add_labels(self, before: Before, hidden: list[Layer]) -> dict[str, Outcome]:
        """Cut the labels of patches that an earlier call has cut."""
        known = [pair for pair in self.pairs if pair.raster.name in before]
        if known and any(layer.of_labels for layer in hidden):
            cut = cut_all(known, hidden, self.settings, self.executor, self.aoi, before)
            if cut.failure is not None:
                raise cut.failure
            for index, outcome in cut.outcomes.items():
                before[known[index].raster.name].labels.merge(outcome.labels)
        return dict(before)


def _write_manifests(
    layers: list[Layer],
    pairs: list[TilingPair],
    outcomes: list[Outcome],
    job: _Job,
) -> None:
    for layer in layers:
        write_manifest(layer.folder, _manifest(layer, pairs, outcomes, job))
        if layer.of_labels:
            _report_labels(layer, outcomes, job.rules, is_whole=len(pairs) == len(job.pairs))


def _report_labels(
    layer: Layer, outcomes: list[Outcome], rules: LabelRules, *, is_whole: bool
) -> None:
    """Write the names of classes beside label patches, and log how many labels were used."""
    inventory = rules.inventory
    inventory.unused = "no patch is cut there"
    for outcome in outcomes:
        inventory.merge(outcome.labels)
    if not inventory.used and is_whole:
        path = min(rules.common.statements)
        why = inventory.why_none() or "it holds nodata only"
        raise LabelError(f"{path}: gives no patch a label, nor does any other label raster: {why}.")
    inventory.report()
    names = rules.common.classes.names
    if names:
        (layer.folder / CLASSES).write_text(class_list_text(names), encoding="utf-8")


def _warn_of_gaps(settings: TilingSettings) -> None:
    pairs = zip(settings.full_stride, settings.patch_shape, strict=True)
    if any(stride > patch for stride, patch in pairs):
        logger.warning(
            "stride %s is larger than patch_shape %s: pixels between patches are left out",
            settings.full_stride, settings.patch_shape,
        )  # fmt: skip


def _warn_of_infinite(pairs: list[TilingPair], outcomes: list[Outcome]) -> None:
    both = zip(pairs, outcomes, strict=True)
    names = [pair.raster.source for pair, outcome in both if outcome.num_infinite]
    if names:
        logger.warning(
            "infinite values count as no data, in %d raster(s): %s",
            len(names), ", ".join(names[:3]) + (", ..." if len(names) > 3 else ""),
        )  # fmt: skip


def _layers(
    output_folder: Path, settings: TilingSettings, masks_folder: Path | None
) -> list[Layer]:
    if output_folder.name in ("", ".."):  # "." and ".." have no name to append to
        output_folder = output_folder.resolve()
    name = output_folder.name
    crop_shape = settings.crop_shape or settings.patch_shape
    layers = [Layer(output_folder, settings.patch_shape)]
    if settings.crop_shape is not None:
        layers.append(Layer(output_folder.with_name(f"{name}_crops"), crop_shape))
    if masks_folder is not None:
        layers.append(Layer(output_folder.with_name(f"{name}_masks"), crop_shape, of_labels=True))
    return layers


def _check_outputs(folders: list[Path], overwrite: bool) -> None:
    """Refuse outputs that exist, or that no tiling wrote."""
    for folder in folders:
        check_new(folder, kind=PATCHES, overwrite=overwrite)
        check_writable(folder)
    for kind in ("masks", "crops"):
        beside = folders[0].with_name(f"{folders[0].name}_{kind}")
        if overwrite and beside.exists() and beside not in folders:
            logger.warning("%s is left as an earlier tiling wrote it", beside)


def _report(source: Path, outcomes: list[Outcome], settings: TilingSettings) -> TilingReport:
    skipped = sum((outcome.skipped for outcome in outcomes), Counter[str]())
    report = TilingReport(len(outcomes), sum(len(o.kept) for o in outcomes), dict(skipped))
    if not report.written:
        rows, cols = settings.patch_shape
        raise PatchError(
            f"{source}: no window of {rows} x {cols} pixels gave a patch ({report.summary()}); "
            f"{_advice(skipped, settings)}."
        )
    return report


def _advice(skipped: Counter[str], settings: TilingSettings) -> str:
    """Return advice on what would give patches; ``skipped`` counts windows by reason."""
    if PAST_EDGE in skipped:
        return "try --edge pad, or a smaller --patch_shape"
    if set(skipped) != {ONLY_NODATA}:
        return "try a larger --keep_dark_region_ratio"
    if settings.nodata is not None:
        return f"if {settings.nodata} is a value of pixels with data, give another --nodata"
    return "give rasters with data, or another value with --nodata if they declare a wrong one"


def _manifest(
    layer: Layer, pairs: list[TilingPair], outcomes: list[Outcome], job: _Job
) -> Manifest:
    settings = job.settings
    sources, patches = [], []
    for pair, outcome in zip(pairs, outcomes, strict=True):
        item = layer.item(pair)
        if item is None:
            continue
        sources.append(
            PatchSource.from_profile(item.name, item.source, item.profile, item.patch_format)
        )
        patches += [
            PatchEntry(layer.file(item, window), item.name, centre(window, layer.shape))
            for window in outcome.kept
        ]
    return Manifest(
        layer.shape,
        settings.full_stride,
        settings.edge,
        tuple(sources),
        tuple(patches),
        given=None if layer.of_labels else settings.nodata_choice,
        keep_dark_region_ratio=settings.keep_dark_region_ratio,
        aoi=area_of(job.aoi),
    )
