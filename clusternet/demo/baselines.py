"""The baseline of the demo: K-Means on the bands, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clusternet.clustering.kmeans import Codebook, cluster
from clusternet.colours import palette
from clusternet.files.outputs import KIND_TAG
from clusternet.patches.bands import BandMoments, Bands
from clusternet.prediction.map_states import COUNT_TAG
from clusternet.processes.interrupts import interrupts
from clusternet.raster import MapForm, create_map, open_raster
from clusternet.types import FloatArray
from clusternet.windows import blocks

_BLOCK = (512, 512)
_SAMPLES_PER_CENTROID = 256  # as in training, so that only the features differ


def cluster_bands(
    train: Path,
    rasters: Sequence[Path],
    output_folder: Path,
    *,
    num_clusters: int,
    nodata: float | None = None,
    seed: int = 1,
    overwrite: bool = False,
) -> list[Path]:
    """Write cluster maps by K-Means on the standardised bands.

    Args:
        train: the raster that statistics and centroids come from.
        rasters: the rasters to write maps of, with the same bands.
        output_folder: gets ``<raster>_clusters.tif``.
        num_clusters: number of clusters, 255 at most.
        nodata: nodata value; None takes those that the files state.
        seed: fixes the sample and the first centroids.
        overwrite: replace existing maps.

    Returns:
        the paths of the maps.
    """
    bands, sample = _sample(train, num_clusters * _SAMPLES_PER_CENTROID, nodata, seed)
    codebook = cluster(sample, num_clusters, seed=seed).codebook
    outputs = []
    for path in rasters:
        output = output_folder / f"{path.stem}_clusters.tif"
        _write_map(path, output, bands, codebook, nodata, overwrite)
        outputs.append(output)
    return outputs


def _sample(
    path: Path, num_samples: int, nodata: float | None, seed: int
) -> tuple[Bands, FloatArray]:
    """Return band statistics and standardised pixels (samples, bands), uniform over the raster."""
    rng = np.random.default_rng(seed)
    with open_raster(path, nodata) as raster:
        profile = raster.profile
        # 10 % more than needed, since the number of pixels drawn in this way varies
        share = min(1.0, 1.1 * num_samples / (profile.shape[0] * profile.shape[1]))
        moments, kept = BandMoments(profile.num_bands), []
        for window in blocks(profile.shape, _BLOCK):
            interrupts.check()
            pixels, valid = raster.read(window)
            moments.add(pixels, valid)
            kept.append(pixels[valid & (rng.random(valid.shape) < share)])
    std = tuple(deviation or 1.0 for deviation in moments.std)  # a constant band becomes 0
    bands = Bands(
        profile.num_bands, profile.dtype, profile.nodata, moments.mean, std, profile.shape
    )
    sample = np.concatenate(kept)
    return bands, bands.standardise(sample[None], np.ones((1, len(sample)), bool))[0]


def _write_map(
    path: Path,
    output: Path,
    bands: Bands,
    codebook: Codebook,
    nodata: float | None,
    overwrite: bool,
) -> None:
    tags = {KIND_TAG: "clusters", COUNT_TAG: str(codebook.num_clusters)}
    with open_raster(path, nodata) as raster:
        form = MapForm(nodata=255, colours=palette(codebook.num_clusters), tags=tags)
        with create_map(output, raster.profile, form, overwrite=overwrite) as writer:
            for window in blocks(raster.profile.shape, _BLOCK):
                interrupts.check()
                pixels, valid = raster.read(window)
                values = bands.standardise(pixels, valid).reshape(-1, bands.num_bands)
                labels = codebook.assign(values).reshape(valid.shape)
                writer.write(window, np.where(valid, labels, 255).astype(np.uint8))
