"""Features of pixels for clustering: bands, fixed filters, or the features of a network.

Each function gives an array of vectors on every ``step``-th row and column of every scene.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import clusternet
from clusternet.errors import LabelError
from clusternet.network.filter_bank import SCALES, FilterBank
from clusternet.patches.bands import BandMoments, Bands
from clusternet.raster import open_raster
from clusternet.settings import TilingSettings, TrainingSettings
from clusternet.types import BoolArray, FloatArray
from scoring.scenes import Scene

Describer = Callable[[Scene, int], FloatArray]
"""(scene, step) -> (rows, cols, depth) float32, NaN where there is no data."""


def measure_bands(scenes: Sequence[Scene]) -> Bands:
    """Return the mean and deviation of the bands over the training scenes.

    Raises:
        LabelError: if there is no such scene, or no pixel with data in them.
    """
    moments: BandMoments | None = None
    dtype = ""
    for scene in scenes:
        if scene.held_out:
            continue
        pixels, valid = scene.pixels()
        moments = moments or BandMoments(pixels.shape[-1])
        moments.add(pixels, valid)
        dtype = pixels.dtype.name
    if moments is None:
        raise LabelError("--hold_out: every scene is held out: nothing is left to learn from.")
    if not moments.count:
        raise LabelError("--hold_out: no pixel with data is left to learn from.")
    std = tuple(value or 1.0 for value in moments.std)
    return Bands(len(std), dtype, None, moments.mean, std, (1, 1))


def bands_describer(bands: Bands) -> Describer:
    """Describe a pixel by its standardised bands."""

    def describe(scene: Scene, step: int) -> FloatArray:
        pixels, valid = scene.pixels()
        return _masked(bands.standardise(pixels, valid), valid, step)

    return describe


def filters_describer(bands: Bands, *, weighted: bool = False) -> Describer:
    """Describe a pixel by fixed filters at three scales, or by all that the default uses."""

    def describe(scene: Scene, step: int) -> FloatArray:
        pixels, valid = scene.pixels()
        layer = FilterBank(pixels.shape[:2])
        found = np.asarray(layer(bands.standardise(pixels, valid)[None]))[0]
        # the coherence of each scale comes last
        return _masked(found if weighted else found[..., : -len(SCALES)], valid, step)

    return describe


def network_describer(run: Path) -> Describer:
    """Describe a pixel by the features of a trained run."""
    predictor = clusternet.load(run)
    depth = predictor.num_features

    def describe(scene: Scene, step: int) -> FloatArray:
        with open_raster(scene.image) as raster:
            rows, cols = raster.profile.shape
            found = np.full((-(-rows // step), -(-cols // step), depth), np.nan, np.float32)
            for part in predictor.windows(raster, features=True):
                if part.features is None:
                    continue
                row, col = -part.window.row % step, -part.window.col % step
                values = np.where(part.valid[..., None], part.features, np.nan)
                values = values[row::step, col::step]
                top, left = -(-part.window.row // step), -(-part.window.col // step)
                found[top : top + values.shape[0], left : left + values.shape[1]] = values
        return found

    return describe


def train_run(
    images: Path,
    run: Path,
    settings: TrainingSettings,
    patch_size: int,
    *,
    overwrite: bool = False,
) -> Path:
    """Cut images into patches, train on them, and return the run folder.

    An interrupted run is continued and a complete run is used again, unless ``overwrite``.
    """
    patches = run.with_name(f"patches_{patch_size}")
    if not patches.exists():
        clusternet.tile_rasters(images, patches, TilingSettings((patch_size, patch_size)))
    return clusternet.train(patches, run, settings, overwrite=overwrite, resume=not overwrite)


def _masked(values: FloatArray, valid: BoolArray, step: int) -> FloatArray:
    return np.where(valid[..., None], values, np.float32("nan"))[::step, ::step]
