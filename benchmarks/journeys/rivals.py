"""What users would write themselves: a script from rasters and polygons to class maps.

    python benchmarks/journeys/rivals.py forest IMAGES LABELS OUTPUT_FOLDER
    python benchmarks/journeys/rivals.py kmeans IMAGES LABELS OUTPUT_FOLDER

``forest`` takes scikit-image's multi-scale features and a forest of 50 trees of scikit-learn;
``kmeans`` clusters the bands with MiniBatchKMeans, and calls each cluster by the majority of the
labels in it. Both read and write window by window, so that memory does not grow with the scene.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
from rasterio.features import rasterize
from rasterio.windows import Window
from skimage.feature import multiscale_basic_features
from sklearn.cluster import MiniBatchKMeans
from sklearn.ensemble import RandomForestClassifier

WINDOW, BORDER, TREES, CLUSTERS = 1024, 64, 50, 100
SPENT = {"start": time.process_time(), "reading": 0.0, "writing": 0.0}
Describe = Callable[[Any, Window], Any]


def windows(raster: Any) -> Iterator[Window]:
    """Yield the windows that cover a raster."""
    for row in range(0, raster.height, WINDOW):
        for col in range(0, raster.width, WINDOW):
            yield Window(
                col, row, min(WINDOW, raster.width - col), min(WINDOW, raster.height - row)
            )


def read(raster: Any, window: Window) -> Any:
    """Return pixels (rows, cols, bands)."""
    begin = time.thread_time()
    pixels = np.moveaxis(raster.read(window=window), 0, -1)
    SPENT["reading"] += time.thread_time() - begin
    return pixels


def bands_of(raster: Any, window: Window) -> Any:
    """Return the bands of each pixel, (pixels, bands)."""
    return read(raster, window).reshape(-1, raster.count)


def filters_of(raster: Any, window: Window) -> Any:
    """Return 45 features of each pixel: intensity and texture of each band at five scales."""
    top, left = min(BORDER, window.row_off), min(BORDER, window.col_off)
    wide = Window(
        window.col_off - left, window.row_off - top,
        min(window.width + left + BORDER, raster.width - window.col_off + left),
        min(window.height + top + BORDER, raster.height - window.row_off + top),
    )  # fmt: skip
    features = multiscale_basic_features(
        read(raster, wide), edges=False, sigma_min=1, sigma_max=16, channel_axis=-1
    )
    inside = features[top : top + window.height, left : left + window.width]
    return inside.reshape(-1, features.shape[-1])


def labelled(images: list[Path], labels: Path, describe: Describe) -> tuple[Any, Any, list[str]]:
    """Return features and classes of the pixels under polygons, and the names of the classes."""
    features, classes = [], []
    tables = {path.stem: geopandas.read_file(path) for path in sorted(labels.glob("*.gpkg"))}
    names = sorted({name for table in tables.values() for name in table["class"]})
    for path in (image for image in images if image.stem in tables):
        table = tables[path.stem]
        with rasterio.open(path) as raster:
            shapes = [
                (shape, names.index(name) + 1)
                for shape, name in zip(table.geometry, table["class"], strict=True)
            ]
            drawn = rasterize(shapes, (raster.height, raster.width), transform=raster.transform)
            for window in windows(raster):
                own = drawn[window.toslices()].ravel()
                if own.any():
                    features.append(describe(raster, window)[own > 0])
                    classes.append(own[own > 0] - 1)
    return np.concatenate(features), np.concatenate(classes), names


def write_maps(images: list[Path], folder: Path, describe: Describe, predict: Any) -> None:
    """Write a class map of each raster."""
    for path in images:
        with rasterio.open(path) as raster:
            profile = raster.profile | {"count": 1, "dtype": "uint8", "nodata": 255}
            with rasterio.open(folder / path.name, "w", **profile) as target:
                for window in windows(raster):
                    classes = predict(describe(raster, window)).astype(np.uint8)
                    begin = time.thread_time()
                    target.write(classes.reshape(1, window.height, window.width), window=window)
                    SPENT["writing"] += time.thread_time() - begin


def forest(images: list[Path], labels: Path, folder: Path) -> None:
    """Write class maps by features of surroundings and a forest."""
    features, classes, _ = labelled(images, labels, filters_of)
    trees = RandomForestClassifier(TREES, n_jobs=-1, random_state=1).fit(features, classes)
    write_maps(images, folder, filters_of, trees.predict)


def kmeans(images: list[Path], labels: Path, folder: Path) -> None:
    """Write class maps by clusters of the bands."""
    rng = np.random.default_rng(1)
    samples = []
    for path in images[:: max(1, len(images) // 50)]:
        with rasterio.open(path) as raster:
            every = list(windows(raster))
            for window in every[:: max(1, len(every) // 50)]:
                pixels = bands_of(raster, window)
                samples.append(pixels[rng.integers(0, len(pixels), min(len(pixels), 10_000))])
    clusters = MiniBatchKMeans(CLUSTERS, random_state=1).fit(np.concatenate(samples))
    features, classes, names = labelled(images, labels, bands_of)
    votes = np.zeros((CLUSTERS, len(names)))
    np.add.at(votes, (clusters.predict(features), classes), 1)
    named = votes.argmax(1)
    write_maps(images, folder, bands_of, lambda pixels: named[clusters.predict(pixels)])


def main() -> None:
    """Run one of both, and tell where the processor time went, as ``clusternet --verbose`` does."""
    name, images, labels, output = sys.argv[1:]
    folder = Path(output)
    folder.mkdir(parents=True)
    {"forest": forest, "kmeans": kmeans}[name](
        sorted(Path(images).glob("*.tif")), Path(labels), folder
    )
    total = time.process_time()
    SPENT["computing"] = total - sum(SPENT.values())
    told = ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in SPENT.items())
    print(f"{total:.2f} s of processor time ({told})", file=sys.stderr)


if __name__ == "__main__":
    main()
