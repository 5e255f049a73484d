"""The rasters to tile, a unique name for each, and the label raster of each."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clusternet.errors import GridMismatchError, LabelError, RasterError
from clusternet.files.folders import first_names, search_folder
from clusternet.labels.files import settle_labels
from clusternet.labels.pairing import only_one
from clusternet.labels.rasterization import map_type
from clusternet.labels.reading import is_class_value
from clusternet.labels.rules import UNLABELLED, LabelOptions, LabelRules
from clusternet.nodata import Number
from clusternet.patches.patch_files import PatchFormat, choose_format
from clusternet.processes.interrupts import interrupts
from clusternet.raster import (
    RASTER_SUFFIXES,
    RasterProfile,
    check_same_grid,
    find_rasters,
    find_scenes,
    inner_paths,
    open_raster,
    report_stacks,
    warn_of_lost_georeference,
    warn_of_orientation,
    warn_of_other_images,
    warn_of_separate_bands,
)
from clusternet.raster.band_fit import fit_bands, report_fit
from clusternet.raster.band_identity import AS_STORED, Arrangement, BandIdentity
from clusternet.raster.finding import report_left_out
from clusternet.raster.screens import inside_area
from clusternet.raster.validity import check_nodata
from clusternet.settings import TilingSettings
from clusternet.windows import Grid, grid, origins

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TilingInput:
    """A raster, or a label raster, and how its patches are written."""

    path: Path
    name: str
    """The folder of its patches."""
    source: str
    """The path relative to the folder that the user gave."""
    profile: RasterProfile
    """Its profile, with the nodata value of its patches."""
    patch_format: PatchFormat
    arrangement: Arrangement = AS_STORED
    """The band order to read it in, so that bands match those of the first raster."""


@dataclass(frozen=True)
class TilingPair:
    """A raster, and its label raster if labels are tiled."""

    raster: TilingInput
    label: TilingInput | None
    label_rules: LabelRules | None = None
    """How the labels are read."""

    @property
    def items(self) -> list[TilingInput]:
        """The raster, and its label raster if there is one."""
        return [self.raster, *([] if self.label is None else [self.label])]

    def windows(self, settings: TilingSettings) -> Grid:
        """Return the windows of the raster's patches, row by row."""
        shape = self.raster.profile.shape
        return grid(shape, settings.patch_shape, settings.full_stride, settings.edge)


def find_inputs(
    source: Path,
    settings: TilingSettings,
    masks_folder: Path | None = None,
    options: LabelOptions | None = None,
    aoi: Path | None = None,
) -> tuple[list[TilingPair], LabelRules]:
    """Open every raster once, without reading pixels, and find its label raster.

    Args:
        source: see `clusternet.tiling.tile.tile_rasters`.
        settings: the settings of the tiling.
        masks_folder: the folder of label rasters.
        options: how the user wants label files to be read.
        aoi: file of polygons; rasters outside are left out.

    Returns:
        the pairs, and the rules for reading all label rasters.

    Raises:
        RasterError: if there is no raster, or one cannot be read.
        LabelError: if a raster has no label raster, or several, or one that holds no labels.
        GridMismatchError: if a label raster is not on the grid of its raster.
    """
    choice = replace(settings.nodata_choice, aoi=aoi)
    paths = find_scenes(source, choice.scene)
    if masks_folder is not None and masks_folder.resolve() != source.resolve():
        paths = [path for path in paths if masks_folder.resolve() not in path.resolve().parents]
    relative = inner_paths(source, paths)
    labels = _LabelFolder(masks_folder) if masks_folder is not None else None
    warn_of_orientation([*paths, *(labels.files if labels is not None else ())])
    pairs, order = [], _CommonBands()
    for path, inner_path, name in zip(paths, relative, raster_names(relative), strict=True):
        interrupts.check()
        with open_raster(path, choice) as raster:
            profile = raster.profile
        arrangement = order.add(profile)
        profile = profile.arranged(arrangement)
        check_nodata(settings.nodata, profile.dtype, path)
        patch_format = choose_format(profile, padded=_is_padded(profile, settings))
        item = TilingInput(path, name, inner_path.as_posix(), profile, patch_format, arrangement)
        label = None if labels is None else labels.open(item, inner_path)
        pairs.append(TilingPair(item, label))
    inside = inside_area([pair.raster.profile for pair in pairs], aoi)
    pairs = [pair for pair, is_inside in zip(pairs, inside, strict=True) if is_inside]
    # Many rasters may share a fault, so each warning is given once, and names the first of them.
    profiles = [pair.raster.profile for pair in pairs]
    report_stacks(profile.path for profile in profiles)
    warn_of_other_images(profiles)
    warn_of_separate_bands(profiles)
    warn_of_lost_georeference(profiles)
    if labels is not None:
        labels.report_unused(pairs)
    _warn_of_small_rasters(pairs, settings)
    _warn_of_idle_nodata(pairs)
    files = [pair.label.path for pair in pairs if pair.label is not None]
    rules = settle_labels(files, options, advice="--ignore_label 255 if 255 means no label")
    return [_with_labels(pair, rules) for pair in pairs], rules


