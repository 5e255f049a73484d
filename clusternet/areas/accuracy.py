"""Assess class maps by validation points: areas, accuracies, and what to trust."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clusternet.areas.estimation import StratifiedEstimate
from clusternet.areas.points import Points, read_points
from clusternet.areas.strata import ClassMap, ClassMaps, Strata, count_strata, open_class_maps
from clusternet.errors import LabelError
from clusternet.labels.files import settle_labels
from clusternet.labels.origins import digest
from clusternet.labels.reading import open_labels_onto
from clusternet.legend.class_list import is_no_class
from clusternet.legend.familiar import class_colours
from clusternet.legend.land_classes import LandClass
from clusternet.messages import short, short_value
from clusternet.metrics import Counts, Values
from clusternet.raster.endings import is_vector
from clusternet.raster.touching import touched_pixels
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Window

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assessment:
    """What validation points say of class maps."""

    maps: Sequence[Path]
    points: Path
    classes: Sequence[LandClass]
    """Classes of the map, then classes that only the points have."""
    pixels: Counts
    """(classes,) pixels of each on the map."""
    mapped: Values
    """(classes,) area of each on the map."""
    unit: str
    """``ha`` or ``pixels``."""
    estimate: StratifiedEstimate
    unused: dict[str, int]
    """How many points were left out, by reason."""
    warnings: Sequence[str]
    """Why the figures may be too good."""

    @property
    def total(self) -> float:
        """Area of the map."""
        return float(self.mapped.sum())


def assess_areas(
    maps: Path,
    points: Path,
    *,
    class_field: str | None = None,
    layer: str | None = None,
    map_field: str | None = None,
) -> Assessment:
    """Assess a class map, or a folder of them, by a stratified random sample of points.

    The strata are the classes of the maps, as of `clusternet.areas.sample.draw_sample`.

    Args:
        maps: the map or the folder.
        points: see `clusternet.areas.points.read_points`, as are the fields and the layer.
        class_field: field of the true class.
        layer: layer of the points.
        map_field: field of the class of the map when the points were drawn.

    Raises:
        LabelError: if the points do not belong to the maps, or a class has no point.
        GridMismatchError: if they cannot be laid over each other.
        RasterError: if a map cannot be read.
    """
    opened = open_class_maps(maps)
    read = read_points(points, opened, class_field=class_field, layer=layer, map_field=map_field)
    numbers, places = _on_maps(read, opened)
    _check_same_maps(read, numbers, opened)
    strata = count_strata(opened)
    truth, classes = _truth(read, strata, opened)
    unused = {
        "no reference class": int((truth < 0).sum()),
        "off the map or on nodata": int(((numbers < 0) & (truth >= 0)).sum()),
    }
    used = (numbers >= 0) & (truth >= 0)
    _report_unused(read, unused, used)
    table = _table(strata, classes, numbers[used], truth[used])
    _check_sampled(read, strata, table)
    extra = np.zeros(len(classes) - len(strata.classes))
    pixels = np.append(strata.pixels, extra).astype(np.int64)
    estimate = StratifiedEstimate(
        table, np.append(strata.weights, extra), np.maximum(pixels, 0).astype(float)
    )
    warnings = [*_dependence(read, opened, places[used]), *_unsampled(read, opened, places[used])]
    for text in warnings:
        logger.warning("%s", text)
    return Assessment(
        tuple(each.profile.path for each in opened.maps), points, classes, pixels,
        np.append(strata.areas, extra), strata.unit, estimate,
        {reason: count for reason, count in unused.items() if count}, warnings,
    )  # fmt: skip


def _on_maps(points: Points, maps: ClassMaps) -> tuple[Counts, Counts]:
    """Return the map class of each point, -1 for none, and its place: map, row, col."""
    numbers = np.full(len(points.positions), -1, np.int64)
    places = np.full((len(points.positions), 3), -1, np.int64)
    for index, each in enumerate(maps.maps):
        rows, cols = each.profile.shape
        inverse = ~each.profile.transform
        col, row = np.floor(
            [inverse @ (x, y) for x, y in points.positions.tolist()] or np.zeros((0, 2))
        ).astype(np.int64).T  # fmt: skip
        inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols) & (numbers < 0)
        with maps.reader(each) as read:
            chosen = np.flatnonzero(inside)
            for point in chosen[np.lexsort((col[chosen], row[chosen]))].tolist():
                values, _ = read(Window(int(row[point]), int(col[point]), 1, 1))
                numbers[point] = values[0, 0]
                places[point] = index, row[point], col[point]
    return numbers, places


def _check_same_maps(points: Points, numbers: Counts, maps: ClassMaps) -> None:
    """Refuse points whose class of the map is another one now: the strata are not those drawn."""
    if points.map_classes is None:
        return
    changed = [
        (was, maps.name(number))
        for was, number in zip(points.map_classes, numbers.tolist(), strict=True)
        if number >= 0 and was not in (None, maps.name(number), str(number))
    ]
    if changed:
        was, now = short_value(changed[0][0] or "", 25), short_value(changed[0][1], 25)
        raise LabelError(
            f"{points.path}: was drawn from another map: {len(changed)} of its {len(numbers)} "
            f"points have another class there (such as '{was}', now '{now}'); give the map that it "
            "was drawn from, or draw points from this one."
        )


def _truth(points: Points, strata: Strata, maps: ClassMaps) -> tuple[Counts, tuple[LandClass, ...]]:
    """Return the place of the true class of each point among all classes, -1 for none."""
    lookup: dict[str, int] = {}
    for place, land_class in enumerate(strata.classes):
        lookup.setdefault(land_class.name, place)
    for place, land_class in enumerate(strata.classes):
        lookup.setdefault(str(land_class.number), place)
    folded: dict[str, set[int]] = {}
    for known_text, place in lookup.items():
        folded.setdefault(known_text.casefold(), set()).add(place)
    known = dict(maps.common.numbers)
    extra: dict[str, int] = {}
    truth = np.full(len(points.reference), -1, np.int64)
    for index, text in enumerate(points.reference):
        if text is None or (is_no_class(text) and text not in lookup):
            continue
        alike = folded.get(text.casefold(), set())
        if text in lookup:
            truth[index] = lookup[text]
        elif len(alike) == 1:
            truth[index] = next(iter(alike))
        else:
            truth[index] = len(strata.classes) + extra.setdefault(text, len(extra))
    free = max([c.number for c in strata.classes] + list(known.values())) + 1
    names = {known.get(text, free + place): text for text, place in extra.items()}
    if extra:
        listed = short(", ".join(f"'{text}'" for text in extra), 120)
        logger.warning(
            "%s: holds classes that the map lacks: %s; they count as errors of the map. Is one "
            "misspelt?", points.path, listed,
        )  # fmt: skip
    colours = class_colours(
        {c.number: c.name for c in strata.classes} | names,
        {c.number: c.colour for c in strata.classes},
    )
    added = [LandClass(number, name, colours[number]) for number, name in names.items()]
    return truth, (*strata.classes, *added)


def _table(strata: Strata, classes: Sequence[LandClass], numbers: Counts, truth: Counts) -> Counts:
    """Count points by class of the map and true class; (classes, classes)."""
    table = np.zeros((len(classes), len(classes)), np.int64)
    place = {land_class.number: row for row, land_class in enumerate(strata.classes)}
    rows = np.array([place[number] for number in numbers.tolist()], np.int64)
    np.add.at(table, (rows, truth), 1)
    return table


def _report_unused(points: Points, unused: dict[str, int], used: AnyArray) -> None:
    if not used.any():
        raise LabelError(
            f"{points.path}: none of its {len(used)} points has a reference class and lies on the "
            "map; fill in the true class of each point, in QGIS for example."
        )
    parts = [f"{count} with {reason}" if "no " in reason[:3] else f"{count} {reason}"
             for reason, count in unused.items() if count]  # fmt: skip
    if parts:
        logger.warning(
            "%s: %d of its %d points are left out: %s.",
            points.path, int((~used).sum()), len(used), ", ".join(parts),
        )  # fmt: skip


def _check_sampled(points: Points, strata: Strata, table: Counts) -> None:
    lacking = [
        f"'{short_value(land_class.name, 30)}' ({share:.1%} of the map)"
        for land_class, share, size in zip(
            strata.classes, strata.weights.tolist(), table.sum(axis=1).tolist(), strict=False
        )
        if size == 0
    ]
    if lacking:
        raise LabelError(
            f"{points.path}: has no point with a reference class in "
            f"{short(', '.join(lacking), 120)}; every class of the map needs points: fill them in, "
            "or draw them with tools/sample.py."
        )
    single = np.flatnonzero((table.sum(axis=1)[: len(strata.pixels)] == 1) & (strata.pixels > 1))
    if len(single):
        names = ", ".join(strata.classes[i].name for i in single.tolist())
        logger.warning(
            "%s: has a single point in %s; no interval can be given.",
            points.path,
            short(names, 120),
        )


def _dependence(points: Points, maps: ClassMaps, places: Counts) -> list[str]:
    """Say which points were used to make the maps that they validate."""
    labelled = np.zeros(len(places), bool)
    of_points, sources = digest(points.path), set()
    for index, each in enumerate(maps.maps):
        of_map = np.flatnonzero(places[:, 0] == index)
        if each.drawn is not None and len(of_map):
            on_strokes = each.drawn.cover(each.profile, places[of_map, 1:])
            labelled[of_map] |= on_strokes
            sources |= {"strokes drawn on the page"} if on_strokes.any() else set()
        for origin in each.origins:
            if origin.digest == of_points:
                text = f"{points.path}: is a label file that the map was made from"
                return [f"{text}; its accuracy is too good. Draw points with tools/sample.py."]
            path = origin.found(each.profile.path)
            if path is not None and len(of_map):
                on_labels = _labelled(path, each, places[of_map, 1:])
                labelled[of_map] |= on_labels
                sources |= {path.name} if on_labels.any() else set()
    if not labelled.any():
        return []
    return [
        f"{points.path}: {int(labelled.sum())} of its {len(places)} points lie on labels that the "
        f"map was made from ({short(', '.join(sorted(sources)), 60)}); accuracies are too good. "
        "Leave these points out, or draw points elsewhere."
    ]


def _unsampled(points: Points, maps: ClassMaps, places: Counts) -> list[str]:
    """Say on which maps no point lies although many should, had they been drawn from all maps."""
    sizes = np.array([each.profile.shape[0] * each.profile.shape[1] for each in maps.maps])
    wanted = len(places) * sizes / sizes.sum()
    found = np.bincount(places[:, 0], minlength=len(sizes))
    lacking = np.flatnonzero((found == 0) & (wanted >= 10)).tolist()
    without = [maps.maps[index].profile.path.name for index in lacking]
    if not without:
        return []
    return [
        f"{points.path}: none of its {len(places)} points lies on {short(', '.join(without), 90)}; "
        "if they were not drawn from all of these maps, the figures hold for the others only."
    ]


def _labelled(path: Path, class_map: ClassMap, pixels: Counts) -> BoolArray:
    """Tell which pixels (pixels, 2) of a map a label file labels; (pixels,)."""
    if is_vector(path):
        return touched_pixels(path, class_map.profile, pixels)
    with open_labels_onto(path, class_map.profile, settle_labels([path])) as labels:
        return np.array([
            labels.overlaps and bool(labels.read(Window(row, col, 1, 1))[1][0, 0])
            for row, col in pixels.tolist()
        ])  # fmt: skip
