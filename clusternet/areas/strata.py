"""The classes of class maps as strata: their names, pixels and areas."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clusternet.areas.overlaps import ReadClasses, earlier_maps, on_another
from clusternet.errors import GridMismatchError, LabelError
from clusternet.evaluation.contingency import MAX_CLASSES, MapHeader, MapValues, read_header
from clusternet.evaluation.evaluate import settle_masks
from clusternet.labels.drawn import DrawnStrokes, read_drawn
from clusternet.labels.files import map_statements
from clusternet.labels.origins import Origin, read_origins
from clusternet.labels.pairing import find_maps
from clusternet.legend.common_classes import CommonClasses, match_classes
from clusternet.legend.familiar import class_colours
from clusternet.legend.land_classes import LandClass
from clusternet.metrics import Counts, Values
from clusternet.processes.progress import Progress
from clusternet.raster import RasterProfile, open_raster
from clusternet.raster.categories import read_categories
from clusternet.raster.crs import crs_name
from clusternet.raster.pixel_areas import PixelAreas, pixel_areas
from clusternet.types import BoolArray, IntArray
from clusternet.windows import Window, blocks

logger = logging.getLogger(__name__)

REPEATED = -2
"""In place of a class where an earlier map has data."""
_WINDOW = (1024, 1024)


@dataclass(frozen=True)
class ClassMap:
    """A class map whose pixels are read window by window."""

    header: MapHeader
    profile: RasterProfile
    areas: PixelAreas
    """Of its pixels."""
    origins: Sequence[Origin]
    """The label files that it was made from; empty if it does not state them."""
    drawn: DrawnStrokes | None = None
    """The strokes of the page that it was made from; None if it does not state them."""


@dataclass(frozen=True)
class ClassMaps:
    """Class maps with common class numbers, in one CRS."""

    maps: Sequence[ClassMap]
    common: CommonClasses

    @property
    def unit(self) -> str:
        """The unit of areas: ``ha`` or ``pixels``."""
        return self.maps[0].areas.unit

    def name(self, number: int) -> str:
        """Return the name of a class."""
        return self.common.classes.no_classes.get(number) or self.common.name(number)

    def windows(self, what: str) -> Iterator[tuple[int, Window, IntArray, Values]]:
        """Yield the classes of all maps window by window, with a progress bar.

        Where maps overlap, a place counts once: for the first of them that has data there.

        Args:
            what: shown beside the bar.

        Yields:
            index of the map, window, classes (rows, cols), -1 where there is no data and
            `REPEATED` where an earlier map has data, and the area of a pixel (rows, cols).
        """
        total = sum(each.profile.shape[0] * each.profile.shape[1] for each in self.maps)
        with Progress(total=total, unit="px", unit_scale=True, desc=what) as bar:
            for index, each in enumerate(self.maps):
                with self._reader_of_new(index) as read:
                    for window in blocks(each.profile.shape, _WINDOW):
                        values = read(window)
                        area = np.broadcast_to(each.areas.of(window), values.shape)
                        yield index, window, values, area
                        bar.update(values.size)

    @contextmanager
    def _reader_of_new(self, index: int) -> Iterator[ReadClasses]:
        """Open a map; a context manager that yields a function from windows to classes.

        The classes of pixels on an earlier map are `REPEATED`.
        """
        profiles = [each.profile for each in self.maps]
        with ExitStack() as stack:
            read_own = _classes_only(stack.enter_context(self.reader(self.maps[index])))
            others = [
                (profiles[i], _classes_only(stack.enter_context(self.reader(self.maps[i]))))
                for i in earlier_maps(profiles, index)
            ]

            def read(window: Window) -> IntArray:
                values = read_own(window)
                for other, read_other in others:
                    known = on_another(profiles[index], window, other, read_other)
                    values = np.where(known & (values >= 0), REPEATED, values)
                return values

            yield read

    def reader(self, class_map: ClassMap) -> _Reader:
        """Open a map; a context manager that yields a function from windows to classes."""
        return _Reader(class_map.header, self.common)


def _classes_only(read: Callable[[Window], tuple[IntArray, BoolArray]]) -> ReadClasses:
    return lambda window: read(window)[0]


class _Reader:
    """Reads classes of a map in common numbers while it is open."""

    def __init__(self, header: MapHeader, common: CommonClasses) -> None:
        self._header, self._common = header, common
        self._opened = open_raster(header.path, header.nodata, codes=True)

    def __enter__(self) -> Callable[[Window], tuple[IntArray, BoolArray]]:
        raster = self._opened.__enter__()
        onto = self._common.renumbering(self._header.path, is_map=True)
        return MapValues(raster, self._header.is_mask, onto).read

    def __exit__(self, *error: object) -> None:
        self._opened.__exit__(*error)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Strata:
    """The classes that occur in maps, in the order of their numbers."""

    classes: Sequence[LandClass]
    pixels: Counts
    """(classes,)"""
    areas: Values
    """(classes,) in ``unit``."""
    unit: str
    """``ha`` or ``pixels``."""
    num_nodata: int
    """Pixels without data, which belong to no stratum."""
    num_repeated: int = 0
    """Pixels on an earlier map, which do not count again."""

    @property
    def weights(self) -> Values:
        """(classes,) share of each class in the area of all."""
        shares: Values = self.areas / self.areas.sum()
        return shares


def open_class_maps(path: Path) -> ClassMaps:
    """Read the headers of a class map, or of those in a folder.

    Raises:
        LabelError: if one is no class map.
        GridMismatchError: if their CRSs differ.
        RasterError: if one cannot be read.
    """
    headers = [read_header(each) for each in find_maps(path)]
    for header in headers:
        if header.kind == "clusters":
            raise LabelError(
                f"{header.path}: is a cluster map; expected a class map, such as "
                "tools/clusters2classes.py writes."
            )
    headers = settle_masks(headers)
    statements = map_statements((header.path, header.kind == "classes") for header in headers)
    maps = [_open(header) for header in headers]
    for each in maps:
        if each.profile.crs != maps[0].profile.crs:
            raise GridMismatchError(
                f"{each.profile.path}: is in another CRS ({crs_name(each.profile.crs)}) than "
                f"{maps[0].profile.path} ({crs_name(maps[0].profile.crs)}); treat them apart, or "
                "reproject one."
            )
    return ClassMaps(maps, match_classes([], maps=statements))


def _open(header: MapHeader) -> ClassMap:
    with open_raster(header.path, header.nodata, codes=True) as raster:
        profile, tags = raster.profile, raster.tags
    return ClassMap(header, profile, pixel_areas(profile), read_origins(tags), read_drawn(tags))


def count_strata(maps: ClassMaps) -> Strata:
    """Count pixels and areas of the classes of maps; memory does not grow with their size.

    Raises:
        LabelError: if the maps hold no data, or too many classes.
    """
    tally = Tally()
    for _, _, values, area in maps.windows("classes"):
        tally.add(values, area)
    return tally.finish(maps)


class Tally:
    """Adds up pixels and areas of classes."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._pixels = np.zeros(MAX_CLASSES, np.int64)
        self._areas = np.zeros(MAX_CLASSES)
        self._nodata = 0
        self._repeated = 0

    def add(self, values: IntArray, area: Values) -> None:
        """Add a window: classes, -1 for none, and the area of each pixel; (rows, cols) both."""
        for row_values, row_area in self._even(values, area):
            valid = row_values[row_values >= 0]
            repeated = int((row_values == REPEATED).sum())
            self._repeated += repeated
            self._nodata += row_values.size - valid.size - repeated
            if valid.size and valid.max() >= MAX_CLASSES:
                raise LabelError(
                    f"The map holds the class {valid.max()}; expected class numbers below "
                    f"{MAX_CLASSES}. Does it number objects?"
                )
            counts = np.bincount(valid, minlength=MAX_CLASSES)
            self._pixels += counts
            self._areas += counts * row_area

    @staticmethod
    def _even(values: IntArray, area: Values) -> Iterator[tuple[IntArray, float]]:
        """Yield parts of a window whose pixels have one area."""
        if not values.size or (area[:, 0] == area[0, 0]).all():
            yield values.ravel(), float(area[0, 0]) if values.size else 0.0
            return
        for row in range(len(values)):
            yield values[row], float(area[row, 0])

    def finish(self, maps: ClassMaps) -> Strata:
        """Return the strata; LabelError if the maps hold no data."""
        present = np.flatnonzero(self._pixels)
        if not len(present):
            raise LabelError(f"{maps.maps[0].profile.path}: holds nothing but nodata.")
        names = {number: maps.name(number) for number in present.tolist()}
        colours = class_colours(names, _stated_colours(maps, names))
        classes = [LandClass(n, name, colours[n]) for n, name in names.items()]
        if self._repeated:
            logger.info(
                "%d maps overlap: %s of their pixels lie on an earlier map, and each place counts "
                "once, for the first map (by name) that has data there.",
                len(maps.maps), f"{self._repeated:,}",
            )  # fmt: skip
        return Strata(
            classes, self._pixels[present], self._areas[present], maps.unit, self._nodata,
            self._repeated,
        )  # fmt: skip


def _stated_colours(maps: ClassMaps, names: Mapping[int, str]) -> dict[int, tuple[int, int, int]]:
    stated: dict[int, tuple[int, int, int]] = {}
    for each in maps.maps:
        onto = maps.common.renumbering(each.profile.path, is_map=True)
        for number, colour in read_categories(each.profile.path)[1].items():
            known = number in onto.changes or (onto.shares_numbers and number in names)
            if known and (common := int(onto.common(number))) in names:
                stated.setdefault(common, colour)
    return stated
