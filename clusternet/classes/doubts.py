"""Count class maps by cluster and class, and find the places to doubt most."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clusternet.colours import NODATA_COLOUR
from clusternet.errors import RasterError
from clusternet.legend.land_classes import LandClass
from clusternet.legend.legend import Legend
from clusternet.metrics import Counts, Values
from clusternet.nodata import NodataChoice
from clusternet.prediction.cluster_maps import ClusterMap, read_clusters
from clusternet.processes.progress import Progress
from clusternet.raster import Raster, open_raster
from clusternet.raster.band_identity import shown_bands
from clusternet.raster.pixel_areas import PixelAreas, pixel_areas
from clusternet.types import BoolArray, IntArray, UInt8Array
from clusternet.windows import Window

MOST_PLACES = 12
"""Doubtful places that are shown."""

_BLOCK = 64  # side in pixels of the squares whose doubt is averaged
_AROUND = 128  # side in pixels of the picture of a place
_CANDIDATES = 10 * MOST_PLACES
_LEAST_DOUBT = 0.15  # mean doubt from which a place is worth a look
_FULL = 254  # a confidence raster's value of a certain pixel
_NEAR = "another cluster is about as near"
_SPREAD = 2.0  # standard deviations that are shown on either side of the mean of a band


@dataclass(frozen=True)
class Place:
    """A square of a map that is doubtful."""

    doubt: float
    """Mean of its pixels: 0 for certain, 1 for a guess."""
    class_map: int
    """Index of the class map."""
    window: Window
    centre: tuple[float, float]
    """Coordinates of its middle in the CRS of the map."""
    cluster: int
    """The cluster that contributes most of the doubt."""
    why: str
    """Why that cluster is doubtful."""
    image: UInt8Array | None = None
    """RGB of the raster around it, if the raster is known."""
    classes: UInt8Array | None = None
    """RGB of the class map around it."""


@dataclass
class MapCounts:
    """Pixels and areas of class maps, and their doubtful places."""

    unit: str = "pixels"
    """Of areas: ``ha``, or ``pixels`` if one of the maps does not tell."""
    pixels: Counts = field(default_factory=lambda: np.zeros((1, 1), np.int64))
    """(clusters, classes) pixels."""
    areas: Values = field(default_factory=lambda: np.zeros((1, 1)))
    """(clusters, classes) in ``unit``."""
    nodata: int = 0
    """Pixels without data."""
    places: Sequence[Place] = ()
    """The most doubtful ones first."""


def count_maps(
    cluster_maps: Sequence[ClusterMap],
    targets: Sequence[Path],
    legend: Legend,
    classes: Mapping[int, LandClass],
) -> MapCounts:
    """Count class maps window by window; memory does not grow with their size.

    Args:
        cluster_maps: the maps of clusters.
        targets: the class map of each.
        legend: with the votes and purity of clusters, which tell what to doubt.
        classes: by number.
    """
    doubts, reasons = _doubts(legend)
    shape = (len(doubts), max(classes) + 1)
    counts = MapCounts("ha", np.zeros(shape, np.int64), np.zeros(shape))
    found: list[tuple[float, int, Place]] = []
    total = sum(each.num_pixels for each in cluster_maps)
    with Progress(total=total, desc="report", unit="px", unit_scale=True) as bar:
        for index, (cluster_map, target) in enumerate(zip(cluster_maps, targets, strict=True)):
            areas = pixel_areas(cluster_map.profile)
            if areas.unit != "ha":
                counts.unit = "pixels"
            with _Reader(cluster_map, target) as reader:
                for window in cluster_map.windows():
                    clusters, values, valid, trust = reader.read(window)
                    _add(counts, clusters, values, valid, areas, window)
                    doubt = np.where(valid, 1 - (1 - doubts[clusters]) * trust, 0)
                    for place in _places(doubt, clusters, valid, window, index, (doubts, reasons)):
                        _keep(found, place)
                    bar.update(valid.size)
    if counts.unit == "pixels":
        counts.areas = counts.pixels.astype(float)
    counts.places = _pictured(_best(found), cluster_maps, targets, classes)
    return counts


def _doubts(legend: Legend) -> tuple[Values, dict[int, str]]:
    """Return the doubt of each cluster (clusters,), and why; 0 if the legend says no purity."""
    size = max(row.cluster for row in legend.rows) + 1
    doubts, reasons = np.zeros(size), {}
    states = any(row.purity is not None for row in legend.rows)
    for row in legend.rows if states else ():
        if row.purity is None:
            doubts[row.cluster] = 1
            reasons[row.cluster] = f"no label told its class; taken as {row.land_class.name}"
        else:
            doubts[row.cluster] = 1 - row.purity
            reasons[row.cluster] = f"only {row.purity:.0%} of it is {row.land_class.name}"
    return doubts, reasons


class _Reader:
    """Reads a cluster map, its class map, and its confidence if there is one, side by side."""

    def __init__(self, cluster_map: ClusterMap, target: Path) -> None:
        stem = cluster_map.path.stem.removesuffix("_clusters")
        confidence = cluster_map.path.with_name(f"{stem}_confidence.tif")
        self._cluster_map, self._target = cluster_map, target
        self._confidence = confidence if confidence.is_file() else None
        self._profile = cluster_map.profile

    def __enter__(self) -> _Reader:
        self._stack = ExitStack()
        self._clusters = self._stack.enter_context(self._cluster_map.open())
        self._classes = self._stack.enter_context(open_raster(self._target, codes=True))
        self._trust: Raster | None = None
        if self._confidence is not None:
            trust = self._stack.enter_context(open_raster(self._confidence, codes=True))
            self._trust = trust if trust.profile.shape == self._profile.shape else None
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def read(self, window: Window) -> tuple[IntArray, IntArray, BoolArray, Values]:
        """Return clusters, classes, valid and confidence from 0 to 1; (rows, cols) each."""
        clusters, valid = read_clusters(self._clusters, window)
        values, of_class = self._classes.read(window)
        trust = np.ones(window.shape)
        if self._trust is not None:
            confidence, known = self._trust.read(window)
            trust = np.where(known, confidence[..., 0] / _FULL, 1.0)
        return clusters, values[..., 0].astype(np.int32), valid & of_class, trust


def _add(
    counts: MapCounts, clusters: IntArray, values: IntArray, valid: BoolArray,
    areas: PixelAreas, window: Window,
) -> None:  # fmt: skip
    """Add a window to the table of clusters and classes."""
    counts.nodata += int(valid.size - valid.sum())
    shape = counts.pixels.shape
    cells = clusters[valid].astype(np.int64) * shape[1] + values[valid]
    counts.pixels += np.bincount(cells, minlength=counts.pixels.size).reshape(shape)
    area = np.broadcast_to(areas.of(window), valid.shape)[valid]
    weighed = np.bincount(cells, weights=area, minlength=counts.areas.size)
    counts.areas += weighed.reshape(shape)


def _places(
    doubt: Values, clusters: IntArray, valid: BoolArray, window: Window, index: int,
    known: tuple[Values, Mapping[int, str]],
) -> Iterator[Place]:  # fmt: skip
    """Yield the doubtful squares of a window; ``known`` is what `_doubts` returned."""
    doubts, reasons = known
    for row in range(0, window.height, _BLOCK):
        for col in range(0, window.width, _BLOCK):
            inside = np.s_[row : row + _BLOCK, col : col + _BLOCK]
            of_block, usable = doubt[inside], valid[inside]
            if 2 * usable.sum() < usable.size:
                continue
            mean = float(of_block[usable].mean())
            if mean < _LEAST_DOUBT:
                continue
            by_cluster = np.bincount(clusters[inside][usable], weights=of_block[usable])
            worst = int(by_cluster.argmax())
            place = Window(window.row + row, window.col + col, *usable.shape)
            why = reasons[worst] if doubts[worst] > mean / 2 else _NEAR
            yield Place(mean, index, place, (0.0, 0.0), worst, why)


def _keep(found: list[tuple[float, int, Place]], place: Place) -> None:
    """Add a place to the most doubtful ones."""
    # places of one doubt are ordered by their positions, no two of which are equal
    position = (place.class_map << 60) + (place.window.row << 30) + place.window.col
    entry = (place.doubt, -position, place)
    if len(found) < _CANDIDATES:
        heapq.heappush(found, entry)
    elif entry[:2] > found[0][:2]:
        heapq.heapreplace(found, entry)


def _best(found: Sequence[tuple[float, int, Place]]) -> list[Place]:
    """Return the most doubtful places that do not lie side by side."""
    chosen: list[Place] = []
    for _, _, place in sorted(found, key=lambda entry: entry[:2], reverse=True):
        beside = any(
            other.class_map == place.class_map
            and abs(other.window.row - place.window.row) < _AROUND
            and abs(other.window.col - place.window.col) < _AROUND
            for other in chosen
        )
        if not beside and len(chosen) < MOST_PLACES:
            chosen.append(place)
    return chosen


def _pictured(
    places: Sequence[Place],
    cluster_maps: Sequence[ClusterMap],
    targets: Sequence[Path],
    classes: Mapping[int, LandClass],
) -> list[Place]:
    """Add coordinates and pictures to places."""
    colours = np.zeros((max(classes) + 1, 3), np.uint8)
    for number, land_class in classes.items():
        colours[number] = land_class.colour
    pictured = []
    for place in places:
        source = cluster_maps[place.class_map]
        window = _around(place.window, source.profile.shape)
        with open_raster(targets[place.class_map], codes=True) as raster:
            values, valid = raster.read(window)
        picture = np.full((*window.shape, 3), NODATA_COLOUR, np.uint8)
        picture[valid] = colours[values[..., 0][valid].astype(int)]
        middle = (
            place.window.col + place.window.width / 2,
            place.window.row + place.window.height / 2,
        )
        x, y = source.profile.transform @ middle
        image = _image(source, window)
        pictured.append(
            Place(place.doubt, place.class_map, place.window, (x, y), place.cluster, place.why,
                  image, picture)
        )  # fmt: skip
    return pictured


def _around(window: Window, shape: tuple[int, int]) -> Window:
    """Return a larger window around one, within the map."""
    height, width = min(_AROUND, shape[0]), min(_AROUND, shape[1])
    row = max(0, min(window.row + (window.height - height) // 2, shape[0] - height))
    col = max(0, min(window.col + (window.width - width) // 2, shape[1] - width))
    return Window(row, col, height, width)


def _image(source: ClusterMap, window: Window) -> UInt8Array | None:
    """Return a picture of the raster that a map was made from; None if it is not there."""
    if source.raster is None:
        return None
    try:
        with open_raster(source.raster, NodataChoice()) as raster:
            if raster.profile.shape != source.profile.shape:
                return None
            pixels, valid = raster.read(window)
            bands = shown_bands(raster.profile.bands, raster.profile.num_bands)
    except RasterError:  # it is gone or replaced: the map of classes tells enough
        return None
    shown = pixels[..., list(bands)].astype(np.float64)
    known = shown[valid]
    if not known.size:
        return None
    scaled = (shown - known.mean(axis=0)) / np.maximum(known.std(axis=0), 1e-12)
    picture = np.clip((np.nan_to_num(scaled) / _SPREAD + 1) * 127.5, 0, 255).astype(np.uint8)
    picture = np.broadcast_to(picture, (*window.shape, 3)).copy()
    picture[~valid] = NODATA_COLOUR
    return picture
