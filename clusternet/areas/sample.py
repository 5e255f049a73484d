"""Draw a stratified random validation sample from class maps, window by window."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from clusternet.areas.strata import ClassMap, ClassMaps, Strata, Tally
from clusternet.errors import SettingsError
from clusternet.messages import short, short_value
from clusternet.metrics import Counts, Values
from clusternet.raster.crs import is_on_earth
from clusternet.types import IntArray

logger = logging.getLogger(__name__)

_RESERVE = 20  # candidates for each point, where points must keep a distance
_EARTH = 6_371_008.8  # mean radius in metres


@dataclass(frozen=True)
class SampleOptions:
    """How a sample is drawn."""

    per_class: int = 50
    """Points in each class."""
    min_distance: float = 0.0
    """Smallest distance of two points: in metres, or in pixels where the CRS does not tell."""
    seed: int = 1
    """Fixes the draw."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if self.per_class < 1:
            raise SettingsError(f"--per_class: expected 1 or more, received {self.per_class}.")
        if not 0 <= self.min_distance < float("inf"):
            raise SettingsError(
                f"--min_distance: expected 0 or more, received {self.min_distance}."
            )
        if self.seed < 0:
            raise SettingsError(f"--seed: expected 0 or more, received {self.seed}.")


@dataclass(frozen=True)
class Sample:
    """Points in random order."""

    strata: Strata
    places: Counts
    """(points, 3) index of the map, row and column."""
    classes: Counts
    """(points,) class number of the map."""
    positions: Values
    """(points, 2) coordinates of pixel centres in the CRS of the maps."""


def draw_sample(maps: ClassMaps, options: SampleOptions) -> Sample:
    """Draw points at random in each class; every pixel of a class has the same chance.

    In a geographic CRS the chance is proportional to the area of the pixel, because areas are
    estimated. Memory does not grow with the maps. Classes with fewer pixels than points are
    reported, and all of their pixels are taken.

    Raises:
        LabelError: if the maps hold no data, or too many classes.
    """
    rng = np.random.default_rng(options.seed)
    reserve = 1 if options.min_distance == 0 else _RESERVE
    lots, tally = _Lots(options.per_class * reserve), Tally()
    for index, window, values, area in maps.windows("sample"):
        tally.add(values, area)
        lots.add(index, (window.row, window.col), values, area, rng)
    strata = tally.finish(maps)
    chosen = _keep_apart(maps.maps, lots, strata, options)
    _report(strata, chosen, options)
    places = np.concatenate([chosen[c.number] for c in strata.classes])
    classes = np.repeat([c.number for c in strata.classes],
                        [len(chosen[c.number]) for c in strata.classes])  # fmt: skip
    order = rng.permutation(len(places))
    places, classes = places[order], classes[order]
    return Sample(strata, places, classes, _positions(maps.maps, places))