class _CommonBands:
    """Checks that rasters have the same bands as the first raster with the same band count."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[BandIdentity, str]] = {}

    def add(self, profile: RasterProfile) -> Arrangement:
        """Return the arrangement in which the bands of one more raster are read.

        Raises:
            RasterError: if the bands differ, or are stored at another scale.
        """
        known, name = self._known.get(profile.num_bands, (profile.bands, str(profile.path)))
        arrangement = fit_bands(known, profile, name, RasterError)
        if arrangement.factors is not None:
            target = profile.path.with_name(f"{profile.path.stem}_unscaled.tif")
            raise RasterError(
                f"{profile.path}: its pixels are stored at another scale than those of {name}; "
                "bring all rasters to their own units first: gdal_translate -unscale -ot Float32 "
                f"{profile.path} {target.name}"
            )
        report_fit(arrangement, known, profile, name)
        stated = profile.arranged(arrangement).bands
        self._known[profile.num_bands] = known.filled_from(stated), name
        return arrangement


def raster_names(paths: list[Path]) -> list[str]:
    """Return a name for each raster, unique also on disks that ignore upper and lower case.

    The name is the stem of the file. Rasters that share a stem get their folders before it
    (``a__scene``), and if that is not enough also their suffix behind it (``a__scene_tif``).
    """
    forms = [_name_forms(path) for path in paths]
    levels = [0] * len(paths)
    while True:
        names = [form[level] for form, level in zip(forms, levels, strict=True)]
        counts = Counter(name.casefold() for name in names)
        clashing = [i for i, name in enumerate(names) if counts[name.casefold()] > 1]
        clashing = [i for i in clashing if levels[i] < len(forms[i]) - 1]
        if not clashing:
            return _numbered(names)
        for index in clashing:
            levels[index] += 1


def _name_forms(path: Path) -> tuple[str, str, str]:
    path = path.relative_to(path.anchor)  # else it would name a folder outside of the output
    joined = "__".join(path.with_suffix("").parts)
    return path.stem, joined, f"{joined}_{path.suffix[1:]}"


def _numbered(names: list[str]) -> list[str]:
    taken = {name.casefold() for name in names}
    seen: set[str] = set()
    unique = []
    for name in names:
        new, number = name, 2
        while new.casefold() in seen or (new != name and new.casefold() in taken):
            new, number = f"{name}_{number}", number + 1
        seen.add(new.casefold())
        unique.append(new)
    return unique


def _is_padded(profile: RasterProfile, settings: TilingSettings) -> bool:
    """Tell whether a window reaches beyond the raster."""
    axes = zip(profile.shape, settings.patch_shape, settings.full_stride, strict=True)
    return any(
        start + patch > size
        for size, patch, stride in axes
        for start in origins(size, patch, stride, settings.edge)[-1:]
    )


def _warn_of_idle_nodata(pairs: list[TilingPair]) -> None:
    """Warn of rasters where no pixel can be nodata: all bands must hold it, but some have none."""
    idle = [
        pair.raster.source
        for pair in pairs
        for profile in (pair.raster.profile,)
        if profile.nodata_rule == "all" and profile.has_uneven_nodata and not profile.has_mask
        if None in profile.band_nodata
    ]
    if idle:
        names = ", ".join(idle[:3]) + (", ..." if len(idle) > 3 else "")
        logger.warning(
            "%d raster(s) declare no nodata value for some bands, so with --nodata_rule all the "
            "values of the others mark nothing: %s", len(idle), names,
        )  # fmt: skip


def _warn_of_small_rasters(pairs: list[TilingPair], settings: TilingSettings) -> None:
    rows, cols = settings.patch_shape
    small = [
        pair.raster.source
        for pair in pairs
        if pair.raster.profile.shape[0] < rows or pair.raster.profile.shape[1] < cols
    ]
    if small and settings.edge != "drop":
        names = ", ".join(small[:3]) + (", ..." if len(small) > 3 else "")
        logger.warning(
            "%d raster(s) smaller than a patch of %d x %d are padded with nodata: %s",
            len(small), rows, cols, names,
        )  # fmt: skip


class _LabelFolder:
    """The folder of label rasters, each of which belongs to the raster of the same name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = find_rasters(folder)
        if folder.is_dir():
            report_left_out(folder, search_folder(folder))

    def report_unused(self, pairs: list[TilingPair]) -> None:
        """Log which label rasters belong to none of the rasters."""
        used = {pair.label.path for pair in pairs if pair.label is not None}
        unused = [path for path in self.files if path not in used]
        if unused and self.folder.is_dir():
            logger.info(
                "%s: %d label raster(s) belong to none of the rasters and are left out: %s",
                self.folder, len(unused), first_names(unused, self.folder),
            )  # fmt: skip

    def open(self, raster: TilingInput, inner_path: Path) -> TilingInput:
        """Return the label raster of ``raster``, whose path in its folder is ``inner_path``."""
        path = self._find(raster, inner_path)
        with open_raster(path, codes=True) as label:
            profile = label.profile
        if profile.num_bands != 1:
            raise LabelError(
                f"{path}: expected one band of class numbers, found {profile.num_bands} bands."
            )
        _check_fits(raster.profile, profile)
        profile = replace(profile, nodata=ignore_value(profile), has_mask=False, band_nodata=())
        source = path.name if self.folder.is_file() else path.relative_to(self.folder).as_posix()
        patch_format = choose_format(profile, padded=False)
        return TilingInput(path, raster.name, source, profile, patch_format)

    def _find(self, raster: TilingInput, inner_path: Path) -> Path:
        # Stricter than pair_files, where a map may carry any suffix behind the name of its image.
        # Here scene_2 is another image than scene, and must not get its labels.
        if self.folder.is_file():
            return self.folder
        names = {inner_path.stem, f"{inner_path.stem}_mask"}
        named = [path for path in self.files if path.stem in names and path != raster.path]
        label = only_one(named, self.folder, inner_path)
        if label is not None:
            return label
        raise LabelError(
            f"{raster.path}: has no label raster in {self.folder}; expected {inner_path.stem} or "
            f"{inner_path.stem}_mask, ending in {', '.join(RASTER_SUFFIXES)}."
        )


