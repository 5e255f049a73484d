"""Describe pixels by a backbone: windows of an image to reduced features of every pixel."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from clusternet.backbone.geometry import Geometry
from clusternet.backbone.placing import (
    blending_weights,
    fixed_windows,
    mirrored,
    patch_window,
    sliding_window,
)
from clusternet.backbone.stretch import Stretch
from clusternet.clustering.reduction import Reduction
from clusternet.network.backend import channels_last, keras
from clusternet.patches.bands import Bands
from clusternet.types import FloatArray
from clusternet.windows import Shape, Window

_AT_ONCE = 4  # fixed windows that go through the network together
_MOST_MODELS = 4  # that are kept; small rasters need one for each of their shapes


class Describer:
    """A backbone with all that was fitted for a run.

    A network whose features depend on a neighbourhood gets windows with a margin, which start at
    multiples of its step. Other networks, such as transformers, get windows of one size on a fixed
    grid of the raster, which overlap by a quarter; where two overlap, their features are mixed
    with weights that go linearly from one to the other. So the features of a pixel never depend on
    the window that is predicted.
    """

    def __init__(
        self,
        network: Any,
        geometry: Geometry,
        stretch: Stretch,
        bands: Bands,
        reduction: Reduction,
    ) -> None:
        """Take the parts; networks for the shapes of images are built when they are needed.

        Args:
            network: maps RGB from 0 to 255 to a list of feature maps.
            geometry: of the network.
            stretch: makes RGB of bands.
            bands: statistics of the bands.
            reduction: of the features of all levels.
        """
        self.geometry, self.stretch, self.reduction = geometry, stretch, reduction
        self._bands = bands
        self._network = network
        self._models: dict[Shape, Any] = {}  # one for each shape of image

    @property
    def num_features(self) -> int:
        """Features of a pixel."""
        return self.reduction.num_features

    def read_window(self, area: Window) -> Window:
        """Return the window of the raster that the features of an area need.

        It may extend beyond the raster. Areas of one shape need windows of one shape, if the
        network gets no fixed windows.
        """
        if self.geometry.window is not None:
            rows, cols = self._tiles(area)
            return Window(
                rows[0].start, cols[0].start,
                rows[-1].stop - rows[0].start, cols[-1].stop - cols[0].start,
            )  # fmt: skip
        return sliding_window(area, self.geometry.margin or 0, self.geometry.step)

    def describe(self, pixels: FloatArray, window: Window, area: Window) -> FloatArray:
        """Return the features of the pixels of an area.

        Args:
            pixels: (rows, cols, bands) of ``window``, standardised.
            window: see `read_window`.
            area: a part of it.

        Returns:
            (rows', cols', features) float32.
        """
        rgb = self.stretch.rgb(pixels, self._bands)
        if self.geometry.window is None:
            found: FloatArray = self._run(rgb[None])[0][area.slices((window.row, window.col))]
            return found
        return self._mix(rgb, window, area)

    def describe_patches(self, pixels: FloatArray) -> FloatArray:
        """Return the features of patches, beyond whose border the image is mirrored.

        Args:
            pixels: (patches, rows, cols, bands), standardised.

        Returns:
            (patches, rows, cols, features) float32.
        """
        area = Window(0, 0, *pixels.shape[1:3])
        window = patch_window(self.geometry, area)
        wide = mirrored(pixels, window)
        if self.geometry.window is None:
            found = self._run(self.stretch.rgb(wide, self._bands))
            rows, cols = area.slices((window.row, window.col))
            return found[:, rows, cols]
        return np.stack([self.describe(one, window, area) for one in wide])

    def _run(self, rgb: FloatArray) -> FloatArray:
        rows, cols = rgb.shape[1:3]
        if (rows, cols) not in self._models:
            if len(self._models) == _MOST_MODELS:
                del self._models[next(iter(self._models))]
            self._models[rows, cols] = _pixel_model(
                self._network, self.geometry, self.reduction, (rows, cols)
            )
        return np.asarray(self._models[rows, cols].predict_on_batch(rgb), np.float32)

    def _tiles(self, area: Window) -> tuple[list[range], list[range]]:
        return fixed_windows(area, self.geometry.window or (1, 1))

    def _mix(self, rgb: FloatArray, window: Window, area: Window) -> FloatArray:
        """Return the features of an area from all fixed windows that lie on it."""
        result = np.zeros((*area.shape, self.num_features), np.float32)
        tiles = list(itertools.product(*self._tiles(area)))
        for first in range(0, len(tiles), _AT_ONCE):
            few = tiles[first : first + _AT_ONCE]
            parts = [
                rgb[_within(rows, window.row), _within(cols, window.col)] for rows, cols in few
            ]
            # filled up: another number would be traced anew
            parts += [parts[-1]] * (_AT_ONCE - len(parts))
            for (rows, cols), features in zip(few, self._run(np.stack(parts)), strict=False):
                _add(result, features, (rows, cols), area)
        return result


def _within(places: range, origin: int) -> slice:
    return slice(places.start - origin, places.stop - origin)


def _add(result: FloatArray, features: FloatArray, tile: tuple[range, range], area: Window) -> None:
    """Add the weighted features of a fixed window to those of an area."""
    kept, weights = [], []
    for places, start, size in zip(tile, (area.row, area.col), area.shape, strict=True):
        low, high = max(places.start, start), min(places.stop, start + size)
        kept.append(
            (slice(low - start, high - start), slice(low - places.start, high - places.start))
        )
        weights.append(blending_weights(len(places))[kept[-1][1]])
    (to_rows, from_rows), (to_cols, from_cols) = kept
    weight = weights[0][:, None, None] * weights[1][:, None]
    result[to_rows, to_cols] += features[from_rows, from_cols] * weight


@channels_last()
def _pixel_model(network: Any, geometry: Geometry, reduction: Reduction, shape: Shape) -> Any:
    """Return the model that maps RGB (rows, cols) to the reduced features of every pixel.

    A level is reduced before it is upsampled, and the levels are added: the reduction is linear,
    so it gives the same, and fewer numbers are upsampled. Pixels that a level does not cover get
    zeros; they lie within the network's margin.
    """
    layers = keras.layers
    inputs = keras.Input((*shape, 3), name="rgb")
    maps = keras.tree.flatten(network(inputs, training=False))
    parts, first = [], 0
    for number, (one, level) in enumerate(zip(maps, geometry.levels, strict=True)):
        rows = slice(first, first + level.depth)
        reduced = layers.Conv2D(
            reduction.num_features, 1, name=f"reduction{number}", dtype="float32", trainable=False
        )
        low = reduced(one)
        kernel = reduction.projection[rows]
        reduced.set_weights([kernel[None, None], -(reduction.offset[rows] @ kernel)])
        size = [length - level.lost for length in shape]
        full = layers.Resizing(*size, name=f"pixels{number}", dtype="float32")(low)
        ends = (level.lost // 2, level.lost - level.lost // 2)
        parts.append(layers.ZeroPadding2D((ends, ends), dtype="float32")(full))
        first += level.depth
    total = layers.Add(name="levels", dtype="float32")(parts) if len(parts) > 1 else parts[0]
    return keras.Model(inputs, total, name="backbone_features")