@dataclass
class _Lots:
    """Keeps the pixels of each class that drew the lowest numbers.

    Each pixel draws an exponential number, divided by its area. The pixels of the lowest numbers
    are a random sample without replacement, with chances proportional to the areas (Efraimidis and
    Spirakis, 2006, Weighted random sampling with a reservoir).
    """

    most: int
    """Pixels that are kept of each class."""
    keys: dict[int, Values] = field(default_factory=dict)
    """(pixels,) numbers of each class."""
    places: dict[int, Counts] = field(default_factory=dict)
    """(pixels, 3) map, row and column of each class."""

    def add(
        self, index: int, corner: tuple[int, int], values: IntArray, area: Values,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        """Let the pixels of a window draw."""
        flat = np.flatnonzero(values.ravel() >= 0)
        classes = values.ravel()[flat]
        keys = rng.standard_exponential(len(flat)) / area.ravel()[flat]
        limits = np.full(int(classes.max(initial=0)) + 1, np.inf)
        for number, known in self.keys.items():
            if len(known) == self.most and number < len(limits):
                limits[number] = known.max()
        low = keys < limits[classes]
        flat, classes, keys = flat[low], classes[low], keys[low]
        rows, cols = np.divmod(flat, values.shape[1])
        places = np.stack([np.full(len(flat), index), rows + corner[0], cols + corner[1]], axis=1)
        for number in np.unique(classes).tolist():
            of_class = classes == number
            self._merge(number, keys[of_class], places[of_class])

    def _merge(self, number: int, keys: Values, places: Counts) -> None:
        if number in self.keys:
            keys = np.concatenate([self.keys[number], keys])
            places = np.concatenate([self.places[number], places])
        if len(keys) > self.most:
            kept = np.argpartition(keys, self.most - 1)[: self.most]
            keys, places = keys[kept], places[kept]
        self.keys[number], self.places[number] = keys, places

    def of(self, number: int) -> Counts:
        """Return the places of a class in the order of their numbers."""
        return self.places[number][np.argsort(self.keys[number])]


def _keep_apart(
    maps: Iterable[ClassMap], lots: _Lots, strata: Strata, options: SampleOptions
) -> dict[int, Counts]:
    """Return the places of each class such that no two points are too near; rare classes first."""
    maps, near = list(maps), _Neighbourhood(options.min_distance)
    chosen = {}
    for index in np.argsort(strata.pixels, kind="stable").tolist():
        number = strata.classes[index].number
        places = lots.of(number)
        if options.min_distance > 0:
            free: list[Counts] = []
            for place, position in zip(places, _metric(maps, places), strict=True):
                if len(free) < options.per_class and near.add(position):
                    free.append(place)
            places = np.array(free, np.int64).reshape(-1, 3)
        chosen[number] = places[: options.per_class]
    return chosen


class _Neighbourhood:
    """Finds points near others in a grid of cells as wide as the smallest distance."""

    def __init__(self, distance: float) -> None:
        self._distance = distance
        self._cells: dict[tuple[int, ...], list[Values]] = {}

    def add(self, position: Values) -> bool:
        """Add a point (3,) if no other is nearer than the smallest distance, and tell whether."""
        cell = tuple(np.floor(position / self._distance).astype(int).tolist())
        for step in np.ndindex(3, 3, 3):
            beside = tuple(place + shift - 1 for place, shift in zip(cell, step, strict=True))
            for other in self._cells.get(beside, ()):
                if np.linalg.norm(position - other) < self._distance:
                    return False
        self._cells.setdefault(cell, []).append(position)
        return True


def _positions(maps: Iterable[ClassMap], places: Counts) -> Values:
    """Return the coordinates of pixel centres; (points, 2)."""
    transforms = [each.profile.transform for each in maps]
    return np.array(
        [transforms[index] @ (col + 0.5, row + 0.5) for index, row, col in places.tolist()]
    ).reshape(-1, 2)


def _metric(maps: Iterable[ClassMap], places: Counts) -> Iterator[Values]:
    """Yield positions (3,) whose distances are metres; pixels where the CRS does not tell."""
    maps = list(maps)
    profile, positions = maps[0].profile, _positions(maps, places)
    crs = profile.crs
    if crs is None or not is_on_earth(crs) or not profile.is_georeferenced:
        for index, row, col in places.tolist():
            yield np.array([row, col, 1e9 * index])  # maps lie apart
    elif crs.is_geographic:
        lon, lat = np.moveaxis(positions * float(crs.units_factor[1]), 1, 0)
        yield from _EARTH * np.stack(
            [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1
        )
    else:
        scaled = positions * float(crs.linear_units_factor[1])
        yield from np.column_stack([scaled, np.zeros(len(scaled))])


def _report(strata: Strata, chosen: dict[int, Counts], options: SampleOptions) -> None:
    """Say which classes have fewer points than were asked for, and why."""
    rare: list[str] = []
    crowded: list[str] = []
    for land_class, pixels in zip(strata.classes, strata.pixels.tolist(), strict=True):
        points = len(chosen[land_class.number])
        if points < options.per_class:
            shown = f"'{short_value(land_class.name, 30)}' {points}"
            (rare if points == pixels else crowded).append(shown)
    if rare:
        logger.warning(
            "classes with fewer than %d pixels, all of which are points: %s.",
            options.per_class, short(", ".join(rare), 200),
        )  # fmt: skip
    if crowded:
        logger.warning(
            "fewer than %d points lie %g apart from all others: %s; lower --min_distance.",
            options.per_class, options.min_distance, short(", ".join(crowded), 180),
        )  # fmt: skip