def _with_labels(pair: TilingPair, rules: LabelRules) -> TilingPair:
    """Choose the pixel type of label patches: that of the labels, unless numbers change."""
    if pair.label is None:
        return pair
    profile, renumbering = pair.label.profile, rules.common.renumbering(pair.label.path)
    is_wide = profile.dtype == "uint8" and is_class_value(UNLABELLED, renumbering)
    if rules.is_mask or is_wide or not renumbering.shares_numbers:
        dtype, nodata = map_type(max(rules.common.classes.names, default=1))
        profile = replace(profile, dtype=dtype, nodata=nodata)
    label = replace(pair.label, profile=profile, patch_format=choose_format(profile, padded=False))
    return replace(pair, label=label, label_rules=rules.of_file(label.path))


def ignore_value(profile: RasterProfile) -> Number:
    """Return the value that marks pixels without a label in the patches of a label raster.

    255 in 8-bit labels, whose PNG patches have no nodata tag; else the file's own nodata value,
    NaN, or the largest number of the type.
    """
    if profile.dtype == "uint8":
        return UNLABELLED
    if profile.nodata is not None:
        return profile.nodata
    dtype = np.dtype(profile.dtype)
    if dtype.kind == "f":
        return float("nan")
    # rasterio passes nodata values as doubles, which cannot hold the largest 64-bit numbers
    return min(np.iinfo(dtype).max, np.iinfo("uint32").max)


def _check_fits(raster: RasterProfile, label: RasterProfile) -> None:
    try:
        check_same_grid(raster, label)
    except GridMismatchError as error:
        raise GridMismatchError(f"label raster {error}") from error
