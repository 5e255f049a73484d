"""The public names: light to import, all there, and usable without the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import WriteRaster, four_textures

import clusternet


@pytest.mark.parametrize("name", clusternet.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(clusternet, name).__doc__
    assert name in dir(clusternet)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        _ = clusternet.no_such


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, clusternet; heavy = {'keras', 'tensorflow', 'faiss', 'rasterio', 'numpy'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_five_steps_from_python(write_raster: WriteRaster, tmp_path: Path) -> None:
    scene = write_raster("scene.tif", four_textures(96, 96, 3))
    quarters = (np.arange(96)[:, None] >= 48) * 2 + (np.arange(96) >= 48)
    truth = write_raster("truth.tif", quarters.astype(np.uint8), nodata=255)
    patches, run, maps = tmp_path / "patches", tmp_path / "run", tmp_path / "maps"

    clusternet.tile_rasters(scene, patches, clusternet.TilingSettings(patch_shape=(48, 48)))
    settings = clusternet.TrainingSettings(
        num_clusters=8, base_filters=4, num_features=8, num_epochs=4, learn_rate=2e-3
    )
    predictor = clusternet.load(clusternet.train(patches, run, settings))
    with rasterio.open(scene) as dataset:
        assert predictor.predict(dataset).shape == (96, 96)
        # learned and fixed ones
        assert predictor.features(dataset).shape == (96, 96, predictor.num_features)
        assert predictor.num_features > 8
    clusternet.predict_rasters(predictor, [scene], maps)
    clusternet.assign_classes(maps, truth, tmp_path / "classes", run=run)
    report = clusternet.evaluate(tmp_path / "classes", truth)
    assert report.pooled.scores.accuracy > 0.6  # by chance 0.25
